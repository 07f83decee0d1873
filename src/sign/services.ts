import {
  type Service,
  type ServiceConfiguration,
  ServiceSelector,
  type SigningConfig,
  type TrustedRoot,
} from '@sigstore/protobuf-specs';
import { ManifoldError, oneLine } from '../errors.ts';
import type { SignatureFormat } from './finding.ts';
import type { Signatory } from './identity.ts';

/** A Sigstore, as its two files describe it: whom to believe, and whom to ask. */
export interface Sigstore {
  readonly root: TrustedRoot;
  readonly config: SigningConfig;
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
export function chooseAuthority(config: SigningConfig, now: Date): URL {
  const [authority] = choose('certificate authority', config.caUrls, [1], undefined, now);
  if (authority !== undefined) return address('certificate authority', authority);
  throw unusable('certificate authority', 'none is listed');
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
export function chooseWitnesses(config: SigningConfig, now: Date, { format, by }: Testified): Witnesses {
  const isLogged = by === 'certificate' || config.rekorTlogUrls.length > 0;
  if (isLogged && format === 'legacy') requireVersion1(config.rekorTlogUrls, now);
  const versions = format === 'legacy' ? [1] : [2, 1];
  const logs = isLogged
    ? choose('transparency log', config.rekorTlogUrls, versions, config.rekorTlogConfig, now)
    : [];
  const stamps =
    config.tsaUrls.length === 0
      ? []
      : choose('timestamp authority', config.tsaUrls, [1], config.tsaConfig, now);
  const hasTime = stamps.length > 0 || logs.every(({ majorApiVersion }) => majorApiVersion === 1);
  if (by === 'certificate' && !hasTime) {
    throw unusable('timestamp authority', 'none is listed, but entries of a version 2 log carry no time');
  }
  return {
    logs: logs.map(log => ({
      url: address('transparency log', log),
      version: log.majorApiVersion === 2 ? 2 : 1,
    })),
    timestampAuthorities: stamps.map(service => address('timestamp authority', service)),
  };
}

/** What a legacy signature carries of a log is the promise of a version 1 log: there is no place for a proof of inclusion. */
function requireVersion1(logs: readonly Service[], now: Date): void {
  if (logs.some(log => log.majorApiVersion === 1 && isValid(log, now))) return;
  throw new ManifoldError(
    'signing-config',
    'No verifier could check a legacy signature: it has no place for what a transparency log of version 2 proves, and the signing config names no log of version 1 that is valid now.',
    { hint: 'Say "signature-format: bundle", or list a Rekor of API version 1 in "signing-config".' },
  );
}

function address(what: string, { url }: Service): URL {
  const parsed = URL.parse(url);
  if (parsed?.protocol === 'https:' || parsed?.protocol === 'http:') return parsed;
  throw unusable(what, `"${oneLine(url)}" is no address`);
}

function choose(
  what: string,
  services: readonly Service[],
  versions: readonly number[],
  wanted: ServiceConfiguration | undefined,
  now: Date,
): Service[] {
  const valid = services.filter(service => isValid(service, now) && URL.canParse(service.url)).sort(byStart);
  const version = versions.find(candidate =>
    valid.some(({ majorApiVersion }) => majorApiVersion === candidate),
  );
  const usable = onePerOperator(valid.filter(({ majorApiVersion }) => majorApiVersion === version));
  const count = wanted?.selector === ServiceSelector.EXACT ? wanted.count : 1;
  if (usable.length < count || usable.length === 0) {
    throw unusable(
      what,
      `${count} needed, ${usable.length} valid now with API version ${versions.join(' or ')}`,
    );
  }
  return wanted?.selector === ServiceSelector.ALL ? usable : usable.slice(0, count);
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

function unusable(what: string, why: string): ManifoldError {
  return new ManifoldError('signing-config', `The signing config gives no usable ${what}: ${why}.`, {
    hint: 'Check the file that the input "signing-config" names.',
  });
}
