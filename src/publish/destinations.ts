import { ManifoldError } from '../errors.ts';
import { formatRepository, parseRepository, type Repository } from '../oci/reference.ts';
import { parseTagEntry, type TagEntry } from '../oci/tags.ts';
import type { ComponentSet } from '../records/closed-set.ts';
import type { BuildRecord } from '../records/record.ts';

/** Where the user wants the images. */
export interface WantedDestinations {
  /** The repositories of a component; undefined: those of the plan, else those that the builds pushed to. */
  readonly images: ((component: string) => readonly Repository[]) | undefined;
  /** As they were given to the merge: bare ones go to every repository, full references to their own. */
  readonly tags: readonly TagEntry[];
  /** No tag is wanted. */
  readonly byDigestOnly: boolean;
}

/** One repository, and the tags that it gets. */
export interface Destination {
  readonly repository: Repository;
  readonly tags: readonly string[];
}

/**
 * Decides for each component which repositories it goes to, and under which tags.
 * @throws ManifoldError `invalid-input` when a full reference names a repository that no component goes to, or when two
 * components would share a repository's tag; `missing-input` for a component without any tag
 */
export function chooseDestinations(
  sets: readonly ComponentSet[],
  wanted: WantedDestinations,
): Map<ComponentSet, Destination[]> {
  const tags = new Map(sets.map(set => [set, tagsOf(set, wanted)]));
  const chosen = new Map(sets.map(set => [set, destinationsOf(set, tags.get(set) ?? [], wanted)]));
  refuseUnused(wanted.tags, [...chosen.values()].flat());
  for (const [set, destinations] of chosen) {
    if (set.plan !== undefined) refuseUnused(tags.get(set) ?? [], destinations);
    if (!wanted.byDigestOnly) refuseUntagged(set, destinations);
  }
  refuseShared([...chosen].flatMap(namedTags), SHARED);
  return chosen;
}

const SHARED =
  'Give each component "images" of its own ("{{component}}" stands for its name), or merge one by "component".';

function namedTags([{ component }, destinations]: readonly [ComponentSet, readonly Destination[]]) {
  return destinations.flatMap(({ repository, tags }) =>
    tags.map(tag => ({ component, name: `${formatRepository(repository)}:${tag}` })),
  );
}

/** The tags of the plan, or those that the merge was given, but not both: one of them would be a surprise. */
function tagsOf(
  { component, plan }: ComponentSet,
  { tags, byDigestOnly }: WantedDestinations,
): readonly TagEntry[] {
  const planned = plan?.tags.map(parseTagEntry) ?? [];
  if (planned.length > 0 && tags.length > 0) {
    throw new ManifoldError('invalid-input', `The plan of this run has the tags of ${component} already.`, {
      hint: 'Leave "tags" and "metadata" out of the merge, or the tags out of the plan.',
    });
  }
  if (byDigestOnly && tags.length > 0) {
    throw new ManifoldError('invalid-input', '"push-by-digest-only" is true, and there are "tags" as well.', {
      hint: 'Leave one of them out.',
    });
  }
  if (byDigestOnly) return [];
  if (planned.length > 0 || tags.length > 0) return planned.length > 0 ? planned : tags;
  throw new ManifoldError('missing-input', `There is no tag for ${component}: the input "tags" is missing.`, {
    hint: 'Name at least one, for example 1.2.3 or latest; or say "push-by-digest-only: true" if no tag is wanted.',
  });
}

function destinationsOf(
  set: ComponentSet,
  tags: readonly TagEntry[],
  wanted: WantedDestinations,
): Destination[] {
  const named = wanted.images?.(set.component) ?? set.plan?.images.map(parseRepository);
  const repositories = named ?? builtTo(set.records);
  const unique = [...new Map(repositories.map(each => [formatRepository(each), each])).values()];
  return unique.map(repository => ({ repository, tags: tagsFor(repository, tags) }));
}

function tagsFor(repository: Repository, tags: readonly TagEntry[]): string[] {
  const name = formatRepository(repository);
  const ours = tags.filter(tag => tag.repository === undefined || formatRepository(tag.repository) === name);
  return [...new Set(ours.map(({ tag }) => tag))];
}

/** The repositories that all builds of a component were pushed to. */
function builtTo(records: readonly BuildRecord[]): Repository[] {
  const lists = new Set(records.map(record => [...record.images].sort().join(', ')));
  if (lists.size <= 1) return (records[0]?.images ?? []).map(parseRepository);
  const rows = records.map(
    ({ component, platform, images }) => `  ${component} ${platform}: ${[...images].sort().join(', ')}`,
  );
  throw new ManifoldError(
    'invalid-input',
    `The builds were pushed to different images:\n${rows.join('\n')}`,
    {
      hint: 'Give the same "images" to all build jobs of a component, and each component a name of its own by "component".',
    },
  );
}

function refuseUnused(tags: readonly TagEntry[], destinations: readonly Destination[]): void {
  const names = new Set(destinations.map(({ repository }) => formatRepository(repository)));
  const unused = tags.find(({ repository }) => repository && !names.has(formatRepository(repository)));
  if (unused?.repository === undefined) return;
  throw new ManifoldError(
    'invalid-input',
    `The tag ${formatRepository(unused.repository)}:${unused.tag} is of an image that is not published here: ${[...names].join(', ')}.`,
    { hint: 'Add its name to "images", or take the tag out of "tags".' },
  );
}

/** Full references may leave a component without any: it would be published, and nobody could find it. */
function refuseUntagged({ component }: ComponentSet, destinations: readonly Destination[]): void {
  if (destinations.some(({ tags }) => tags.length > 0)) return;
  throw new ManifoldError('missing-input', `None of the tags is one of ${component}.`, {
    hint: 'Give every component a tag: bare ones go to all, and docker/metadata-action must list the names of all in its "images". Or narrow the merge by "component".',
  });
}

/**
 * Refuses a full name of a tag that two components would have: the last one would win, and nobody could say which that is.
 * @throws ManifoldError `invalid-input`
 */
export function refuseShared(
  tags: readonly { readonly component: string; readonly name: string }[],
  hint: string,
): void {
  const owners = new Map<string, string>();
  for (const { name, component } of tags) {
    const owner = owners.get(name);
    if (owner !== undefined) {
      throw new ManifoldError('invalid-input', `${owner} and ${component} would both be ${name}.`, { hint });
    }
    owners.set(name, component);
  }
}
