import type { Draw } from './draw.ts';
import type { World } from './world.ts';

/** What the action speaks to. */
export type ServiceKind = 'registry' | 'tokens' | 'artifacts' | 'issuer' | 'fulcio' | 'rekor';

/** What a request to a registry is for; requests to all others are one kind. */
export const REGISTRY_REQUESTS = [
  'manifest read',
  'manifest write',
  'blob read',
  'blob look',
  'upload start',
  'upload',
  'tag read',
  'tag write',
  'fallback read',
  'fallback write',
  'listing',
] as const;
export type RequestKind = (typeof REGISTRY_REQUESTS)[number] | 'request';

/** Something that goes wrong between the action and a service. */
export interface Fault {
  readonly kind: FaultKind;
  /** `registry 0`, or the service's kind where there is one only. */
  readonly service: string;
  /** The requests that it counts; all of the service without it. */
  readonly on: RequestKind | undefined;
  /** It begins with the n-th of these requests. */
  readonly nth: number;
  /** How many requests it meets; infinite when it stays. */
  readonly times: number;
  /** Meets the repetitions of its first request, or whatever comes next. */
  readonly follows: boolean;
}

interface Rule {
  readonly services: readonly ServiceKind[];
  /** Kinds of requests to registries; every kind without it. */
  readonly on?: readonly RequestKind[];
  /** How many requests it may meet; without it, it stays. */
  readonly times?: readonly [least: number, most: number];
  /** The error codes that it excuses, in the order of the services; without them it must pass unnoticed. */
  readonly codes?: readonly string[];
}

const ALL: readonly ServiceKind[] = ['registry', 'tokens', 'issuer', 'fulcio', 'rekor', 'artifacts'];
/** The client of the artifact service repeats a request after these answers only, and five times in all. */
const HTTP: readonly ServiceKind[] = ['registry', 'tokens', 'issuer', 'fulcio', 'rekor'];
const WRITES: readonly RequestKind[] = ['manifest write', 'tag write', 'fallback write'];
const BY_DIGEST: readonly RequestKind[] = ['manifest read', 'blob read'];
const UNTRUE = ['digest-mismatch', 'signature-unverified', 'tampered-record'];

/** Every kind of fault: whom it meets, for how long, and what the merge may make of it. */
export const FAULTS = {
  'rate limit in seconds': { services: ALL, times: [1, 2] },
  'rate limit until a date': { services: HTTP, times: [1, 2] },
  'rate limit as 403 with a text': { services: HTTP, times: [1, 2] },
  'rate limit as 403 with Retry-After': { services: HTTP, times: [1, 2] },
  'request timeout 408': { services: HTTP, times: [1, 2] },
  'too early 425': { services: HTTP, times: [1, 2] },
  'server error': { services: ALL, times: [1, 3] },
  outage: { services: HTTP, times: [3, 12] },
  'reset before': { services: HTTP, times: [1, 3] },
  'reset after': { services: HTTP, times: [1, 3] },
  'cut off': { services: HTTP, times: [1, 3] },
  slow: { services: ALL, times: [1, 10] },
  'not there yet': { services: ['registry'], on: BY_DIGEST, times: [1, 3] },
  'blob not there yet': { services: ['registry'], on: WRITES, times: [1, 3] },
  // Not the reads, some of which go out bare at the start: a token that ends on its very first way is none.
  'expired token': {
    services: ['registry'],
    on: ['manifest write', 'tag write', 'fallback write', 'upload start', 'upload', 'listing'],
    times: [1, 1],
  },
  'stale tag': { services: ['registry'], on: ['tag write'], times: [1, 1] },
  'stale listing': { services: ['registry'], on: ['manifest write'], times: [1, 2] },
  'stale fallback': { services: ['registry'], on: ['fallback write'], times: [1, 1] },
  'concurrent writer': { services: ['registry'], on: ['fallback write'], times: [1, 2] },
  'logged already': { services: ['rekor'], times: [2, 2] },

  'lying digest': {
    services: ['registry'],
    on: [...BY_DIGEST, ...WRITES, 'tag read', 'fallback read'],
    times: [1, 2],
    codes: UNTRUE,
  },
  'wrong bytes': {
    services: ['registry'],
    on: [...BY_DIGEST, 'tag read', 'fallback read'],
    times: [1, 2],
    codes: UNTRUE,
  },
  forbidden: {
    services: HTTP,
    codes: ['registry-forbidden', 'registry-unauthorized', 'no-id-token', 'signing-failed', 'signing-failed'],
  },
  broken: {
    services: HTTP,
    codes: [
      'registry-unavailable',
      'registry-unavailable',
      'signing-failed',
      'signing-failed',
      'signing-failed',
    ],
  },
  'rate limit for ever': {
    services: HTTP,
    codes: [
      'registry-rate-limited',
      'registry-rate-limited',
      'signing-failed',
      'signing-failed',
      'signing-failed',
    ],
  },
  unreachable: { services: HTTP, codes: ALL.map(() => 'service-unreachable') },
  'lost write': {
    services: ['registry'],
    on: WRITES,
    codes: ['tag-moved', 'signature-unverified', 'registry-refused', 'registry-not-found', 'tampered-record'],
  },
  'immutable tag': {
    services: ['registry'],
    on: ['tag write'],
    codes: ['tag-immutable', 'registry-refused', 'registry-forbidden'],
  },
} as const satisfies Record<string, Rule>;

export type FaultKind = keyof typeof FAULTS;

/** Those that few requests can meet stand here more than once. */
const KINDS: readonly FaultKind[] = [
  ...(Object.keys(FAULTS) as FaultKind[]),
  ...(['concurrent writer', 'concurrent writer', 'stale fallback', 'stale listing'] as const),
];
const ruleOf = (kind: FaultKind): Rule => FAULTS[kind];

/** Tells whether a merge must get over it. */
export function passes(fault: Fault): boolean {
  return ruleOf(fault.kind).codes === undefined;
}

/** What may become of a fault that passes where the budget is small. */
const OUT_OF_PATIENCE = [
  'registry-rate-limited',
  'registry-unavailable',
  'registry-not-found',
  'registry-refused',
  'registry-unauthorized',
  'service-unreachable',
  'signing-failed',
  'signature-unverified',
  'tag-moved',
  // What a registry does not show in time counts as lost.
  'tampered-record',
];

/**
 * What a merge may end with because of a fault.
 * @param patient whether the budget is large enough for everything that passes
 */
export function codesOf({ kind, service }: Fault, patient: boolean): readonly string[] {
  const { services, codes } = ruleOf(kind);
  if (codes === undefined) return patient ? [] : OUT_OF_PATIENCE;
  if (services.length === 1) return codes;
  return codes.slice(0, services.length).filter((_, at) => service.startsWith(services[at] ?? ''));
}

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
    ...(store === 'artifacts' ? ['artifacts'] : []),
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
  if (!service.startsWith('registry')) return 3;
  if (on === undefined) return 100;
  return on.startsWith('tag') || on.startsWith('fallback') ? 4 : 12;
}
