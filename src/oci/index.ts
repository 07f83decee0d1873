import { ManifoldError, oneLine } from '../errors.ts';
import {
  type Descriptor,
  type ImageConfig,
  type ManifestContent,
  MEDIA_TYPE,
  manifestContent,
} from './manifest.ts';
import { comparePlatforms, formatPlatform, normalisePlatform, type Platform } from './platform.ts';

/** BuildKit's annotations on the descriptor of an attestation manifest (docs/attestations/attestation-storage.md). */
const REFERENCE = 'vnd.docker.reference.';
const REFERENCE_TYPE = `${REFERENCE}type`;
export const REFERENCE_DIGEST = `${REFERENCE}digest`;

/** One platform of an image: its manifest, what its config says of itself, and the attestations about it. */
export interface PlatformImage {
  readonly platform: Platform;
  readonly image: Descriptor;
  readonly config: ImageConfig;
  readonly attestations: readonly Descriptor[];
}

/** The two kinds of document that list images by platform: an OCI image index, and a Docker manifest list. */
export type IndexFormat = 'oci' | 'docker';

const FORMATS = {
  oci: { name: 'An OCI image index', index: MEDIA_TYPE.ociIndex, manifest: MEDIA_TYPE.ociManifest },
  docker: {
    name: 'A Docker manifest list',
    index: MEDIA_TYPE.dockerList,
    manifest: MEDIA_TYPE.dockerManifest,
  },
} as const;

type Annotations = Readonly<Record<string, string>>;

export interface IndexOptions {
  readonly format: IndexFormat;
  /** On the index itself; there can be none in a Docker manifest list. */
  readonly annotations: Annotations;
  /** On the descriptor of one platform's image, over what stands there already; there can be none in a Docker manifest list. */
  readonly descriptorAnnotations?: (platform: Platform) => Annotations;
}

/** Tells whether a descriptor of an index is BuildKit's attestation manifest and not an image. */
export function isAttestation(descriptor: Descriptor): boolean {
  return descriptor.annotations?.[REFERENCE_TYPE] === 'attestation-manifest';
}

/**
 * Makes the bytes of an OCI image index (image-spec, image-index.md) or of a Docker manifest list (distribution,
 * "Image Manifest V 2, Schema 2"). The same images and annotations give the same bytes, in whatever order they come:
 * the images are sorted by platform, each followed by its attestation manifests.
 * @throws ManifoldError `mixed-media-types`, `doubled-platform`, `invalid-input` for an annotation that cannot stand there
 */
export function assembleIndex(images: readonly PlatformImage[], options: IndexOptions): ManifestContent {
  const { format, annotations, descriptorAnnotations = () => ({}) } = options;
  const annotated = inIndexOrder(images).map(image => ({
    ...image,
    asked: descriptorAnnotations(image.platform),
  }));
  refuseDoubled(annotated);
  for (const asked of [annotations, ...annotated.map(image => image.asked)]) refuseReserved(asked);
  if (format === 'docker') refuseBeyondDocker(annotated, annotations);
  refuseForeignTypes(annotated, format);
  const mediaType = FORMATS[format].index;
  const document = {
    schemaVersion: 2,
    mediaType,
    manifests: annotated.flatMap(image => [imageDescriptor(image), ...attestationDescriptors(image)]),
    ...annotationField(annotations),
  };
  return manifestContent(Buffer.from(JSON.stringify(document, null, 2)), mediaType);
}

/** Images as an index lists them: by platform. */
export function inIndexOrder<Image extends PlatformImage>(images: readonly Image[]): Image[] {
  return images.toSorted((a, b) => comparePlatforms(a.platform, b.platform));
}

