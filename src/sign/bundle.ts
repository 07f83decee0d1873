import { bundleFromJSON, bundleToJSON, type TransparencyLogEntry, toDSSEBundle } from '@sigstore/bundle';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import { type Descriptor, type ManifestContent, MEDIA_TYPE, manifestContent } from '../oci/manifest.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { pushReferrer } from '../registry/referrers.ts';
import type { SignedEnvelope } from './rekor.ts';
import { SIGNATURE_PREDICATE } from './statement.ts';

/** Media type, and artifact type as a referrer, of a Sigstore bundle (sigstore/protobuf-specs, sigstore_bundle.proto). */
export const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

export const PREDICATE_ANNOTATION = 'dev.sigstore.bundle.predicateType';

/** Puts an envelope and its witnesses' words into a bundle, as bytes. */
export function formatBundle(
  envelope: SignedEnvelope,
  entries: TransparencyLogEntry[],
  timestamps: Buffer[],
): Buffer {
  const bundle = toDSSEBundle({
    artifact: envelope.payload,
    artifactType: envelope.payloadType,
    signature: envelope.signature,
    certificate: envelope.certificate.raw,
    certificateChain: false,
  });
  bundle.verificationMaterial.tlogEntries = entries;
  bundle.verificationMaterial.timestampVerificationData = {
    rfc3161Timestamps: timestamps.map(signedTimestamp => ({ signedTimestamp })),
  };
  return Buffer.from(JSON.stringify(bundleToJSON(bundle)));
}

/** @throws ManifoldError `invalid-document` */
export function parseBundle(bytes: Uint8Array) {
  try {
    return bundleFromJSON(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    throw new ManifoldError('invalid-document', `It is no Sigstore bundle: ${oneLine(messageOf(error))}.`, {
      cause: error,
    });
  }
}

/**
 * Attaches a bundle to an image as cosign 3 does: a manifest with the image as `subject`, the bundle as its only layer
 * and an empty config (OCI image-spec, manifest.md, "Guidelines for Artifact Usage").
 * @param bundle the bytes of a bundle
 */
export async function attachBundle(
  client: RepositoryClient,
  subject: Descriptor,
  bundle: Buffer,
): Promise<void> {
  const [layer, config] = await Promise.all([
    client.putBlob(bundle, true),
    client.putBlob(Buffer.from('{}')),
  ]);
  const annotations = {
    'dev.sigstore.bundle.content': 'dsse-envelope',
    [PREDICATE_ANNOTATION]: SIGNATURE_PREDICATE,
  };
  const manifest = bundleManifest(
    subject,
    { mediaType: BUNDLE_TYPE, ...layer },
    { mediaType: MEDIA_TYPE.ociEmpty, ...config },
    annotations,
  );
  await pushReferrer(client, manifest, subject.digest, { artifactType: BUNDLE_TYPE, annotations });
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
