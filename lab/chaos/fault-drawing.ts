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
import { kindsOf } from './signing.ts';
import type { Kill } from './weather.ts';
import type { World } from './world.ts';

/** Those that few requests can meet stand here more than once. */
const KINDS: readonly FaultKind[] = [
  ...(Object.keys(FAULTS) as FaultKind[]),
  ...(['writer after us', 'writer after us', 'writer before us', 'writer before us'] as const),
  ...(['writer while we read', 'stale list', 'stale listing', 'logged too late'] as const),
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
  const on = drawRequests(world, rule, service, draw);
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

function servicesOf({ registries, signing, store }: World): string[] {
  const names = registries.flatMap(({ login }, position) => {
    // The registries are where most requests go: they get most of the faults.
    const name = `registry ${position}`;
    return [name, name, name, ...(login === 'bearer' ? ['tokens'] : [])];
  });
  return [
    ...names,
    ...signingServices(signing),
    ...(store === 'artifacts' ? ['artifacts', 'artifacts'] : []),
  ];
}

function signingServices(signing: World['signing']): string[] {
  if (signing === undefined) return [];
  return [
    ...(signing.hands.includes('keyless') ? ['issuer', 'fulcio'] : []),
    ...['rekor', 'rekor'],
    ...(signing.hasTimestamps ? ['tsa'] : []),
  ];
}

function drawRequests(world: World, rule: Rule, service: string, draw: Draw): RequestKind | undefined {
  if (!service.startsWith('registry')) return undefined;
  const formats = world.signing?.formats ?? [];
  const possible = (kinds: readonly RequestKind[]): readonly RequestKind[] => {
    const made = kinds.filter(kind => formats.includes('legacy') || !kind.startsWith('signatures'));
    return made.length > 0 ? made : kinds;
  };
  if (rule.on !== undefined) return draw.one(possible(rule.on));
  return draw.chance(0.4) ? undefined : draw.one(possible(REGISTRY_REQUESTS));
}

/** About as many requests as a merge of a few platforms makes. */
function furthest(service: string, on: RequestKind | undefined): number {
  if (service === 'rekor' || service === 'tsa') return 12;
  // Two requests for each record.
  if (service === 'artifacts') return 8;
  if (!service.startsWith('registry')) return 3;
  if (on === undefined) return 100;
  return on.startsWith('tag') || on.startsWith('fallback') || on.startsWith('signatures') ? 4 : 12;
}

export interface PlannedKill extends Kill {
  /** Which of the merges. */
  readonly merge: number;
  /** Whether the next attempt meets the same weather. */
  readonly isFollowed: boolean;
}

/** A random request of about as many as the merge makes. */
export function drawKill(world: World, draw: Draw): PlannedKill {
  const manifests = world.builds.reduce((sum, { attested }) => sum + (attested ? 2 : 1), 1);
  const { signing, targets, components } = world;
  const kinds = signing === undefined ? 0 : kindsOf(signing).length;
  const inSigning = kinds > 0 && draw.chance(0.5);
  // Each signature is logged and attached, each in a few requests; before and after it the lists are read.
  const each = inSigning ? 6 * kinds : 4 + 12 * kinds;
  const most = Math.ceil((manifests * each * targets.length) / components.length) + 10;
  return {
    merge: draw.whole(0, world.merges.length - 1),
    isFollowed: draw.chance(0.5),
    after: inSigning ? 'first signature' : 'start',
    nth: draw.whole(1, most),
    when: draw.chance(0.5) ? 'before' : 'after',
  };
}
