import { ManifoldError, oneLine } from '../errors.ts';

/**
 * A platform (OCI image-spec, image-index.md, "platform"), normalised: one way to write each.
 * `variant` is absent where it is the architecture's only or basic one (arm64/v8, amd64/v1).
 */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** How people write architectures -> GOARCH and variant, as containerd normalises them. */
const ARCHITECTURES: Record<string, readonly [architecture: string, variant?: string]> = {
  amd64: ['amd64'],
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  386: ['386'],
  i386: ['386'],
  i686: ['386'],
  x86: ['386'],
  arm64: ['arm64'],
  aarch64: ['arm64'],
  arm: ['arm', 'v7'],
  armhf: ['arm', 'v7'],
  armv7: ['arm', 'v7'],
  armv7l: ['arm', 'v7'],
  armel: ['arm', 'v6'],
  armv6: ['arm', 'v6'],
  armv6l: ['arm', 'v6'],
  armv5: ['arm', 'v5'],
  ppc64le: ['ppc64le'],
  powerpc64le: ['ppc64le'],
  ppc64: ['ppc64'],
  s390x: ['s390x'],
  riscv64: ['riscv64'],
  loong64: ['loong64'],
  loongarch64: ['loong64'],
  mips64le: ['mips64le'],
  mips64el: ['mips64le'],
  mips64: ['mips64'],
  mipsle: ['mipsle'],
  mips: ['mips'],
  wasm: ['wasm'],
};

/** All names of architectures that are understood. */
export const ARCHITECTURE_NAMES: readonly string[] = Object.keys(ARCHITECTURES);
/** Those of them that are another way to write one. */
export const ARCHITECTURE_ALIASES: readonly string[] = ARCHITECTURE_NAMES.filter(
  name => ARCHITECTURES[name]?.[0] !== name,
);

/** What Go compiles for or has compiled for: its GOOS and GOARCH (golang/go, src/internal/syslist). */
export const GO_SYSTEMS: readonly string[] = [
  ...['aix', 'android', 'darwin', 'dragonfly', 'freebsd', 'hurd', 'illumos', 'ios', 'js', 'linux', 'nacl'],
  ...['netbsd', 'openbsd', 'plan9', 'solaris', 'wasip1', 'windows', 'zos'],
];
export const GO_ARCHITECTURES: readonly string[] = [
  ...['386', 'amd64', 'amd64p32', 'arm', 'armbe', 'arm64', 'arm64be', 'loong64', 'mips', 'mipsle', 'mips64'],
  ...['mips64le', 'mips64p32', 'mips64p32le', 'ppc', 'ppc64', 'ppc64le', 'riscv', 'riscv64', 's390', 's390x'],
  ...['sparc', 'sparc64', 'wasm'],
];

const OPERATING_SYSTEMS: Record<string, string> = { macos: 'darwin' };
const PART = /^[a-z0-9_]+$/;

/**
 * Tells whether what an image's config says can be part of a platform. Other words than those that `parsePlatform`
 * takes may come from other tools (`v8.1`), but nothing that could write into a log.
 */
export function isPlatformWord(text: string): boolean {
  return /^[\w.-]{1,64}$/.test(text);
}

/**
 * Reads a platform as people write it: `linux/arm64`, `linux/arm/v7`, `aarch64`, `linux/x86_64`. An architecture alone
 * means Linux. Nothing is filled in from the machine that runs this. On a system that Go knows the architecture is one
 * that Go knows: what else stands there is a slip of the pen.
 * @throws ManifoldError `invalid-platform`
 */
