import { bundleToJSON, toDSSEBundle } from '@sigstore/bundle';
import {
  type BlobDescriptor,
  type Descriptor,
  type ManifestContent,
  MEDIA_TYPE,
  manifestContent,
} from '../oci/manifest.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { pushReferrer } from '../registry/referrers.ts';
import type { Signature } from './signer.ts';
import { PAYLOAD_TYPE, SIGNATURE_PREDICATE } from './statement.ts';
import type { Testimony } from './witness.ts';

/** Media type, and artifact type as a referrer, of a Sigstore bundle (sigstore/protobuf-specs, sigstore_bundle.proto). */
export const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

export const PREDICATE_ANNOTATION = 'dev.sigstore.bundle.predicateType';

/** Puts a signed statement and its witnesses' words into a bundle of version 0.3, as bytes. */
export function formatBundle(payload: Buffer, signature: Signature, testimony: Testimony): Buffer {
  const { bytes, by } = signature;
  const bundle = toDSSEBundle({
    artifact: payload,
    artifactType: PAYLOAD_TYPE,
    signature: bytes,
    ...(by.kind === 'certificate' ? { certificate: by.certificate.raw } : { keyHint: by.key.fingerprint }),
    certificateChain: false,
  });
  // The library puts the hint here too; what the log was given, and what cosign writes, has no key ID.
  for (const signed of bundle.content.dsseEnvelope.signatures) signed.keyid = '';
  bundle.verificationMaterial.tlogEntries = [...testimony.entries];
  bundle.verificationMaterial.timestampVerificationData = {
    rfc3161Timestamps: testimony.timestamps.map(signedTimestamp => ({ signedTimestamp })),
  };
  return Buffer.from(JSON.stringify(bundleToJSON(bundle)));
}

/** A bundle whose bytes are in the registry, and which nothing refers to yet. */
export interface UploadedBundle {
  /** The manifest that is to refer to the image. */
  readonly referrer: ManifestContent;
  /** Of the blob with the bundle. */
  readonly blob: BlobDescriptor;
  /** Lists it among the referrers of the image. */
  readonly attach: () => Promise<void>;
}

/**
 * Uploads a bundle, to be attached to an image as cosign 3 does: by a manifest with the image as `subject`, the bundle as
 * its only layer and an empty config (OCI image-spec, manifest.md, "Guidelines for Artifact Usage").
 * @param bundle the bytes of a bundle
 */
export async function uploadBundle(
  client: RepositoryClient,
  subject: Descriptor,
  bundle: Buffer,
): Promise<UploadedBundle> {
  const [layer, config] = await Promise.all([
    client.putBlob(bundle, true),
    client.putBlob(Buffer.from('{}')),
  ]);
  const annotations = {
    'dev.sigstore.bundle.content': 'dsse-envelope',
    [PREDICATE_ANNOTATION]: SIGNATURE_PREDICATE,
  };
  const referrer = bundleManifest(
    subject,
    { mediaType: BUNDLE_TYPE, ...layer },
    { mediaType: MEDIA_TYPE.ociEmpty, ...config },
    annotations,
  );
  const description = { artifactType: BUNDLE_TYPE, annotations };
  return {
    referrer,
    blob: layer,
    attach: () => pushReferrer(client, referrer, subject.digest, description),
  };
}

function bundleManifest(
  subject: Descriptor,
  layer: Descriptor,
  config: Descriptor,
  annotations: Record<string, string>,
): ManifestContent {
  const { mediaType, digest, size } = subject;
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    artifactType: BUNDLE_TYPE,
    config,
    layers: [layer],
    subject: { mediaType, digest, size },
    annotations,
  };
  return manifestContent(Buffer.from(JSON.stringify(document)), MEDIA_TYPE.ociManifest);
}
