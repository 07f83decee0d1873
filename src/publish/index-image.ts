import { ManifoldError, oneLine } from '../errors.ts';
import { assembleIndex, type IndexOptions, inIndexOrder, type PlatformImage } from '../oci/index.ts';
import type { Descriptor, ManifestContent } from '../oci/manifest.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import type { BuildRecord } from '../records/record.ts';
import type { RepositoryClient } from '../registry/client.ts';
import type { ReadBuild } from './read-builds.ts';

/** One platform of what is published, and the build that it comes from. */
export interface PublishedPlatform extends PlatformImage {
  readonly manifest: ManifestContent;
  readonly record: BuildRecord;
  /** Where the build was read. */
  readonly source: RepositoryClient;
}

/** What tags will point at, and what it is made of. */
export interface IndexImage {
  readonly content: ManifestContent;
  /** In the order of the index. That of a plain image has no attestations: nothing would lead to them. */
  readonly platforms: readonly PublishedPlatform[];
  /** There is no index: the content is the manifest of the only platform. */
  readonly isPlain: boolean;
  /** Platforms that were expected and are left out, as the user allowed. */
  readonly missing: readonly Platform[];
}

export interface IndexImageOptions extends Required<IndexOptions> {
  readonly singlePlatform: 'index' | 'manifest';
  readonly missing: readonly Platform[];
}

/**
 * Makes the bytes that all registries get. The same builds and annotations give the same bytes.
 * @throws ManifoldError `mixed-media-types`, `doubled-platform`, `invalid-input`
 */
export function createIndexImage(builds: readonly ReadBuild[], options: IndexImageOptions): IndexImage {
  const { missing } = options;
  const platforms = inIndexOrder(
    builds.map(({ built: { image, manifest }, record, source }) => ({ ...image, manifest, record, source })),
  );
  if (options.singlePlatform === 'index') {
    return { content: assembleIndex(platforms, options), platforms, isPlain: false, missing };
  }
  refuseAnnotations(platforms, options);
  const only = onlyOf(platforms);
  return { content: only.manifest, platforms: [{ ...only, attestations: [] }], isPlain: true, missing };
}

/** The manifest of a platform, followed by those of its attestations. */
export function manifestsOf({ image, attestations }: PlatformImage): Descriptor[] {
  return [image, ...attestations];
}

/** All manifests below the one that tags point at: images and attestation manifests, in the order of the index. */
export function childrenOf({ isPlain, platforms }: IndexImage): Descriptor[] {
  return isPlain ? [] : platforms.flatMap(manifestsOf);
}

/** What was asked for by name is not dropped in silence. */
function refuseAnnotations(
  platforms: readonly PublishedPlatform[],
  { annotations, descriptorAnnotations }: IndexImageOptions,
): void {
  const asked = [annotations, ...platforms.map(({ platform }) => descriptorAnnotations(platform))];
  const keys = new Set(asked.flatMap(Object.keys));
  if (keys.size === 0) return;
  throw new ManifoldError(
    'invalid-input',
    `With "single-platform: manifest" there is no index, and these annotations are asked for: ${oneLine([...keys].join(', '))}.`,
    { hint: 'Leave "single-platform" out, or annotate the image where it is built.' },
  );
}

function onlyOf(platforms: readonly PublishedPlatform[]): PublishedPlatform {
  const [only, ...others] = platforms;
  if (only !== undefined && others.length === 0) return only;
  const names = platforms.map(({ platform }) => formatPlatform(platform)).join(', ');
  throw new ManifoldError(
    'invalid-input',
    `"single-platform" is "manifest", but the image has several platforms: ${names}.`,
    { hint: 'Only an image of one platform can do without an index: leave "single-platform" out.' },
  );
}