/** An image with the annotations that were asked for its descriptor. */
interface AnnotatedImage extends PlatformImage {
  readonly asked: Annotations;
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

/** Who wrote one of these on an image could hide it, or pass it off as the attestation of another. */
function refuseReserved(asked: Annotations): void {
  const key = Object.keys(asked).find(name => name.startsWith(REFERENCE));
  if (key === undefined) return;
  throw new ManifoldError('invalid-input', `The annotation ${oneLine(key)} cannot be set.`, {
    hint: `Keys that begin with ${REFERENCE} tie attestations to their images. Take it out.`,
  });
}

/**
 * A manifest list has no field for annotations, and attestation manifests are found by theirs: BuildKit exports
 * neither with Docker media types.
 */
function refuseBeyondDocker(images: readonly AnnotatedImage[], annotations: Annotations): void {
  const attested = images.filter(({ attestations }) => attestations.length > 0);
  if (attested.length > 0) {
    throw new ManifoldError(
      'mixed-media-types',
      `A Docker manifest list holds no attestations, and there are some of ${attested.map(({ platform }) => formatPlatform(platform)).join(', ')}.`,
      { hint: 'Build with OCI media types, or without provenance and SBOM.' },
    );
  }
  const keys = [
    annotations,
    ...images.flatMap(({ image, asked }) => [image.annotations ?? {}, asked]),
  ].flatMap(Object.keys);
  if (keys.length === 0) return;
  throw new ManifoldError(
    'invalid-input',
    `A Docker manifest list carries no annotations, and these are asked for: ${oneLine([...new Set(keys)].join(', '))}.`,
    { hint: 'Build with OCI media types, or take the annotations out.' },
  );
}

/** Quay and others refuse Docker-type children in an OCI index, and a Docker list holds no OCI ones. */
function refuseForeignTypes(images: readonly AnnotatedImage[], format: IndexFormat): void {
  const found = images.flatMap(({ platform, image, attestations }) => {
    const name = formatPlatform(platform);
    const about = attestations.map(({ mediaType }) => ({ name: `the attestations of ${name}`, mediaType }));
    return [{ name, mediaType: image.mediaType }, ...about];
  });
  const { name, manifest } = FORMATS[format];
  if (found.every(({ mediaType }) => mediaType === manifest)) return;
  const types = Map.groupBy(found, ({ mediaType }) => mediaType);
  const groups = [...types].map(
    ([type, members]) =>
      `${nameOfType(type)}: ${[...new Set(members.map(member => member.name))].join(', ')}`,
  );
  throw new ManifoldError(
    'mixed-media-types',
    `${name} holds nothing but manifests of type ${nameOfType(manifest)}, and these are there: ${groups.join('; ')}.`,
    {
      hint: 'Build all platforms with the same media types: without "oci-mediatypes: false" in any build for an OCI image index, with it in every build for a Docker manifest list.',
    },
  );
}

function nameOfType(mediaType: string): string {
  if (mediaType === MEDIA_TYPE.ociManifest) return 'OCI';
  return mediaType === MEDIA_TYPE.dockerManifest ? 'Docker' : oneLine(mediaType);
}

function imageDescriptor({ image, config, asked }: AnnotatedImage): object {
  const { mediaType, digest, size, artifactType, annotations } = image;
  const { os, architecture, variant } = normalisePlatform(config);
  const { 'os.version': version = '', 'os.features': features = [] } = config;
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...annotationField({ ...annotations, ...asked }),
    platform: {
      architecture,
      os,
      ...(version === '' ? {} : { 'os.version': version }),
      ...(features.length === 0 ? {} : { 'os.features': features }),
      ...(variant === undefined ? {} : { variant }),
    },
  };
}

function attestationDescriptors({ image, attestations }: AnnotatedImage): object[] {
  return [...attestations]
    .sort((a, b) => (a.digest < b.digest ? -1 : 1))
    .map(({ mediaType, digest, size, artifactType, annotations }) => ({
      mediaType,
      digest,
      size,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...annotationField({
        ...annotations,
        [REFERENCE_TYPE]: 'attestation-manifest',
        [REFERENCE_DIGEST]: image.digest,
      }),
      platform: { architecture: 'unknown', os: 'unknown' },
    }));
}

/** Sorted by key; no field where there is nothing to say. */
function annotationField(annotations: Annotations): { annotations?: Annotations } {
  const entries = Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? {} : { annotations: Object.fromEntries(entries) };
}
