import type { Draw } from './draw.ts';
import {
  FAULTS,
  type Fault,
  type FaultKind,
  REGISTRY_REQUESTS,
  type RequestKind,
  type Rule,
  ruleOf,
} from './fault.ts';
import type { Kill } from './weather.ts';
import type { World } from './world.ts';

/** Those that few requests can meet stand here more than once. */
const KINDS: readonly FaultKind[] = [
  ...(Object.keys(FAULTS) as FaultKind[]),
  ...(['concurrent writer', 'concurrent writer', 'stale fallback', 'stale listing'] as const),
];

/** Up to four faults. Most worlds get passing ones only, which a merge must get over. */
export function drawFaults(world: World, draw: Draw): Fault[] {
  const passing = draw.chance(0.65);
  const kinds = KINDS.filter(kind => ruleOf(kind).codes === undefined || !passing);
  const hard = KINDS.filter(kind => ruleOf(kind).codes !== undefined);
  const count = draw.whole(0, 4);
  return Array.from({ length: count }, (_, position) =>
    drawFitting(world, passing || position > 0 ? kinds : hard, draw),
  );
}

/** Draws until the world has a service that the fault can meet: every world has registries. */
function drawFitting(world: World, kinds: readonly FaultKind[], draw: Draw): Fault {
  for (;;) {
    const fault = drawFault(world, draw.one(kinds), draw);
    if (fault !== undefined) return fault;
  }
}

/** Undefined where this world has no such service. */
function drawFault(world: World, kind: FaultKind, draw: Draw): Fault | undefined {
  const rule = ruleOf(kind);
  const services = servicesOf(world).filter(
    service =>
      rule.services.some(name => service.startsWith(name)) &&
      (kind !== 'expired token' || givesTokens(world, service)),
  );
  if (services.length === 0) return undefined;
  const service = draw.one(services);
  const on = drawRequests(rule, service, draw);
  return {
    kind,
    service,
    on,
    nth: draw.whole(1, furthest(service, on)),
    times: rule.times === undefined ? Number.POSITIVE_INFINITY : draw.whole(...rule.times),
    follows: rule.times !== undefined && kind !== 'outage' && kind !== 'slow',
  };
}

function givesTokens({ registries }: World, service: string): boolean {
  return registries.some(({ login }, position) => login === 'bearer' && service === `registry ${position}`);
}

function servicesOf({ registries, signs, store }: World): string[] {
  const names = registries.flatMap(({ login }, position) => {
    // The registries are where most requests go: they get most of the faults.
    const name = `registry ${position}`;
    return [name, name, name, ...(login === 'bearer' ? ['tokens'] : [])];
  });
  return [
    ...names,
    ...(signs ? ['issuer', 'fulcio', 'rekor'] : []),
    ...(store === 'artifacts' ? ['artifacts', 'artifacts'] : []),
  ];
}

function drawRequests(rule: Rule, service: string, draw: Draw): RequestKind | undefined {
  if (!service.startsWith('registry')) return undefined;
  if (rule.on !== undefined) return draw.one(rule.on);
  return draw.chance(0.4) ? undefined : draw.one(REGISTRY_REQUESTS);
}

/** About as many requests as a merge of a few platforms makes. */
function furthest(service: string, on: RequestKind | undefined): number {
  if (service === 'rekor') return 12;
  // Two requests for each record.
  if (service === 'artifacts') return 8;
  if (!service.startsWith('registry')) return 3;
  if (on === undefined) return 100;
  return on.startsWith('tag') || on.startsWith('fallback') ? 4 : 12;
}

export interface PlannedKill extends Kill {
  /** Which of the merges. */
  readonly merge: number;
}

/** A random request of about as many as the merge makes. */
export function drawKill(world: World, draw: Draw): PlannedKill {
  const manifests = world.builds.reduce((sum, { attested }) => sum + (attested ? 2 : 1), 1);
  const each = world.signs ? 16 : 4;
  const most = Math.ceil((manifests * each * world.targets.length) / world.components.length) + 10;
  return {
    merge: draw.whole(0, world.merges.length - 1),
    nth: draw.whole(1, most),
    when: draw.chance(0.5) ? 'before' : 'after',
  };
}
