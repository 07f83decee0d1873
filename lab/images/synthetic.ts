import { gzipSync } from 'node:zlib';
import { digestOf } from '../../src/oci/digest.ts';
import {
  type Descriptor,
  descriptorOf,
  type ManifestContent,
  MEDIA_TYPE,
  manifestContent,
} from '../../src/oci/manifest.ts';
import { formatPlatform, type Platform, parsePlatform } from '../../src/oci/platform.ts';
import type { RepositoryClient } from '../../src/registry/client.ts';

export const PROVENANCE = 'https://slsa.dev/provenance/v1';

/** An image that no builder made: what it shall be. */
export interface SyntheticImage {
  readonly platform: Platform;
  /**
   * What BuildKit attaches: an `artifact` about a subject (0.32 and newer), an `image` of statements (older ones, and the
   * default here), or nothing, and then there is no index around the image either.
   */
  readonly attestation?: 'artifact' | 'image' | 'none';
  /** `docker` makes a Docker image of it, as `oci-mediatypes=false` does. */
  readonly mediaTypes?: 'oci' | 'docker';
  /** Further fields of the config, such as `os.version`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** The text of its only file; the platform's name without it. */
  readonly text?: string;
}

/** An image that nothing attests, unless `more` says otherwise. @param platform as people write it */
export function imageFor(platform: string, more: Omit<SyntheticImage, 'platform'> = {}): SyntheticImage {
  return { platform: parsePlatform(platform), attestation: 'none', ...more };
}

/** The two platforms that nearly everybody builds, not in the order of an index. */
export function bothArchitectures(more: Omit<SyntheticImage, 'platform'> = {}): SyntheticImage[] {
  return [imageFor('linux/arm64', more), imageFor('linux/amd64', more)];
}

const LAYER = {
  oci: 'application/vnd.oci.image.layer.v1.tar+gzip',
  docker: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
} as const;

/**
 * Pushes what BuildKit pushes for one platform, with a layer of one small file: for tests and measurements that need many
 * platforms and no program to run.
 * @returns the index of image and attestation manifest, or the image where nothing attests it; by digest only
 */
export async function pushSynthetic(
  client: RepositoryClient,
  description: SyntheticImage,
): Promise<ManifestContent> {
  const { platform, attestation = 'image' } = description;
  const image = await pushImage(client, description);
  if (attestation === 'none') return image;
  const about =
    attestation === 'artifact' ? await pushArtifact(client, image) : await pushStatementImage(client, image);
  const index = encode(MEDIA_TYPE.ociIndex, {
    manifests: [
      { ...descriptorOf(image), platform: inItsOrder(platform) },
      {
        ...descriptorOf(about),
        annotations: {
          'vnd.docker.reference.digest': image.digest,
          'vnd.docker.reference.type': 'attestation-manifest',
        },
        platform: { architecture: 'unknown', os: 'unknown' },
      },
    ],
  });
  await client.putManifest(index);
  return index;
}

async function pushImage(client: RepositoryClient, description: SyntheticImage): Promise<ManifestContent> {
  const { platform, mediaTypes = 'oci', config = {}, text = formatPlatform(platform) } = description;
  const files = archive(text);
  const layer = await client.putBlob(gzipSync(files));
  return pushManifest(client, mediaTypes, { ...platform, ...config }, [
    { descriptor: { mediaType: LAYER[mediaTypes], ...layer }, content: files },
  ]);
}

/** The types of BuildKit's attestation manifests (docs/attestations/attestation-storage.md). */
const ATTESTATION = 'application/vnd.docker.attestation.manifest.v1+json';

async function pushStatementImage(
  client: RepositoryClient,
  image: ManifestContent,
): Promise<ManifestContent> {
  const { descriptor, content } = await pushStatement(client, image);
  return pushManifest(client, 'oci', { os: 'unknown', architecture: 'unknown' }, [{ descriptor, content }]);
}

async function pushArtifact(client: RepositoryClient, image: ManifestContent): Promise<ManifestContent> {
  const { descriptor } = await pushStatement(client, image);
  const empty = await client.putBlob(Buffer.from('{}'));
  const content = encode(MEDIA_TYPE.ociManifest, {
    artifactType: ATTESTATION,
    config: { mediaType: MEDIA_TYPE.ociEmpty, ...empty },
    layers: [descriptor],
    subject: descriptorOf(image),
  });
  await client.putManifest(content);
  return content;
}

interface Layer {
  readonly descriptor: Descriptor;
  /** Uncompressed. */
  readonly content: Uint8Array;
}

async function pushStatement(client: RepositoryClient, { digest }: ManifestContent): Promise<Layer> {
  const subject = [{ name: 'synthetic', digest: { sha256: digest.replace('sha256:', '') } }];
  const content = Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v0.1',
      predicateType: PROVENANCE,
      subject,
      predicate: {},
    }),
  );
  const annotations = { 'in-toto.io/predicate-type': PROVENANCE };
  return {
    content,
    descriptor: { mediaType: MEDIA_TYPE.inToto, ...(await client.putBlob(content)), annotations },
  };
}

async function pushManifest(
  client: RepositoryClient,
  mediaTypes: 'oci' | 'docker',
  config: object,
  layers: readonly Layer[],
): Promise<ManifestContent> {
  const rootfs = { type: 'layers', diff_ids: layers.map(({ content }) => digestOf(content)) };
  const blob = await client.putBlob(Buffer.from(JSON.stringify({ ...config, config: {}, rootfs })));
  const isDocker = mediaTypes === 'docker';
  const content = encode(isDocker ? MEDIA_TYPE.dockerManifest : MEDIA_TYPE.ociManifest, {
    config: { mediaType: isDocker ? MEDIA_TYPE.dockerConfig : MEDIA_TYPE.ociConfig, ...blob },
    layers: layers.map(({ descriptor }) => descriptor),
  });
  await client.putManifest(content);
  return content;
}

/** The fields of a platform in the order in which programs in Go write them. */
function inItsOrder({ architecture, os, variant }: Platform): object {
  return { architecture, os, ...(variant === undefined ? {} : { variant }) };
}

/** With indentation, as BuildKit writes its manifests. */
function encode(mediaType: string, fields: object): ManifestContent {
  const document = JSON.stringify({ schemaVersion: 2, mediaType, ...fields }, null, 2);
  return manifestContent(Buffer.from(document), mediaType);
}

const BLOCK = 512;

/** A tar archive (POSIX.1-1988, ustar) of one file, the same bytes for the same text. */
function archive(text: string): Buffer {
  const content = Buffer.from(text);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;
  const field = (at: number, value: string): number => header.write(value, at, 'ascii');
  field(0, 'platform');
  field(100, octal(0o644, 7));
  field(108, octal(0, 7));
  field(116, octal(0, 7));
  field(124, octal(content.byteLength, 11));
  field(136, octal(0, 11));
  field(156, '0');
  field(257, 'ustar\x0000');
  // The sum is taken with blanks in its own place.
  field(148, ' '.repeat(8));
  field(
    148,
    `${octal(
      header.reduce((sum, byte) => sum + byte),
      6,
    )} `,
  );
  const padding = Buffer.alloc((BLOCK - (content.byteLength % BLOCK)) % BLOCK);
  return Buffer.concat([header, content, padding, Buffer.alloc(2 * BLOCK)]);
}
