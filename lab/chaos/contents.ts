import { type Contents, sha256 } from '../../__tests__/servers/registry.ts';
import type { Expected } from './site.ts';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** One repository of one registry. */
export interface Repository {
  readonly name: string;
  readonly contents: Contents;
  readonly listsReferrers: boolean;
}

/** Exactly the platforms that were built, from their newest attempt, each followed by its attestation manifest. */
export function faultsOfChildren(
  name: string,
  expected: readonly Expected[],
  children: readonly Descriptor[],
): string[] {
  const found = children.map(child => `${platformOf(child)} ${child.digest}`);
  const wanted = expected.map(({ build, image }) => [
    `${build.platform} ${image.manifest.descriptor.digest}`,
    ...(image.attestation === undefined ? [] : [`unknown/unknown ${image.attestation.descriptor.digest}`]),
  ]);
  const faults = wanted.flatMap(([first = '', ...attestations]) => {
    const at = found.indexOf(first);
    if (at < 0) return [`${name}: the index lacks ${first}`];
    return attestations
      .filter((entry, n) => found[at + n + 1] !== entry)
      .map(entry => `${name}: ${entry} does not follow ${first}`);
  });
  const strange = found
    .filter(entry => !wanted.flat().includes(entry))
    .map(entry => `${name}: the index holds ${entry}`);
  const doubled = found.length === new Set(found).size ? [] : [`${name}: the index names a manifest twice`];
  return [...faults, ...strange, ...doubled];
}

function platformOf({ platform }: Omit<Descriptor, 'annotations'>): string {
  if (platform === undefined) return 'no platform';
  const { os, architecture, variant } = platform;
  return [os, architecture, variant].filter(part => part !== undefined).join('/');
}

/** Whether a child of the index is there with all that it names, and its config is for its platform. */
export function faultsOfContent(
  { name, contents }: Repository,
  child: Omit<Descriptor, 'annotations'>,
): string[] {
  const held = contents.manifests.get(child.digest);
  if (held === undefined) return [`${name}@${child.digest} is missing`];
  const { config, layers } = JSON.parse(held.bytes.toString()) as {
    config: Descriptor;
    layers: Descriptor[];
  };
  const broken = [config, ...layers]
    .filter(({ digest }) => sha256(contents.blobs.get(digest) ?? Buffer.alloc(0)) !== digest)
    .map(({ digest }) => `${name}@${child.digest} lacks the blob ${digest}, or its bytes are others`);
  if (broken.length > 0) return broken;
  const isDifferent = held.bytes.length !== child.size || held.mediaType !== child.mediaType;
  const inside = platformInside(contents, config);
  return [
    ...(isDifferent ? [`${name}@${child.digest} has another size or type than the index says`] : []),
    ...(inside === platformOf(child)
      ? []
      : [`${name}@${child.digest} is for ${inside}, not for ${platformOf(child)}`]),
  ];
}

function platformInside(contents: Contents, config: Descriptor): string {
  const text = contents.blobs.get(config.digest)?.toString() ?? '';
  const platform = JSON.parse(text) as NonNullable<Descriptor['platform']>;
  // "v8" is what every arm64 is.
  const isBasic = platform.architecture === 'arm64' && platform.variant === 'v8';
  const { os, architecture, variant } = platform;
  return [os, architecture, isBasic ? undefined : variant].filter(part => part !== undefined).join('/');
}
