import { ManifoldError, oneLine } from '../errors.ts';
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
  /** The predicate types of all attestations about it, each once, sorted. */
  readonly predicateTypes: readonly string[];
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
    descriptor.digest === content.digest ? content : await readChild(client, descriptor, options);
  const where = `${client.name}@${descriptor.digest}`;
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
  const [configBytes, types] = await Promise.all([
    client.getBlob(configDescriptor, options),
    Promise.all(attestations.map(attestation => readPredicateTypes(client, attestation, options))),
  ]);
  const config = parseConfig(configBytes, where);
  const platform = normalisePlatform(config);
  if (!samePlatform(platform, expected)) throw wrongArchitecture(where, expected, platform);
  const predicateTypes = [...new Set(types.flat())].sort();
  return { content, image: { platform, image: descriptor, config, attestations }, predicateTypes };
}

/** Reads a child of an index, which must be what its descriptor says: clients ask for it by those words. */
async function readChild(
  client: RepositoryClient,
  child: Descriptor,
  options: GetOptions,
): Promise<ManifestContent> {
  const content = await client.getManifest(child.digest, options);
  if (content.mediaType === child.mediaType && content.bytes.byteLength === child.size) return content;
  throw new ManifoldError(
    'invalid-document',
    `${client.name}@${child.digest} has another size or media type than its index says.`,
  );
}

/** BuildKit's annotation on each layer of an attestation manifest. */
const PREDICATE_TYPE = 'in-toto.io/predicate-type';

async function readPredicateTypes(
  client: RepositoryClient,
  attestation: Descriptor,
  options: GetOptions,
): Promise<string[]> {
  const where = `${client.name}@${attestation.digest}`;
  const { layers } = parseManifest(await readChild(client, attestation, options), where);
  const types = layers
    .map(({ annotations }) => annotations?.[PREDICATE_TYPE])
    .filter(type => type !== undefined);
  // A URI; anything else could write into the log.
  const illegal = types.find(type => !/^[\x21-\x7e]{1,256}$/.test(type));
  if (illegal === undefined) return types;
  throw new ManifoldError(
    'invalid-document',
    `${where} names a predicate type that is none: ${oneLine(illegal)}.`,
  );
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
