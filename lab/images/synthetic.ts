import { descriptorOf, type ManifestContent, MEDIA_TYPE, manifestContent } from '../../src/oci/manifest.ts';
import { formatPlatform, type Platform } from '../../src/oci/platform.ts';
import type { RepositoryClient } from '../../src/registry/client.ts';

const PROVENANCE = 'https://slsa.dev/provenance/v1';

/**
 * Pushes what BuildKit pushes for one attested platform (an image manifest, an attestation manifest and the index of
 * both), with a layer of a few bytes: for tests and measurements that need many platforms and no program to run.
 * @returns the index, by digest only
 */
export async function pushSynthetic(client: RepositoryClient, platform: Platform): Promise<ManifestContent> {
  const name = formatPlatform(platform);
  const image = await pushManifest(client, { ...platform, rootfs: { type: 'layers', diff_ids: [] } }, [
    { mediaType: 'application/vnd.oci.image.layer.v1.tar', ...(await client.putBlob(Buffer.from(name))) },
  ]);
  const statement = Buffer.from(JSON.stringify({ predicateType: PROVENANCE, subject: [], about: name }));
  const attestation = await pushManifest(client, { os: 'unknown', architecture: 'unknown', about: name }, [
    {
      mediaType: MEDIA_TYPE.inToto,
      ...(await client.putBlob(statement)),
      annotations: { 'in-toto.io/predicate-type': PROVENANCE },
    },
  ]);
  const index = encode(MEDIA_TYPE.ociIndex, {
    manifests: [
      { ...descriptorOf(image), platform },
      {
        ...descriptorOf(attestation),
        annotations: {
          'vnd.docker.reference.digest': image.digest,
          'vnd.docker.reference.type': 'attestation-manifest',
        },
        platform: { os: 'unknown', architecture: 'unknown' },
      },
    ],
  });
  await client.putManifest(index);
  return index;
}

async function pushManifest(
  client: RepositoryClient,
  config: object,
  layers: object[],
): Promise<ManifestContent> {
  const blob = await client.putBlob(Buffer.from(JSON.stringify(config)));
  const content = encode(MEDIA_TYPE.ociManifest, {
    config: { mediaType: MEDIA_TYPE.ociConfig, ...blob },
    layers,
  });
  await client.putManifest(content);
  return content;
}

function encode(mediaType: string, fields: object): ManifestContent {
  return manifestContent(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...fields })), mediaType);
}
