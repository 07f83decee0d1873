import { ManifoldError, oneLine } from '../errors.ts';
import { assembleIndex, type IndexFormat, type PlatformImage } from '../oci/index.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { comparePlatforms, formatPlatform, type Platform } from '../oci/platform.ts';
import type { Child } from './children.ts';

/** What tags will point at, and what it is made of. */
export interface IndexImage {
  readonly content: ManifestContent;
  /** In the order of the index. */
  readonly children: readonly PlatformImage[];
  /** The manifests of the images, for tags of single platforms; in the same order. */
  readonly manifests: readonly ManifestContent[];
  /** There is no index: the content is the manifest of the only platform. */
  readonly isPlain: boolean;
  /** Platforms that were expected and are left out, as the user allowed. */
  readonly missing: readonly Platform[];
}

export interface IndexOptions {
  readonly format: IndexFormat;
  readonly singlePlatform: 'index' | 'manifest';
  readonly annotations: Readonly<Record<string, string>>;
  readonly descriptorAnnotations: (platform: Platform) => Readonly<Record<string, string>>;
  readonly missing: readonly Platform[];
}

/**
 * Makes the bytes that all registries get. The same children and annotations give the same bytes.
 * @throws ManifoldError `mixed-media-types`, `doubled-platform`, `invalid-input`
 */
export function createIndexImage(built: readonly Child[], options: IndexOptions): IndexImage {
  const sorted = built.toSorted((a, b) => comparePlatforms(a.built.image.platform, b.built.image.platform));
  const children = sorted.map(child => child.built.image);
  const manifests = sorted.map(child => child.built.manifest);
  const { format, annotations, descriptorAnnotations, missing } = options;
  const common = { children, manifests, missing };
  if (options.singlePlatform === 'manifest') {
    refuseAnnotations(children, options);
    const content = onlyOf(manifests, children);
    return { ...common, content, children: children.map(withoutAttestations), isPlain: true };
  }
  const content = assembleIndex(children, { annotations, descriptorAnnotations, format });
  return { ...common, content, isPlain: false };
}

/** An index would name them; a plain manifest does not. */
function withoutAttestations(child: PlatformImage): PlatformImage {
  return { ...child, attestations: [] };
}

/** What was asked for by name is not dropped in silence. */
function refuseAnnotations(
  children: readonly PlatformImage[],
  { annotations, descriptorAnnotations }: IndexOptions,
): void {
  const asked = [annotations, ...children.map(({ platform }) => descriptorAnnotations(platform))];
  const keys = new Set(asked.flatMap(Object.keys));
  if (keys.size === 0) return;
  throw new ManifoldError(
    'invalid-input',
    `With "single-platform: manifest" there is no index, and these annotations are asked for: ${oneLine([...keys].join(', '))}.`,
    { hint: 'Leave "single-platform" out, or annotate the image where it is built.' },
  );
}

function onlyOf(manifests: readonly ManifestContent[], children: readonly PlatformImage[]): ManifestContent {
  const [only, ...others] = manifests;
  if (only !== undefined && others.length === 0) return only;
  const platforms = children.map(({ platform }) => formatPlatform(platform)).join(', ');
  throw new ManifoldError(
    'invalid-input',
    `"single-platform" is "manifest", but the image has several platforms: ${platforms}.`,
    { hint: 'Only an image of one platform can do without an index: leave "single-platform" out.' },
  );
}
