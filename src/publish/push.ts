import type { RetryPolicy } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { parseRepository } from '../oci/reference.ts';
import { keepTagOf } from '../oci/tags.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { confirmManifest } from '../registry/confirm.ts';
import { copyManifests } from '../registry/copy.ts';
import { eventually } from './eventually.ts';
import { type IndexImage, manifestsOf, type PublishedPlatform } from './index-image.ts';
import type { Publication, Target } from './publication.ts';
import type { Connect } from './read-builds.ts';
import { tagMoved } from './tag-failure.ts';
import { isShown, type TagStates } from './tags.ts';

export interface PushOptions {
  readonly connect: Connect;
  /** Told of what is copied, a line each. */
  readonly onProgress: (line: string) => void;
}

/** By the build jobs: a registry may not show yet what it took from them. */
const PUSHED = { justPushed: true };

/**
 * Pushes an index under its digest, where its children are already.
 * @param shown what the tags point at, as far as they were looked at: an index that one of them shows is there
 * @throws ManifoldError `registry-…`
 */
export async function pushIndex({ image }: Publication, { client }: Target, shown: TagStates): Promise<void> {
  if (isThere(image, client, shown)) return;
  await client.putManifest(image.content, image.content.digest, PUSHED);
}

/**
 * Makes sure that a registry has kept an index that it took.
 * @param shown what the tags point at, as far as they were looked at: an index that one of them shows is there
 * @throws ManifoldError `registry-…`
 */
export async function confirmIndex(
  { image }: Publication,
  { client }: Target,
  shown: TagStates,
): Promise<void> {
  if (isThere(image, client, shown)) return;
  await confirmManifest(client, image.content.digest);
}

/** A plain manifest is where the build pushed it, or was copied; an index is there where a tag shows it. */
function isThere({ isPlain, content }: IndexImage, client: RepositoryClient, shown: TagStates): boolean {
  return isPlain || isShown(shown, client, content.digest);
}

/**
 * Makes sure that one of the repositories of an image holds its children: those that the builds did not push there are
 * copied.
 * @throws ManifoldError `registry-…`, `digest-mismatch`
 */
export async function bringChildren(
  { image }: Publication,
  target: Target,
  options: PushOptions,
): Promise<void> {
  const foreign = image.platforms.filter(({ record }) => !record.images.includes(target.client.name));
  const bySources = Map.groupBy(foreign, platform => sourcesFor(platform, target).join(' '));
  await Promise.all(
    [...bySources].map(([names, platforms]) => {
      const sources = names.split(' ').map(name => options.connect(parseRepository(name)));
      const manifests = platforms.flatMap(manifestsOf);
      return copyManifests(sources, target.client, manifests, { onProgress: options.onProgress });
    }),
  );
}

/**
 * The names of all repositories that should hold a platform. Within one registry blobs are mounted and not copied: those
 * come first, and then where the build was read.
 */
function sourcesFor({ record, source }: PublishedPlatform, { client }: Target): string[] {
  const near = record.images.filter(name => parseRepository(name).registry === client.repository.registry);
  return [...new Set([...near, source.name, ...record.images])];
}

export interface KeepOptions {
  /** `keep-tags` */
  readonly template: string;
  /** How long to look for a tag that a registry took but does not show yet. */
  readonly retry: RetryPolicy;
}

/**
 * Gives each child a tag of its own in one of the repositories, against clean-up of what has none, and reads each back.
 * @throws ManifoldError `registry-…`, `invalid-input`; `tag-moved` where the registry does not show one
 */
export async function keepChildren(
  { image }: Publication,
  { client }: Target,
  { template, retry }: KeepOptions,
): Promise<void> {
  const keep = async (content: ManifestContent, tag: string): Promise<void> => {
    await client.putManifest(content, tag, PUSHED);
    await readKeepTagBack(client, tag, content.digest, retry);
  };
  await Promise.all(
    image.platforms.flatMap(({ platform, manifest, attestations }) => [
      keep(manifest, keepTagOf(template, manifest.digest, platform)),
      ...attestations.map(async ({ digest }) =>
        keep(await client.getManifest(digest, PUSHED), keepTagOf(template, digest)),
      ),
    ]),
  );
}

const UNKEPT =
  'It is one of "keep-tags", without which a clean-up could take the image apart. No other tag was moved: use "Re-run failed jobs".';

/** The name of the tag holds the digest, so that nobody else moves it elsewhere: the registry's word is enough. */
async function readKeepTagBack(
  client: RepositoryClient,
  tag: string,
  digest: Digest,
  retry: RetryPolicy,
): Promise<void> {
  let shown: Digest | undefined;
  const agrees = await eventually(retry, async () => {
    shown = (await client.headManifest(tag))?.digest;
    return shown === digest ? true : undefined;
  });
  if (agrees === true) return;
  throw tagMoved(`${client.name}:${tag}`, digest, shown, UNKEPT);
}
