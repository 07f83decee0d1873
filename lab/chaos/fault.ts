/** What the action speaks to. */
export type ServiceKind = 'registry' | 'tokens' | 'artifacts' | 'issuer' | 'fulcio' | 'rekor' | 'tsa';

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
  // Of the tag that holds signatures in the older format.
  'signatures read',
  'signatures write',
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

export interface Rule {
  readonly services: readonly ServiceKind[];
  /** Kinds of requests to registries; every kind without it. */
  readonly on?: readonly RequestKind[];
  /** How many requests it may meet; without it, it stays. */
  readonly times?: readonly [least: number, most: number];
  /** The error codes that it excuses, by what it meets; without them it must pass unnoticed. */
  readonly codes?: Codes;
}

type Codes = Partial<Readonly<Record<ServiceKind, readonly string[]>>>;

const ALL: readonly ServiceKind[] = ['registry', 'tokens', 'issuer', 'fulcio', 'rekor', 'tsa', 'artifacts'];
/** What many write to: the tags that hold referrers, and signatures in the older format. */
const SHARED_READS: readonly RequestKind[] = ['fallback read', 'signatures read'];
const SHARED_WRITES: readonly RequestKind[] = ['fallback write', 'signatures write'];
const WRITES: readonly RequestKind[] = ['manifest write', 'tag write', ...SHARED_WRITES];
const BY_DIGEST: readonly RequestKind[] = ['manifest read', 'blob read'];
const UNTRUE: Codes = { registry: ['digest-mismatch', 'signature-unverified', 'tampered-record'] };
/** What becomes of a service that stays as bad as it is, unless it is a registry. */
const ELSEWHERE: Codes = {
  issuer: ['signing-failed'],
  fulcio: ['signing-failed'],
  rekor: ['signing-failed'],
  tsa: ['signing-failed'],
  artifacts: ['record-store'],
};

/** Every kind of fault: whom it meets, for how long, and what the merge may make of it. */
export const FAULTS = {
  'rate limit in seconds': { services: ALL, times: [1, 2] },
  'rate limit until a date': { services: ALL, times: [1, 2] },
  'rate limit as 403 with a text': { services: ALL, times: [1, 2] },
  'rate limit as 403 with Retry-After': { services: ALL, times: [1, 2] },
  'request timeout 408': { services: ALL, times: [1, 2] },
  'too early 425': { services: ALL, times: [1, 2] },
  'server error': { services: ALL, times: [1, 3] },
  outage: { services: ALL, times: [3, 12] },
  'reset before': { services: ALL, times: [1, 3] },
  'reset after': { services: ALL, times: [1, 3] },
  'cut off': { services: ALL, times: [1, 3] },
  slow: { services: ALL, times: [1, 10] },
  'not there yet': { services: ['registry'], on: BY_DIGEST, times: [1, 3] },
  'blob not there yet': { services: ['registry'], on: WRITES, times: [1, 3] },
  // Not the reads, some of which go out bare at the start: a token that ends on its very first way is none.
  'expired token': {
    services: ['registry'],
    on: [...WRITES, 'upload start', 'upload', 'listing'],
    times: [1, 1],
  },
  'stale tag': { services: ['registry'], on: ['tag write'], times: [1, 1] },
  'stale listing': { services: ['registry'], on: ['manifest write'], times: [1, 2] },
  'stale list': { services: ['registry'], on: SHARED_WRITES, times: [1, 1] },
  'writer after us': { services: ['registry'], on: SHARED_WRITES, times: [1, 2] },
  'writer before us': { services: ['registry'], on: SHARED_WRITES, times: [1, 2] },
  'writer while we read': { services: ['registry'], on: SHARED_READS, times: [1, 3] },
  // The log takes its time, and dates the entry when the certificate has run out.
  'logged too late': { services: ['rekor'], times: [1, 1] },

  'lying digest': {
    services: ['registry'],
    on: [...BY_DIGEST, ...WRITES, 'tag read', ...SHARED_READS],
    times: [1, 2],
    codes: UNTRUE,
  },
  'wrong bytes': {
    services: ['registry'],
    on: [...BY_DIGEST, 'tag read', ...SHARED_READS],
    times: [1, 2],
    codes: UNTRUE,
  },
  forbidden: {
    services: ALL,
    codes: {
      ...ELSEWHERE,
      registry: ['registry-forbidden'],
      tokens: ['registry-unauthorized'],
      issuer: ['no-id-token'],
    },
  },
  broken: {
    services: ALL,
    codes: { ...ELSEWHERE, registry: ['registry-unavailable'], tokens: ['registry-unavailable'] },
  },
  'rate limit for ever': {
    services: ALL,
    codes: { ...ELSEWHERE, registry: ['registry-rate-limited'], tokens: ['registry-rate-limited'] },
  },
  unreachable: {
    services: ALL,
    codes: Object.fromEntries(ALL.map(service => [service, ['service-unreachable', 'record-store']])),
  },
  'lost write': {
    services: ['registry'],
    on: WRITES,
    codes: {
      registry: [
        'tag-moved',
        'signature-unverified',
        'registry-refused',
        'registry-not-found',
        'tampered-record',
      ],
    },
  },
  'immutable tag': {
    services: ['registry'],
    on: ['tag write'],
    codes: { registry: ['tag-immutable', 'registry-refused', 'registry-forbidden'] },
  },
} as const satisfies Record<string, Rule>;

export type FaultKind = keyof typeof FAULTS;

export const ruleOf = (kind: FaultKind): Rule => FAULTS[kind];

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
  'record-store',
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
  const { codes } = ruleOf(kind);
  if (codes === undefined) return patient ? [] : OUT_OF_PATIENCE;
  // `registry 0`
  return codes[service.split(' ')[0] as ServiceKind] ?? [];
}
