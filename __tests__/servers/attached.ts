import type { Descriptor } from '../../src/oci/manifest.ts';
import { type Made, made, storeManifest, TYPES } from './images.ts';
import type { Contents } from './registry.ts';

export const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
export const EMPTY = 'application/vnd.oci.empty.v1+json';
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';

export interface Attachment {
  /** Undefined: the manifest does not say. */
  readonly artifactType?: string | undefined;
  readonly layerType?: string;
  readonly config?: string;
  readonly annotations?: Record<string, string>;
  /** Changes what the manifest says of its layer. */
  readonly layer?: Partial<Descriptor>;
  readonly copies?: number;
}

/** Stores a manifest that refers to an image, with a bundle as its layer; without content the layer is not there. */
export function attach(
  contents: Contents,
  subject: Descriptor,
  content: string | undefined,
  attachment: Attachment = {},
): Made {
  const { layerType = BUNDLE, config = EMPTY, annotations, copies = 1 } = attachment;
  const artifactType = 'artifactType' in attachment ? attachment.artifactType : BUNDLE;
  const layer = made(layerType, content ?? 'gone');
  if (content !== undefined) contents.blobs.set(layer.descriptor.digest, layer.bytes);
  const { mediaType, digest, size } = subject;
  const manifest = made(TYPES.manifest, {
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    artifactType,
    config: made(config, '{}').descriptor,
    layers: Array.from({ length: copies }, () => ({ ...layer.descriptor, ...attachment.layer })),
    subject: { mediaType, digest, size },
    annotations,
  });
  storeManifest(contents, manifest);
  return manifest;
}

/** What a layer of the older format is made of. */
export interface LegacyLayer {
  readonly payload: Buffer;
  readonly annotations: Record<string, string>;
  readonly mediaType?: string;
  readonly size?: number;
}

/** Stores signatures of an image in the older format under its tag. */
export function attachLegacy(contents: Contents, subject: string, layers: readonly LegacyLayer[]): Made {
  const manifest = made(TYPES.manifest, {
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    config: made(TYPES.config, '{}').descriptor,
    layers: layers.map(({ payload, annotations, mediaType = SIMPLE_SIGNING, size }) => {
      const { descriptor, bytes } = made(mediaType, payload.toString());
      contents.blobs.set(descriptor.digest, bytes);
      return { ...descriptor, annotations, size: size ?? descriptor.size };
    }),
  });
  storeManifest(contents, manifest);
  contents.tags.set(`${subject.replace(':', '-')}.sig`, manifest.descriptor.digest);
  return manifest;
}
