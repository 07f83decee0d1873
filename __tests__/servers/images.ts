import type { Descriptor } from '../../src/oci/manifest.ts';
import type { BuildRecord } from '../../src/records/record.ts';
import { type Contents, sha256 } from './registry.ts';

export const TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
};

export const PROVENANCE = 'https://slsa.dev/provenance/v1';

/** A document with its bytes and the descriptor that names them. */
export interface Made {
  readonly bytes: Buffer;
  readonly descriptor: Descriptor;
}

export function made(mediaType: string, content: object | string): Made {
  const bytes = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  return {
    bytes,
    descriptor: { mediaType, digest: sha256(bytes) as Descriptor['digest'], size: bytes.length },
  };
}

export interface ImageOptions {
  readonly os?: string;
  readonly architecture?: string;
  readonly variant?: string;
  /** Tells apart images of the same platform. */
  readonly content?: string;
  readonly mediaType?: string;
  /** Without it the build pushes a manifest and no index, as with `provenance: false`. */
  readonly attested?: boolean;
}

/** What one build pushed. */
export interface PushedImage {
  /** What the build's digest names: BuildKit's index, or the manifest. */
  readonly root: Made;
  readonly manifest: Made;
  readonly config: Made;
  readonly attestation: Made | undefined;
}

/** Stores an image as BuildKit pushes it: config, layer, manifest, and an index with an attestation manifest. */
export function pushImage(contents: Contents, options: ImageOptions = {}): PushedImage {
  const { os = 'linux', architecture = 'amd64', variant, content = 'content' } = options;
  const config = made(TYPES.config, {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    rootfs: {},
  });
  const layer = made(TYPES.layer, content);
  const mediaType = options.mediaType ?? TYPES.manifest;
  const manifest = made(mediaType, {
    schemaVersion: 2,
    mediaType,
    config: config.descriptor,
    layers: [layer.descriptor],
  });
  for (const { bytes, descriptor } of [config, layer]) contents.blobs.set(descriptor.digest, bytes);
  storeManifest(contents, manifest);
  if (options.attested === false) return { root: manifest, manifest, config, attestation: undefined };

  const attestation = pushAttestation(contents, manifest.descriptor);
  const root = made(TYPES.index, {
    schemaVersion: 2,
    mediaType: TYPES.index,
    manifests: [
      { ...manifest.descriptor, platform: { os, architecture } },
      attestationDescriptor(attestation.descriptor, manifest.descriptor.digest),
    ],
  });
  storeManifest(contents, root);
  return { root, manifest, config, attestation };
}

export function attestationDescriptor(descriptor: Descriptor, subject: string): Descriptor {
  const annotations = {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': subject,
  };
  return { ...descriptor, annotations, platform: { os: 'unknown', architecture: 'unknown' } };
}

function pushAttestation(contents: Contents, subject: Descriptor): Made {
  const config = made(TYPES.config, { os: 'unknown', architecture: 'unknown' });
  const statement = made('application/vnd.in-toto+json', { subject: subject.digest });
  const annotations = { 'in-toto.io/predicate-type': PROVENANCE };
  for (const { bytes, descriptor } of [config, statement]) contents.blobs.set(descriptor.digest, bytes);
  const manifest = made(TYPES.manifest, {
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    config: config.descriptor,
    layers: [{ ...statement.descriptor, annotations }],
  });
  storeManifest(contents, manifest);
  return manifest;
}

export function storeManifest(contents: Contents, { bytes, descriptor }: Made): void {
  contents.manifests.set(descriptor.digest, { bytes, mediaType: descriptor.mediaType });
}

const SOURCE = { repository: 'acme/app', commit: 'c0ffee'.repeat(6), runId: '1001' };
/** The run that reads: late enough for all attempts of the tests. */
export const ORIGIN = { ...SOURCE, runAttempt: 20 };

/** A record as the build mode writes it. */
export function recordOf(
  image: Made,
  platform: string,
  change: Partial<Omit<BuildRecord, 'source'>> & { source?: Partial<BuildRecord['source']> } = {},
): BuildRecord {
  return {
    schemaVersion: 1,
    component: 'app',
    platform,
    images: ['ghcr.io/acme/app'],
    digest: image.descriptor.digest,
    mediaType: image.descriptor.mediaType,
    size: image.descriptor.size,
    content: image.bytes.toString('utf8'),
    attestations: [PROVENANCE],
    builder: { name: 'builder0', driver: 'docker-container', buildkit: 'v0.34.2', emulated: false },
    started: '2026-11-21T10:00:00.000Z',
    finished: '2026-11-21T10:01:30.500Z',
    manifold: '0.1.0',
    ...change,
    source: {
      ...SOURCE,
      ref: 'refs/heads/main',
      workflow: 'release',
      runAttempt: 1,
      job: 'build',
      matrixSize: 2,
      matrixIndex: null,
      ...change.source,
    },
  };
}
