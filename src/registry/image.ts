import { ManifoldError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { isAttestation, type PlatformImage, REFERENCE_DIGEST } from '../oci/index.ts';
import {
  type Descriptor,
  descriptorOf,
  isIndexType,
  isManifestType,
  type ManifestContent,
  MEDIA_TYPE,
  parseConfig,
  parseIndex,
  parseManifest,
} from '../oci/manifest.ts';
import { formatPlatform, normalisePlatform, type Platform, samePlatform } from '../oci/platform.ts';
import type { GetOptions, RepositoryClient } from './client.ts';

/** What a registry holds under the digest that a build pushed. */
export interface BuiltImage {
  /** The manifest, or the index of manifest and attestation manifest, that the digest names. */
  readonly content: ManifestContent;
  readonly image: PlatformImage;
}

/**
 * Reads what one build pushed: an image manifest, or BuildKit's index of one image manifest and attestation manifests.
 * The platform comes from the image's own config, not from what anybody says of it.
 * @throws ManifoldError `registry-…`, `invalid-document`, `wrong-architecture` when the config is for another platform
 */
export async function readBuiltImage(
  client: RepositoryClient,
  digest: Digest,
  expected: Platform,
  options: GetOptions = {},
): Promise<BuiltImage> {
  const content = await client.getManifest(digest, options);
  const { descriptor, attestations } = splitBuild(content, client.name);
  const manifest =
    descriptor.digest === content.digest ? content : await client.getManifest(descriptor.digest, options);
  const where = `${client.name}@${descriptor.digest}`;
  if (manifest.mediaType !== descriptor.mediaType || manifest.bytes.byteLength !== descriptor.size) {
    throw new ManifoldError(
      'invalid-document',
      `${where} has another size or media type than its index says.`,
    );
  }
  const { config: configDescriptor } = parseManifest(manifest, where);
  if (
    configDescriptor.mediaType !== MEDIA_TYPE.ociConfig &&
    configDescriptor.mediaType !== MEDIA_TYPE.dockerConfig
  ) {
    throw new ManifoldError(
      'invalid-document',
      `${where} is no image: its config is ${configDescriptor.mediaType}.`,
    );
  }
  const [configBytes] = await Promise.all([
    client.getBlob(configDescriptor, options),
    // Not every registry refuses an index whose children it lacks.
    ...attestations.map(attestation => client.requireManifest(attestation.digest, options)),
  ]);
  const config = parseConfig(configBytes, where);
  const platform = normalisePlatform(config);
  if (!samePlatform(platform, expected)) throw wrongArchitecture(where, expected, platform);
  return { content, image: { platform, image: descriptor, config, attestations } };
}

function splitBuild(
  content: ManifestContent,
  name: string,
): { descriptor: Descriptor; attestations: Descriptor[] } {
  const where = `${name}@${content.digest}`;
  if (isManifestType(content.mediaType)) return { descriptor: descriptorOf(content), attestations: [] };
  if (!isIndexType(content.mediaType)) {
    throw new ManifoldError(
      'invalid-document',
      `${where} is neither an image manifest nor an index: ${content.mediaType}.`,
    );
  }
  const { manifests } = parseIndex(content, where);
  const attestations = manifests.filter(isAttestation);
  const [descriptor, ...others] = manifests.filter(manifest => !isAttestation(manifest));
  if (descriptor === undefined || others.length > 0) {
    throw new ManifoldError(
      'invalid-document',
      `${where} holds ${others.length + (descriptor === undefined ? 0 : 1)} images, but a build job makes one.`,
      {
        hint: 'Each build job builds one platform. Give several platforms to several jobs of a matrix.',
      },
    );
  }
  const stray = attestations.find(({ annotations }) => annotations?.[REFERENCE_DIGEST] !== descriptor.digest);
  if (stray !== undefined) {
    throw new ManifoldError(
      'invalid-document',
      `${where} holds an attestation (${stray.digest}) about another image.`,
    );
  }
  return { descriptor, attestations };
}

function wrongArchitecture(where: string, expected: Platform, found: Platform): ManifoldError {
  return new ManifoldError(
    'wrong-architecture',
    `${where} was built as ${formatPlatform(expected)}, but its config says that it is for ${formatPlatform(found)}.`,
    {
      hint: 'The builder built for another platform than it was asked for: old BuildKits do where the Dockerfile fixes one with "FROM --platform=…".',
    },
  );
}

/** BuildKit's annotation on each layer of an attestation manifest. */
const PREDICATE_TYPE = 'in-toto.io/predicate-type';

/** The predicate types of all attestations about an image, each once. */
export async function readPredicateTypes(
  client: RepositoryClient,
  image: PlatformImage,
  options: GetOptions = {},
): Promise<string[]> {
  const types = await Promise.all(
    image.attestations.map(async ({ digest }) => {
      const manifest = parseManifest(await client.getManifest(digest, options), `${client.name}@${digest}`);
      return manifest.layers.map(({ annotations }) => annotations?.[PREDICATE_TYPE]);
    }),
  );
  return [...new Set(types.flat().filter(type => type !== undefined))].sort();
}
