import {
  type Service,
  type ServiceConfiguration,
  ServiceSelector,
  type SigningConfig,
} from '@sigstore/protobuf-specs';
import { ManifoldError, oneLine } from '../errors.ts';

/** The services that one signature is made with. */
export interface SigningServices {
  readonly certificateAuthority: URL;
  readonly logs: readonly TransparencyLog[];
  readonly timestampAuthorities: readonly URL[];
}

export interface TransparencyLog {
  readonly url: URL;
  readonly version: 1 | 2;
}

/**
 * Chooses services as the signing config asks for them (protobuf-specs, sigstore_trustroot.proto, SigningConfig): only
 * those valid now, of the newest API version that we speak, one for each operator.
 * @throws ManifoldError `signing-config` when there are not enough
 */
export function chooseServices(config: SigningConfig, now: Date): SigningServices {
  const [authority] = choose('certificate authority', config.caUrls, [1], undefined, now);
  const logs = choose('transparency log', config.rekorTlogUrls, [2, 1], config.rekorTlogConfig, now);
  const timestamps =
    config.tsaUrls.length === 0
      ? []
      : choose('timestamp authority', config.tsaUrls, [1], config.tsaConfig, now);
  if (authority === undefined) throw unusable('certificate authority', 'none is listed');
  if (logs.some(({ majorApiVersion }) => majorApiVersion === 2) && timestamps.length === 0) {
    throw unusable('timestamp authority', 'none is listed, but entries of a version 2 log carry no time');
  }
  return {
    certificateAuthority: address('certificate authority', authority),
    logs: logs.map(log => ({
      url: address('transparency log', log),
      version: log.majorApiVersion === 2 ? 2 : 1,
    })),
    timestampAuthorities: timestamps.map(service => address('timestamp authority', service)),
  };
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
