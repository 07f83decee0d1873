import { ManifoldError } from '../errors.ts';
import type { RetryPolicy } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { matchesPattern, platformTags } from '../oci/tags.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { eventually } from './eventually.ts';
import type { Publication, Target } from './publication.ts';
import { type Outcome, tagsFailed } from './tag-failure.ts';
import {
  decideMove,
  type MoveDecision,
  type Origin,
  originOf,
  rankTag,
  type TagPolicy,
  type TagRank,
} from './tag-rules.ts';

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
  readonly origin: Origin;
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
  const all = publications.flatMap(({ component, image, targets }) => {
    const origin = originOf(annotationsOf(image.content), image.content.digest);
    const platforms = image.children.map(({ platform }) => platform);
    return targets.flatMap(({ client, tags }) => {
      const target = (tag: string, content: ManifestContent, leader: string): TagTarget => ({
        component,
        client,
        tag,
        content,
        origin,
        leader: `${client.name}:${leader}`,
        name: `${client.name}:${tag}`,
        rank: rankTag(leader, options.immutable),
      });
      const whole = tags.map(tag => target(tag, image.content, tag));
      const { platformSuffix } = options;
      if (platformSuffix === undefined) return whole;
      // Tag by tag, and the platforms of each in the order of the index.
      const single = platformTags(tags, platformSuffix, platforms).map(({ tag }, position) => {
        const leader = tags[Math.floor(position / platforms.length)] as string;
        return target(tag, image.manifests[position % platforms.length] as ManifestContent, leader);
      });
      return [...whole, ...single];
    });
  });
  refuseShared(all);
  return all;
}

/** Components that share a repository may be told apart by their tags, and still share one of a single platform. */
function refuseShared(tags: readonly TagTarget[]): void {
  const owners = new Map<string, string>();
  for (const { name, component } of tags) {
    const owner = owners.get(name);
    if (owner !== undefined) {
      throw new ManifoldError('invalid-input', `${owner} and ${component} would both be ${name}.`, {
        hint: 'Choose another "platform-tag-suffix", or take one of these tags out of "tags".',
      });
    }
    owners.set(name, component);
  }
}

/** What tags point at, by their full names; absent ones are missing. */
export type TagStates = ReadonlyMap<string, ManifestContent>;

/** Tags that were looked at, by their full names; undefined: absent. */
export type TagLook = ReadonlyMap<string, ManifestContent | undefined>;

/**
 * Looks at the tags of targets before it is known what will be published there.
 * @throws ManifoldError when a registry does not tell: "could not look" is never "absent"
 */
export async function lookAhead(targets: readonly Target[]): Promise<TagLook> {
  const tags = targets.flatMap(target => target.tags.map(tag => ({ client: target.client, tag })));
  return new Map(
    await Promise.all(
      tags.map(async ({ client, tag }) => [`${client.name}:${tag}`, await client.findManifest(tag)] as const),
    ),
  );
}

/**
 * What tags point at.
 * @param known those that need not be looked at again
 * @throws ManifoldError as `lookAhead`
 */
export async function readTags(tags: readonly TagTarget[], known: TagLook = new Map()): Promise<TagStates> {
  const found = await Promise.all(
    tags.map(async ({ client, tag, name }) => {
      const content = known.has(name) ? known.get(name) : await client.findManifest(tag);
      return [name, content] as const;
    }),
  );
  return new Map(found.flatMap(([name, content]) => (content === undefined ? [] : [[name, content]])));
}

/** Tells whether one of the tags of a repository points at a manifest, which it holds then. */
export function isShown(states: TagStates, { name }: RepositoryClient, digest: Digest): boolean {
  return [...states].some(([tag, content]) => tag.startsWith(`${name}:`) && content.digest === digest);
}

/**
 * Refuses to move what must not move: before anything is pushed, and again before the first tag moves.
 * @throws ManifoldError `tag-immutable`
 */
export function refuseImmutable(
  tags: readonly TagTarget[],
  states: TagStates,
  { immutable }: TagOptions,
): void {
  const taken = tags.filter(({ tag, name, content }) => {
    const current = states.get(name);
    const isImmutable = immutable.some(pattern => matchesPattern(tag, pattern));
    return isImmutable && current !== undefined && current.digest !== content.digest;
  });
  if (taken.length === 0) return;
  const lines = taken.map(
    ({ name, content }) => `  ${name} points at ${states.get(name)?.digest}, this image is ${content.digest}`,
  );
  throw new ManifoldError('tag-immutable', `Tags of "immutable-tags" exist already:\n${lines.join('\n')}`, {
    hint: 'No tag was moved. Publish under a new version, or take the tag out of "tags".',
  });
}

