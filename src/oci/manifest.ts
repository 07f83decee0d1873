import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, oneLine } from '../errors.ts';
import { annotationsSchema } from './annotations.ts';
import { type Digest, digestOf, digestSchema } from './digest.ts';
import { isPlatformWord } from './platform.ts';

export const MEDIA_TYPE = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  inToto: 'application/vnd.in-toto+json',
} as const;

/** What a client says it reads when it asks for a manifest. */
export const MANIFEST_TYPES = [
  MEDIA_TYPE.ociIndex,
  MEDIA_TYPE.ociManifest,
  MEDIA_TYPE.dockerList,
  MEDIA_TYPE.dockerManifest,
] as const;

export function isIndexType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.ociIndex || mediaType === MEDIA_TYPE.dockerList;
}

export function isManifestType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.ociManifest || mediaType === MEDIA_TYPE.dockerManifest;
}

const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const platform = v.object({
  os: v.string(),
  architecture: v.string(),
  variant: v.optional(v.string()),
  'os.version': v.optional(v.string()),
  'os.features': v.optional(v.array(v.string())),
});

/** OCI image-spec, descriptor.md. */
export const descriptorSchema = v.object({
  mediaType: v.string(),
  digest: digestSchema,
  size,
  artifactType: v.optional(v.string()),
  annotations: v.optional(annotationsSchema),
  platform: v.optional(platform),
});

const layer = v.object({
  ...descriptorSchema.entries,
  /** Where else the content may be had. */
  urls: v.nullish(v.array(v.string())),
});

const index = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  artifactType: v.optional(v.string()),
  manifests: v.array(descriptorSchema),
  annotations: v.optional(annotationsSchema),
  subject: v.optional(descriptorSchema),
});

const manifest = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  artifactType: v.optional(v.string()),
  config: descriptorSchema,
  layers: v.array(layer),
  annotations: v.optional(annotationsSchema),
  subject: v.optional(descriptorSchema),
});

const platformWord = v.pipe(v.string(), v.check(isPlatformWord, 'a word as in linux, amd64 or v7'));

const config = v.object({
  os: platformWord,
  architecture: platformWord,
  variant: v.optional(v.union([v.literal(''), platformWord])),
  'os.version': v.optional(v.string()),
  'os.features': v.optional(v.array(v.string())),
});

/** OCI image-spec, descriptor.md. */
export type Descriptor = v.InferOutput<typeof descriptorSchema>;
/** What a blob is known by. */
export type BlobDescriptor = Pick<Descriptor, 'digest' | 'size'>;
/** A layer's descriptor, which may say where else its content lies. */
export type Layer = v.InferOutput<typeof layer>;
/** OCI image-spec, image-index.md; a Docker manifest list has the same shape. */
export type ImageIndex = v.InferOutput<typeof index>;
/** OCI image-spec, manifest.md; a Docker image manifest has the same shape. */
export type ImageManifest = v.InferOutput<typeof manifest>;
/** The part of OCI image-spec, config.md, that names the platform. */
export type ImageConfig = v.InferOutput<typeof config>;

/** A manifest of any kind as a registry holds it: the bytes are the truth, all else follows from them. */
export interface ManifestContent {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: Digest;
}

export function manifestContent(bytes: Uint8Array, mediaType: string): ManifestContent {
  return { bytes, mediaType, digest: digestOf(bytes) };
}

/** The descriptor by which an index, a record or a referrer names this content. */
export function descriptorOf(content: ManifestContent): Descriptor {
  return { mediaType: content.mediaType, digest: content.digest, size: content.bytes.byteLength };
}

/**
 * Makes sure that a manifest is what its descriptor says: clients ask for it by those words.
 * @throws ManifoldError `invalid-document`
 */
export function requireDescribed(
  { mediaType, bytes }: ManifestContent,
  descriptor: Descriptor,
  where: string,
): void {
  if (mediaType === descriptor.mediaType && bytes.byteLength === descriptor.size) return;
  throw new ManifoldError('invalid-document', `${where} has another size or media type than its index says.`);
}

/** @throws ManifoldError `invalid-document` */
export function parseIndex(content: ManifestContent, where: string): ImageIndex {
  const document = parseDocument(index, content.bytes, `the image index ${where}`);
  refuseOtherType(document.mediaType, content.mediaType, where);
  return document;
}

/** @throws ManifoldError `invalid-document` */
export function parseManifest(content: ManifestContent, where: string): ImageManifest {
  const document = parseDocument(manifest, content.bytes, `the image manifest ${where}`);
  refuseOtherType(document.mediaType, content.mediaType, where);
  return document;
}

/** @throws ManifoldError `invalid-document` */
export function parseConfig(bytes: Uint8Array, where: string): ImageConfig {
  return parseDocument(config, bytes, `the image config ${where}`);
}

/** Bytes that call themselves something else than their descriptor are an attack (OCI image-spec, CVE-2021-41190). */
function refuseOtherType(inside: string | undefined, outside: string, where: string): void {
  if (inside === undefined || inside === outside) return;
  throw new ManifoldError(
    'invalid-document',
    `${where} is served as ${oneLine(outside)} but says of itself that it is ${oneLine(inside)}.`,
  );
}