export function parsePlatform(text: string): Platform {
  if (text.includes(',')) throw invalid(text, 'it is a list, and one platform is wanted here');
  const parts = text.trim().toLowerCase().split('/');
  const [first = '', second, third] = parts;
  if (parts.length > 3) throw invalid(text, 'it has more than three parts');
  if (parts.includes('')) throw invalid(text, 'a part of it is empty');
  if (second === undefined) {
    if (!Object.hasOwn(ARCHITECTURES, first)) {
      throw invalid(text, unknownArchitecture(first));
    }
    return normalisePlatform({ os: 'linux', architecture: first });
  }
  if (first === 'unknown' || second === 'unknown')
    throw invalid(text, 'only attestations are for no platform');
  if (Object.hasOwn(ARCHITECTURES, first) && !Object.hasOwn(ARCHITECTURES, second)) {
    const isVariant = third === undefined && /^v?[0-9]/.test(second);
    const hint = isVariant ? `Write linux/${first}/${oneLine(second)}.` : undefined;
    throw invalid(text, 'the operating system comes first', hint);
  }
  const platform = normalisePlatform({ os: first, architecture: second, variant: third });
  const illegal = Object.values<string>({ ...platform }).find(part => !PART.test(part));
  if (illegal !== undefined) throw invalid(text, `"${oneLine(illegal)}" is not a part of a platform`);
  if (GO_SYSTEMS.includes(platform.os) && !GO_ARCHITECTURES.includes(platform.architecture))
    throw invalid(text, unknownArchitecture(second));
  return platform;
}

function unknownArchitecture(name: string): string {
  const known = [...new Set([...ARCHITECTURE_NAMES, ...GO_ARCHITECTURES])];
  const distances = known.map(candidate => distance(name.slice(0, 20), candidate));
  const least = Math.min(...distances);
  const meant = least <= 2 && least < name.length - 1 ? known[distances.indexOf(least)] : undefined;
  return `"${oneLine(name)}" is no known architecture${meant === undefined ? '' : ` (did you mean ${meant}?)`}`;
}

/** How many letters must be put in, left out, replaced, or swapped with their neighbour to make one word of another. */
function distance(from: string, to: string): number {
  const rows = Array.from({ length: from.length + 1 }, (_, i) => [i]);
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  rows[0] = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    for (let j = 1; j <= to.length; j++) {
      const replaced = at(i - 1, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwap = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swapped = isSwap ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY;
      rows[i]?.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replaced, swapped));
    }
  }
  return at(from.length, to.length);
}

function invalid(text: string, reason: string, hint?: string): ManifoldError {
  return new ManifoldError('invalid-platform', `"${oneLine(text)}" is no platform: ${reason}.`, {
    hint:
      hint ??
      'A platform is os/architecture or os/architecture/variant, for example linux/amd64, linux/arm64, linux/arm/v7.',
  });
}

/** Brings what stands in an image's config or a descriptor into the one way to write it. */
export function normalisePlatform(raw: {
  os: string;
  architecture: string;
  variant?: string | undefined;
}): Platform {
  const name = raw.os.toLowerCase();
  const os = Object.hasOwn(OPERATING_SYSTEMS, name) ? (OPERATING_SYSTEMS[name] ?? name) : name;
  const written = raw.architecture.toLowerCase();
  const [architecture, implied] = Object.hasOwn(ARCHITECTURES, written)
    ? (ARCHITECTURES[written] ?? [written])
    : [written];
  const variant = normaliseVariant(architecture, raw.variant?.toLowerCase() || implied);
  return variant === undefined ? { os, architecture } : { os, architecture, variant };
}

function normaliseVariant(architecture: string, variant: string | undefined): string | undefined {
  if (variant === undefined) return undefined;
  const versioned = /^[0-9]/.test(variant) ? `v${variant}` : variant;
  // Go's own spelling has the minor version: GOARM64=v8.0.
  if (architecture === 'arm64')
    return /^v8(?:\.0)?$/.test(versioned) ? undefined : versioned.replace(/^v9\.0$/, 'v9');
  if (architecture === 'amd64' && versioned === 'v1') return undefined;
  return versioned;
}

/** `linux/arm/v7` */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

export function samePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(a) === formatPlatform(b);
}

const FIRST = ['linux/amd64', 'linux/arm64'];

/**
 * The order of children in an index, the same whatever order the builds ended in. The two platforms that nearly
 * everybody runs come first, because clients that know nothing of platforms take the first entry.
 */
export function comparePlatforms(a: Platform, b: Platform): number {
  const [left, right] = [formatPlatform(a), formatPlatform(b)];
  const rank = (name: string): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return rank(left) - rank(right) || (left < right ? -1 : left > right ? 1 : 0);
}
