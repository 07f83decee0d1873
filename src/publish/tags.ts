import { ManifoldError } from '../errors.ts';
import type { RetryPolicy } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { matchesPattern, platformTags } from '../oci/tags.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { refuseShared } from './destinations.ts';
import { type Lineage, lineageOf } from './lineage.ts';
import type { Publication, Target } from './publication.ts';
import { rankTag, type TagPolicy, type TagRank } from './tag-rules.ts';

/** One tag in one repository, and what it is to point at. */
export interface TagTarget {
  readonly component: string;
  readonly client: RepositoryClient;
  readonly tag: string;
  /** `ghcr.io/acme/app:1.2.3` */
  readonly name: string;
  readonly content: ManifestContent;
  readonly rank: TagRank;
  /** Where the image says it comes from. */
  readonly lineage: Lineage;
  /** The tag of the whole image that this one of a single platform goes with; its own name for the former. */
  readonly leader: string;
}

export interface TagOptions {
  readonly policy: TagPolicy;
  /** Patterns of tags that never move. */
  readonly immutable: readonly string[];
  readonly platformSuffix: string | undefined;
  readonly retry: RetryPolicy;
}

/**
 * All tags of all images in all repositories.
 * @throws ManifoldError `invalid-input` when two things would have one name
 */
export function listTags(publications: readonly Publication[], options: TagOptions): TagTarget[] {
  const all = publications.flatMap(publication =>
    publication.targets.flatMap(target => tagsIn(target, publication, options)),
  );
  // Components that are told apart by their tags may still share one of a single platform.
  refuseShared(all, 'Choose another "platform-tag-suffix", or take one of these tags out of "tags".');
  return all;
}

/** The tags of one image in one of its repositories: those of the whole image, then those of single platforms. */
function tagsIn(
  { client, tags }: Target,
  { component, image }: Publication,
  { immutable, platformSuffix }: TagOptions,
): TagTarget[] {
  const lineage = lineageOf(image.content);
  const target = (tag: string, content: ManifestContent, leader: string): TagTarget => ({
    component,
    client,
    tag,
    content,
    // The manifest of a platform need not tell where it comes from: the index does.
    lineage: { ...lineage, digest: content.digest },
    leader: `${client.name}:${leader}`,
    name: `${client.name}:${tag}`,
    rank: rankTag(leader, immutable),
  });
  const whole = tags.map(tag => target(tag, image.content, tag));
  if (platformSuffix === undefined) return whole;
  const single = platformTags(tags, platformSuffix, image.platforms);
  return [...whole, ...single.map(({ tag, leader, image: { manifest } }) => target(tag, manifest, leader))];
}

/** What tags point at, by their full names; absent ones are missing. */
export type TagStates = ReadonlyMap<string, ManifestContent>;

/**
 * What tags point at.
 * @throws ManifoldError when a registry does not tell: "could not look" is never "absent"
 */
export async function readTags(tags: readonly TagTarget[]): Promise<TagStates> {
  const found = await Promise.all(
    tags.map(async ({ client, tag, name }) => [name, await client.findManifest(tag)] as const),
  );
  return new Map(found.flatMap(([name, content]) => (content === undefined ? [] : [[name, content]])));
}

/** Tells whether one of the tags of a repository points at a manifest, which it holds then. */
export function isShown(states: TagStates, { name }: RepositoryClient, digest: Digest): boolean {
  return [...states].some(([tag, content]) => tag.startsWith(`${name}:`) && content.digest === digest);
}

/** Tells whether a pattern of "immutable-tags" names a tag. */
export function isImmutable({ tag }: TagTarget, { immutable }: TagOptions): boolean {
  return immutable.some(pattern => matchesPattern(tag, pattern));
}

/** The patterns of "immutable-tags" that name none of the tags: one with a mistake in it guards nothing. */
export function uselessPatterns(tags: readonly TagTarget[], { immutable }: TagOptions): string[] {
  return immutable.filter(pattern => !tags.some(({ tag }) => matchesPattern(tag, pattern)));
}

/**
 * Refuses to move what must not move: before anything is pushed, and again before the first tag moves.
 * @throws ManifoldError `tag-immutable`
 */
export function refuseImmutable(tags: readonly TagTarget[], states: TagStates, options: TagOptions): void {
  const taken = tags.filter(target => {
    const current = states.get(target.name);
    const isTaken = current !== undefined && current.digest !== target.content.digest;
    return isTaken && isImmutable(target, options);
  });
  if (taken.length === 0) return;
  const lines = taken.map(
    ({ name, content }) => `  ${name} points at ${states.get(name)?.digest}, this image is ${content.digest}`,
  );
  throw new ManifoldError('tag-immutable', `Tags of "immutable-tags" exist already:\n${lines.join('\n')}`, {
    hint: 'Publish under a new version, or take the tag out of "tags". Where the run was repeated: "Re-run all jobs" builds another image, "Re-run failed jobs" goes on with the one that was built.',
  });
}
