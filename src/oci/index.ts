import { ManifoldError, oneLine } from '../errors.ts';
import {
  type Descriptor,
  type ImageConfig,
  isManifestType,
  type ManifestContent,
  MEDIA_TYPE,
  manifestContent,
} from './manifest.ts';
import { comparePlatforms, formatPlatform, normalisePlatform, type Platform } from './platform.ts';

/** BuildKit's annotations on the descriptor of an attestation manifest (docs/attestations/attestation-storage.md). */
const REFERENCE_TYPE = 'vnd.docker.reference.type';
export const REFERENCE_DIGEST = 'vnd.docker.reference.digest';

/** One platform of an image: its manifest, what its config says of itself, and the attestations about it. */
export interface PlatformImage {
  readonly platform: Platform;
  readonly image: Descriptor;
  readonly config: ImageConfig;
  readonly attestations: readonly Descriptor[];
}

/** Tells whether a descriptor of an index is BuildKit's attestation manifest and not an image. */
export function isAttestation(descriptor: Descriptor): boolean {
  return descriptor.annotations?.[REFERENCE_TYPE] === 'attestation-manifest';
}

/**
 * Makes the bytes of an OCI image index (image-spec, image-index.md). The same images and annotations give the same
 * bytes, in whatever order they come: children are sorted by platform, each followed by its attestation manifests.
 * @throws ManifoldError `mixed-media-types`, `doubled-platform`
 */
export function assembleIndex(
  images: readonly PlatformImage[],
  annotations: Readonly<Record<string, string>>,
): ManifestContent {
  const sorted = [...images].sort((a, b) => comparePlatforms(a.platform, b.platform));
  refuseDoubled(sorted);
  for (const image of sorted) refuseForeignType(image);
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociIndex,
    manifests: sorted.flatMap(image => [imageDescriptor(image), ...attestationDescriptors(image)]),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations: sortKeys(annotations) }),
  };
  return manifestContent(Buffer.from(JSON.stringify(document, null, 2)), MEDIA_TYPE.ociIndex);
}

function refuseDoubled(sorted: readonly PlatformImage[]): void {
  for (const [position, image] of sorted.entries()) {
    const next = sorted[position + 1];
    if (next === undefined || comparePlatforms(image.platform, next.platform) !== 0) continue;
    throw new ManifoldError(
      'doubled-platform',
      `${formatPlatform(image.platform)} stands twice in the index: ${image.image.digest} and ${next.image.digest}.`,
    );
  }
}

/** Quay and others refuse Docker-type children in an OCI index, and a Docker list holds no OCI ones. */
function refuseForeignType(image: PlatformImage): void {
  if (image.image.mediaType === MEDIA_TYPE.ociManifest) return;
  const found = isManifestType(image.image.mediaType)
    ? 'a Docker image manifest'
    : oneLine(image.image.mediaType);
  throw new ManifoldError(
    'mixed-media-types',
    `The image of ${formatPlatform(image.platform)} is ${found}, but an OCI index holds OCI image manifests only.`,
    { hint: "Build it with OCI media types: oci-mediatypes=true, which Manifold's build mode sets." },
  );
}

function imageDescriptor(image: PlatformImage): object {
  const { mediaType, digest, size, annotations } = image.image;
  const { os, architecture, variant } = normalisePlatform(image.config);
  return {
    mediaType,
    digest,
    size,
    ...(annotations === undefined ? {} : { annotations: sortKeys(annotations) }),
    platform: {
      architecture,
      os,
      ...pick(image.config, 'os.version'),
      ...pick(image.config, 'os.features'),
      ...(variant === undefined ? {} : { variant }),
    },
  };
}

function pick(config: ImageConfig, key: keyof ImageConfig): object {
  return config[key] === undefined ? {} : { [key]: config[key] };
}

function attestationDescriptors(image: PlatformImage): object[] {
  return [...image.attestations]
    .sort((a, b) => (a.digest < b.digest ? -1 : 1))
    .map(({ mediaType, digest, size, artifactType, annotations }) => ({
      mediaType,
      digest,
      size,
      ...(artifactType === undefined ? {} : { artifactType }),
      annotations: sortKeys({
        ...annotations,
        [REFERENCE_TYPE]: 'attestation-manifest',
        [REFERENCE_DIGEST]: image.image.digest,
      }),
      platform: { architecture: 'unknown', os: 'unknown' },
    }));
}

function sortKeys(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
