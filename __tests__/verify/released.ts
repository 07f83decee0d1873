import type { RetryPolicy } from '../../src/http/retry.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { Descriptor } from '../../src/oci/manifest.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import type { Demands } from '../../src/verify/demands.ts';
import { verifyImage } from '../../src/verify/image.ts';
import type { ImageReport, Requirement } from '../../src/verify/report.ts';
import { certificatePolicy } from '../../src/verify/wish.ts';
import { clientOf, FAST, opened } from '../servers/clients.ts';
import {
  attestationDescriptor,
  type Made,
  made,
  pushImage,
  storeManifest,
  TYPES,
} from '../servers/images.ts';
import { type Contents, type RegistryOptions, startRegistry } from '../servers/registry.ts';
import { type Json, type Making, newFoundry } from '../servers/signatures.ts';
import { type AttestationLayer, statements } from './statements.ts';

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const SIGNATURE = 'https://sigstore.dev/cosign/sign/v1';

export const HOME = { server: 'https://github.com', repository: 'acme/app', isGitHub: true };
/** "Signed by this repository's workflows": what is asked when nothing is said. */
export const POLICY = certificatePolicy(
  { identity: undefined, issuer: undefined, sourceRepository: undefined },
  () => HOME,
);

/** An attestation manifest of BuildKit, in the form before 0.32 or as an OCI artifact. */
function pushAttestation(
  contents: Contents,
  subject: Descriptor,
  layers: readonly AttestationLayer[],
  form: 'image' | 'artifact' = 'image',
): Made {
  const config =
    form === 'image'
      ? made(TYPES.config, '{"os":"unknown"}')
      : made('application/vnd.oci.empty.v1+json', '{}');
  contents.blobs.set(config.descriptor.digest, config.bytes);
  const { mediaType, digest, size } = subject;
  const manifest = made(TYPES.manifest, {
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    ...(form === 'image'
      ? {}
      : {
          artifactType: 'application/vnd.docker.attestation.manifest.v1+json',
          subject: { mediaType, digest, size },
        }),
    config: config.descriptor,
    layers: layers.map(({ content, stated }) => {
      const blob = made('application/vnd.in-toto+json', content);
      contents.blobs.set(blob.descriptor.digest, blob.bytes);
      const annotations = { 'in-toto.io/predicate-type': stated ?? content.predicateType };
      return { ...blob.descriptor, annotations };
    }),
  });
  storeManifest(contents, manifest);
  return manifest;
}

/** Attaches a document as a referrer, as a registry with the API keeps it. */
export function attach(
  contents: Contents,
  subject: Digest,
  document: Json,
  changes: {
    annotations?: Record<string, string>;
    artifactType?: string;
    layerType?: string;
    manifest?: Json;
  } = {},
): Made {
  const { artifactType = BUNDLE, layerType = BUNDLE, annotations } = changes;
  const layer = made(layerType, document);
  const empty = made('application/vnd.oci.empty.v1+json', '{}');
  for (const { bytes, descriptor } of [layer, empty]) contents.blobs.set(descriptor.digest, bytes);
  const manifest = made(TYPES.manifest, {
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    artifactType,
    config: empty.descriptor,
    layers: [layer.descriptor],
    subject: { mediaType: TYPES.manifest, digest: subject, size: 1 },
    ...(annotations === undefined ? {} : { annotations }),
    ...changes.manifest,
  });
  storeManifest(contents, manifest);
  return manifest;
}

export type Changes = Partial<Omit<Demands, 'requirements'>> & {
  readonly requirements?: readonly Requirement[];
};

export interface ReleaseOptions extends RegistryOptions {
  /** The attestation layers of an image, as BuildKit makes them; none: no attestation manifest. */
  readonly layers?: (subject: Digest) => readonly AttestationLayer[];
  readonly form?: 'image' | 'artifact';
  /** Changes the entries of the index before it is stored. */
  readonly entries?: (entries: Descriptor[], contents: Contents) => Descriptor[];
  readonly mediaType?: string;
  /** For what will never succeed. */
  readonly retry?: RetryPolicy;
}

/** An image of two platforms with their attestations, tagged 1.0, in a registry, and what is needed to sign it. */
export async function startRelease(options: ReleaseOptions = {}) {
  const registry = await opened(startRegistry({ referrers: 'api', ...options }));
  const contents = registry.repository('acme/app');
  const foundry = newFoundry();
  const {
    layers = statements,
    form,
    entries = given => given,
    mediaType = TYPES.index,
    retry = FAST,
  } = options;
  const images: Record<string, Made> = {};
  const attestations: Made[] = [];
  const listed: Descriptor[] = [];
  for (const architecture of ['amd64', 'arm64']) {
    const { manifest } = pushImage(contents, { architecture, content: architecture, attested: false });
    images[architecture] = manifest;
    listed.push({ ...manifest.descriptor, platform: { os: 'linux', architecture } });
    const held = layers(manifest.descriptor.digest);
    if (held.length === 0) continue;
    const attestation = pushAttestation(contents, manifest.descriptor, held, form);
    attestations.push(attestation);
    listed.push(attestationDescriptor(attestation.descriptor, manifest.descriptor.digest));
  }
  const index = made(mediaType, { schemaVersion: 2, mediaType, manifests: entries(listed, contents) });
  storeManifest(contents, index);
  contents.tags.set('1.0', index.descriptor.digest);
  const all = [...Object.values(images), ...attestations, index].map(({ descriptor }) => descriptor.digest);
  const sign = (digest: Digest, making: Making = {}): Made =>
    attach(contents, digest, foundry.bundle(digest, making), {
      annotations: { 'dev.sigstore.bundle.predicateType': SIGNATURE },
    });
  const attest = (subject: Digest, statement: Json, making: Making = {}): Made =>
    attach(contents, subject, foundry.bundle(subject, { payload: statement, ...making }), {
      annotations: { 'dev.sigstore.bundle.predicateType': statement.predicateType },
    });
  const verify = (changes: Changes = {}, name = ':1.0'): Promise<ImageReport> => {
    const { requirements = ['signatures'], ...others } = changes;
    const asked: Demands = {
      policy: POLICY,
      scope: 'all',
      platforms: undefined,
      expected: { source: undefined, revision: undefined },
      trustsUnsigned: true,
      ...others,
      requirements: new Set(requirements),
    };
    const reference = parseReference(`${registry.host}/acme/app${name}`);
    const verifier = new SignatureVerifier({ root: foundry.root, keys: [] });
    return verifyImage(clientOf(registry, 'acme/app', retry), reference, verifier, asked);
  };
  const signAll = (making: Making = {}): void => {
    for (const digest of all) sign(digest, making);
  };
  return { registry, contents, foundry, images, attestations, index, all, sign, signAll, attest, verify };
}

export const digestOf = (document: Made | undefined): Digest => document?.descriptor.digest as Digest;

/** What is wrong, in short. */
export const problemsOf = ({ problems }: ImageReport): string[] =>
  problems.map(({ kind, about }) => `${kind}: ${about}`);
