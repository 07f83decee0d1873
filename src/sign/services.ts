import {
  type Service,
  type ServiceConfiguration,
  ServiceSelector,
  type SigningConfig,
  type TrustedRoot,
} from '@sigstore/protobuf-specs';
import { capitalised } from '../document.ts';
import { ManifoldError, oneLine } from '../errors.ts';
import type { SignatureFormat } from './finding.ts';
import type { Signatory } from './identity.ts';

/** Where what describes a Sigstore comes from, as errors say it. */
export interface Origin {
  /** `"sigstore/signing_config.json"`, `signing_config.v0.2.json of the public Sigstore` */
  readonly name: string;
  /** What to do where it cannot be used, as a whole sentence. */
  readonly remedy: string;
}

/** A signing config that knows where it comes from. */
export interface ServiceList extends SigningConfig {
  /** Absent: nothing is known. */
  readonly origin?: Origin;
}

/** A Sigstore, as its two files describe it: whom to believe, and whom to ask. */
export interface Sigstore {
  readonly root: TrustedRoot;
  readonly config: ServiceList;
}

export interface TransparencyLog {
  readonly url: URL;
  readonly version: 1 | 2;
}

/** Who is to witness a signature. */
export interface Witnesses {
  readonly logs: readonly TransparencyLog[];
  readonly timestampAuthorities: readonly URL[];
}

/**
 * Chooses the certificate authority as the signing config asks for it: one that is valid now.
 * @throws ManifoldError `signing-config` when there is none
 */
export function chooseAuthority(config: ServiceList, now: Date): URL {
  const demand = { what: 'certificate authority', versions: [1], wanted: undefined, now, config };
  const [authority] = choose(config.caUrls, demand);
  return address(authority, demand);
}

/** What is to be witnessed. */
export interface Testified {
  readonly format: SignatureFormat;
  /** What the signature is checked by: a certificate needs to be seen by a log, a key does not. */
  readonly by: Signatory['kind'];
}

/**
 * Chooses who witnesses a signature as the signing config asks for it (protobuf-specs, sigstore_trustroot.proto,
 * SigningConfig): only those valid now, of the newest API version that we speak, one for each operator.
 * @throws ManifoldError `signing-config` when there are not enough
 */
export function chooseWitnesses(config: ServiceList, now: Date, { format, by }: Testified): Witnesses {
  const isLogged = by === 'certificate' || config.rekorTlogUrls.length > 0;
  if (isLogged && format === 'legacy') requireVersion1(config, now);
  const versions = format === 'legacy' ? [1] : [2, 1];
  const ofLogs = { what: 'transparency log', versions, wanted: config.rekorTlogConfig, now, config };
  const ofStamps = { what: 'timestamp authority', versions: [1], wanted: config.tsaConfig, now, config };
  const logs = isLogged ? choose(config.rekorTlogUrls, ofLogs) : [];
  const stamps = config.tsaUrls.length === 0 ? [] : choose(config.tsaUrls, ofStamps);
  const hasTime = stamps.length > 0 || logs.every(({ majorApiVersion }) => majorApiVersion === 1);
  if (by === 'certificate' && !hasTime) {
    throw unusable(ofStamps, 'none is listed, but entries of a version 2 log carry no time');
  }
  return {
    logs: logs.map(log => ({ url: address(log, ofLogs), version: log.majorApiVersion === 2 ? 2 : 1 })),
    timestampAuthorities: stamps.map(service => address(service, ofStamps)),
  };
}

/** What a legacy signature carries of a log is the promise of a version 1 log: there is no place for a proof of inclusion. */
function requireVersion1(config: ServiceList, now: Date): void {
  if (config.rekorTlogUrls.some(log => log.majorApiVersion === 1 && isValid(log, now))) return;
  throw new ManifoldError(
    'signing-config',
    `No verifier could check a legacy signature: it has no place for what a transparency log of version 2 proves, and ${nameOf(config)} names no log of version 1 that is valid now.`,
    {
      hint: 'Say "signature-format: bundle", or describe a Sigstore with a Rekor of API version 1 by "trusted-root" and "signing-config".',
    },
  );
}

/** Which services are asked for, and of whose. */
interface Demand {
  /** `transparency log` */
  readonly what: string;
  /** API versions that we speak, the best first. */
  readonly versions: readonly number[];
  /** Undefined: one. */
  readonly wanted: ServiceConfiguration | undefined;
  readonly now: Date;
  readonly config: ServiceList;
}

function address({ url }: Service, demand: Demand): URL {
  const parsed = URL.parse(url);
  if (parsed?.protocol === 'https:' || parsed?.protocol === 'http:') return parsed;
  throw unusable(demand, `"${oneLine(url)}" is no address`);
}

function choose(services: readonly Service[], demand: Demand): readonly [Service, ...Service[]] {
  const { versions, wanted, now } = demand;
  const valid = services.filter(service => isValid(service, now) && URL.canParse(service.url)).sort(byStart);
  const version = versions.find(candidate =>
    valid.some(({ majorApiVersion }) => majorApiVersion === candidate),
  );
  const usable = onePerOperator(valid.filter(({ majorApiVersion }) => majorApiVersion === version));
  const count = wanted?.selector === ServiceSelector.EXACT ? wanted.count : 1;
  if (count < 1) throw unusable(demand, `its selector is EXACT, and its count ${count}`);
  const [first, ...others] = usable;
  if (first === undefined || usable.length < count) {
    const found = `${usable.length} valid now with API version ${versions.join(' or ')}`;
    throw unusable(demand, `${count} needed, ${found}`);
  }
  return [first, ...(wanted?.selector === ServiceSelector.ALL ? others : others.slice(0, count - 1))];
}

function isValid({ validFor }: Service, now: Date): boolean {
  const begun = validFor?.start === undefined || validFor.start <= now;
  return begun && (validFor?.end === undefined || now <= validFor.end);
}

function byStart(a: Service, b: Service): number {
  return (b.validFor?.start?.getTime() ?? 0) - (a.validFor?.start?.getTime() ?? 0);
}

/** Two services of one operator are one witness; the newest stands for it. */
function onePerOperator(services: readonly Service[]): Service[] {
  const seen = new Set<string>();
  return services.filter(({ operator, url }) => {
    const key = operator === '' ? url : operator;
    return !seen.has(key) && seen.add(key);
  });
}

function nameOf({ origin }: ServiceList): string {
  return origin === undefined ? 'the signing config' : `the signing config ${origin.name}`;
}

function unusable({ what, config }: Demand, why: string): ManifoldError {
  const message = `${capitalised(nameOf(config))} gives no usable ${what}: ${why}.`;
  return new ManifoldError('signing-config', message, {
    hint: config.origin?.remedy ?? 'Check the file that the input "signing-config" names.',
  });
}
