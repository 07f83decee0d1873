import parse from 'semver/functions/parse.js';

/** `1.2.3-rc.1-alpine3.20` is the version 1.2.3-rc.1 in the flavour alpine#. */
interface Version {
  readonly release: NonNullable<ReturnType<typeof parse>>;
  readonly flavour: string;
}

const VERSION = /^v?(?<core>\d+\.\d+\.\d+)(?:-(?<suffix>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;
// Words that announce a release, in whatever number: rc.1, beta2, m3.
const PRE_RELEASE =
  /^(?:alpha|a|beta|b|rc|cr|c|m|milestone|pre|preview|dev|snapshot|canary|nightly|next|ea)(?:\.?\d+)?(?:\.[0-9A-Za-z]+)*$/i;

/**
 * Compares two versions of one source as semver.org says (section 11). An image's version often ends in what the image
 * is made of (`1.2.3-alpine`), which the specification would take for a pre-release. So only words that announce a
 * release count as one, everything else is a flavour, and versions are compared within a flavour only; numbers in it
 * (`alpine3.20`) make no difference. A plain number (`1.2.3-2`, a packager's revision) is such a flavour too.
 * @returns below zero, zero or above zero; undefined where either is no semantic version, or the flavours differ
 */
export function compareVersions(a: string, b: string): number | undefined {
  const [left, right] = [parseVersion(a), parseVersion(b)];
  if (left === undefined || right === undefined || left.flavour !== right.flavour) return undefined;
  return left.release.compare(right.release);
}

function parseVersion(text: string): Version | undefined {
  const { core, suffix = '' } = VERSION.exec(text)?.groups ?? {};
  if (core === undefined) return undefined;
  const words = suffix.split('-').filter(word => word !== '');
  const announcement = words.findIndex(word => PRE_RELEASE.test(word));
  // Numbers count as such only where they stand alone: rc10 would be older than rc9.
  const announced = words[announcement]?.replace(/^([A-Za-z]+)0*(?=\d)/, '$1.');
  const release = parse(announced === undefined ? core : `${core}-${announced}`);
  if (release === null) return undefined;
  const flavour = words.filter((_, position) => position !== announcement).join('-');
  return { release, flavour: flavour.replaceAll(/\d+(?:\.\d+)*/g, '#') };
}