/** A tag by its full name, and the component that asked for it. */
export type NamedTag = Pick<TagTarget, 'component' | 'name'>;

/** What became of the tags. */
export interface TagReport {
  /** They point at the image now. */
  readonly set: readonly NamedTag[];
  /** They stay where they were. */
  readonly kept: readonly (NamedTag & { readonly reason: string })[];
}

/** The order in which tags move, everywhere: who follows the last of them finds the others set. */
const RANKS: readonly TagRank[] = ['fixed', 'floating', 'latest'];

/**
 * Points tags at images that every registry holds already, and reads each back.
 * @param states what the tags point at now
 * @throws ManifoldError that names what was moved, what may have been, and what was not
 */
export async function moveTags(
  tags: readonly TagTarget[],
  states: TagStates,
  options: TagOptions,
): Promise<TagReport> {
  const decided = tags.map(tag => ({ tag, decision: decide(tag, tags, states, options) }));
  const kept = decided.flatMap(({ tag: { component, name }, decision }) =>
    !decision.move && decision.outcome === 'kept' ? [{ component, name, reason: decision.reason }] : [],
  );
  const outcomes = new Map<string, Outcome>();
  for (const rank of RANKS) {
    const moves = decided.filter(({ tag, decision }) => tag.rank === rank && decision.move);
    await Promise.all(
      moves.map(async ({ tag }) => outcomes.set(tag.name, await moveTag(tag, options.retry))),
    );
    if ([...outcomes.values()].some(({ state }) => state !== 'moved')) {
      const wanted = decided.filter(({ decision }) => decision.move).map(({ tag }) => tag.name);
      throw tagsFailed(wanted, outcomes);
    }
  }
  const stays = new Set(kept.map(({ name }) => name));
  return { set: tags.filter(({ name }) => !stays.has(name)), kept };
}

/** A tag of a single platform stays where that of the whole image stays. */
function decide(
  target: TagTarget,
  all: readonly TagTarget[],
  states: TagStates,
  { policy }: TagOptions,
): MoveDecision {
  const leader = all.find(({ name }) => name === target.leader) ?? target;
  const decision = decideMove(policy, leader.origin, currentOrigin(states.get(leader.name)));
  if (leader === target || (!decision.move && decision.outcome === 'kept')) return decision;
  const ours = { ...target.origin, digest: target.content.digest };
  const rule = policy === 'never-move' ? policy : 'overwrite';
  return decideMove(rule, ours, currentOrigin(states.get(target.name)));
}

function currentOrigin(current: ManifestContent | undefined): Origin | 'absent' {
  return current === undefined ? 'absent' : originOf(annotationsOf(current), current.digest);
}

/** Somebody else's manifest may be of any kind: what cannot be read says nothing. */
function annotationsOf({ bytes }: ManifestContent): Record<string, string> {
  try {
    const { annotations } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { annotations?: object };
    const entries = Object.entries(annotations ?? {}).filter(([, value]) => typeof value === 'string');
    return Object.fromEntries(entries) as Record<string, string>;
  } catch {
    return {};
  }
}

async function moveTag(target: TagTarget, retry: RetryPolicy): Promise<Outcome> {
  try {
    await target.client.putManifest(target.content, target.tag, { justPushed: true });
  } catch (reason) {
    // Only the registry's own "no" is one: without an answer, or with a strange one, the tag may have moved.
    const refused =
      reason instanceof ManifoldError &&
      (reason.code.startsWith('registry-') || reason.code === 'tag-immutable');
    return { state: refused ? 'refused' : 'unconfirmed', reason };
  }
  try {
    await readBack(target, retry);
    return { state: 'moved' };
  } catch (reason) {
    return { state: 'unconfirmed', reason };
  }
}

async function readBack({ client, tag, name, content }: TagTarget, retry: RetryPolicy): Promise<void> {
  let shown: string | undefined;
  const agrees = await eventually(retry, async () => {
    shown = (await client.findManifest(tag))?.digest;
    return shown === content.digest ? true : undefined;
  });
  if (agrees === true) return;
  const found = shown === undefined ? 'does not exist' : `points at ${shown}`;
  throw new ManifoldError(
    'tag-moved',
    `The registry took the tag for ${content.digest}, but ${name} ${found}.`,
    {
      hint: 'Another job may have moved it at the same time: let them run one after the other ("concurrency:" in the workflow).',
    },
  );
}
