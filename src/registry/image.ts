import { ManifoldError, oneLine } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { isAttestation, type PlatformImage, REFERENCE_DIGEST } from '../oci/index.ts';
import {
  type Descriptor,
  descriptorOf,
  type ImageConfig,
  isIndexType,
  isManifestType,
  type ManifestContent,
  MEDIA_TYPE,
  parseConfig,
  parseIndex,
  parseManifest,
  requireDescribed,
} from '../oci/manifest.ts';
import { formatPlatform, normalisePlatform, type Platform, samePlatform } from '../oci/platform.ts';
import type { GetOptions, RepositoryClient } from './client.ts';

/** What a registry holds under the digest that a build pushed. */
export interface BuiltImage {
  /** The manifest, or the index of manifest and attestation manifest, that the digest names. */
  readonly content: ManifestContent;
  /** The image's own manifest. */
  readonly manifest: ManifestContent;
  readonly image: PlatformImage;
  /** The predicate types of all attestations about it, each once, sorted. */
  readonly predicateTypes: readonly string[];
}

/**
 * Reads what one build pushed: an image manifest, or BuildKit's index of one image manifest and attestation manifests.
 * The platform comes from the image's own config, not from what anybody says of it.
 * @param root the digest that was pushed, or what it names where that is known: then the registry is asked only for what
 * stands in it
 * @throws ManifoldError `registry-…`, `invalid-document`
 */
export async function readBuiltImage(
  client: RepositoryClient,
  root: Digest | ManifestContent,
  options: GetOptions = {},
): Promise<BuiltImage> {
  const content = typeof root === 'string' ? await client.getManifest(root, options) : root;
  const { descriptor, attestations } = splitBuild(content, client.name);
  const types = Promise.all(attestations.map(child => readPredicateTypes(client, child, options)));
  // Read a moment ago, a manifest without an index around it is not read again.
  const fresh = typeof root === 'string' && descriptor.digest === content.digest ? content : undefined;
  const reading = fresh ?? readDescribed(client, descriptor, options);
  const [manifest, config, found] = await Promise.all([
    reading,
    readConfig(client, descriptor.digest, reading, options),
    types,
  ]);
  const image = { platform: normalisePlatform(config), image: descriptor, config, attestations };
  return { content, manifest, image, predicateTypes: [...new Set(found.flat())].sort() };
}

async function readConfig(
  client: RepositoryClient,
  digest: Digest,
  manifest: ManifestContent | Promise<ManifestContent>,
  options: GetOptions,
): Promise<ImageConfig> {
  const where = `${client.name}@${digest}`;
  const { config: configDescriptor } = parseManifest(await manifest, where);
  if (
    configDescriptor.mediaType !== MEDIA_TYPE.ociConfig &&
    configDescriptor.mediaType !== MEDIA_TYPE.dockerConfig
  ) {
    throw new ManifoldError(
      'invalid-document',
      `${where} is no image: its config is ${configDescriptor.mediaType}.`,
    );
  }
  return parseConfig(await client.getBlob(configDescriptor, options), where);
}

/**
 * Makes sure that a registry holds the manifests and the config of a build, which was read from another.
 * @throws ManifoldError `registry-…`, `digest-mismatch`, `invalid-document`
 */
export async function requireWhole(
  client: RepositoryClient,
  { image, attestations }: PlatformImage,
  options: GetOptions = {},
): Promise<void> {
  const manifest = readDescribed(client, image, options);
  await Promise.all([
    readConfig(client, image.digest, manifest, options),
    ...attestations.map(child => readDescribed(client, child, options)),
  ]);
}

/** @throws ManifoldError `invalid-document` when a manifest is not what its descriptor says */
async function readDescribed(
  client: RepositoryClient,
  descriptor: Descriptor,
  options: GetOptions,
): Promise<ManifestContent> {
  const content = await client.getManifest(descriptor.digest, options);
  requireDescribed(content, descriptor, `${client.name}@${descriptor.digest}`);
  return content;
}

/** BuildKit's annotation on each layer of an attestation manifest. */
const PREDICATE_TYPE = 'in-toto.io/predicate-type';

async function readPredicateTypes(
  client: RepositoryClient,
  attestation: Descriptor,
  options: GetOptions,
): Promise<string[]> {
  const where = `${client.name}@${attestation.digest}`;
  const { layers } = parseManifest(await readDescribed(client, attestation, options), where);
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
  // Named twice it is still one, and says no more: nobody would rebuild an image for that.
  return { descriptor, attestations: distinct(attestations) };
}

/** Of each digest the first. */
function distinct(descriptors: readonly Descriptor[]): Descriptor[] {
  const digests = descriptors.map(({ digest }) => digest);
  return descriptors.filter(({ digest }, position) => digests.indexOf(digest) === position);
}

/** @throws ManifoldError `wrong-architecture` when the config of an image is for another platform */
export function requirePlatform(where: string, expected: Platform, found: Platform): void {
  if (samePlatform(found, expected)) return;
  throw new ManifoldError(
    'wrong-architecture',
    `${where} was built as ${formatPlatform(expected)}, but its config says that it is for ${formatPlatform(found)}.`,
    {
      hint: 'The builder built for another platform than it was asked for: old BuildKits do where the Dockerfile fixes one with "FROM --platform=…".',
    },
  );
}
