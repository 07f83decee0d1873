import { type ErrorCode, ManifoldError } from '../errors.ts';
import type { RetryPolicy } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { eventually } from './eventually.ts';
import { type Outcome, tagsFailed } from './tag-failure.ts';
import { decideMove, type MoveDecision, type Origin, originOf, type TagRank } from './tag-rules.ts';
import {
  annotationsOf,
  readTags,
  refuseImmutable,
  type TagOptions,
  type TagStates,
  type TagTarget,
} from './tags.ts';

/** A tag by its full name, and the component that asked for it. */
export type NamedTag = Pick<TagTarget, 'component' | 'name'>;

/** What became of the tags. */
export interface TagReport {
  /** They point at the image now. `was`: what they pointed at before; undefined for a new tag. */
  readonly set: readonly (NamedTag & {
    readonly was: Digest | undefined;
    readonly content: ManifestContent;
  })[];
  /** They stay where they were. */
  readonly kept: readonly (NamedTag & { readonly reason: string })[];
}

/** The order in which tags move, everywhere: who follows the last of them finds the others set. */
const RANKS: readonly TagRank[] = ['fixed', 'floating', 'latest'];

/** A tag, what it pointed at, and what is to become of it. */
interface Decided {
  readonly tag: TagTarget;
  readonly was: Digest | undefined;
  readonly decision: MoveDecision;
}

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
  const outcomes = new Map<string, Outcome>();
  const all: Decided[] = [];
  for (const rank of RANKS) {
    const ranked = tags.filter(tag => tag.rank === rank);
    const current = outcomes.size === 0 ? states : await lookAgain(ranked, outcomes, options);
    const decided =
      current === undefined
        ? []
        : ranked.map(tag => ({
            tag,
            was: current.get(tag.name)?.digest,
            decision: decide(tag, tags, current, options),
          }));
    all.push(...decided);
    const moves = decided.filter(({ decision }) => decision.move);
    await Promise.all(
      moves.map(async ({ tag }) => outcomes.set(tag.name, await moveTag(tag, options.retry))),
    );
    if ([...outcomes.values()].every(({ state }) => state === 'moved')) continue;
    const untried = (tag: TagTarget): boolean =>
      RANKS.indexOf(tag.rank) > RANKS.indexOf(rank) && decide(tag, tags, states, options).move;
    const wanted = tags.filter(tag => outcomes.has(tag.name) || untried(tag));
    throw tagsFailed(
      wanted.map(({ name }) => name),
      outcomes,
    );
  }
  return reportOf(tags, all);
}

/**
 * What went before took its time: somebody else may have moved these meanwhile.
 * @param outcomes gets those that cannot be moved therefore
 */
async function lookAgain(
  tags: readonly TagTarget[],
  outcomes: Map<string, Outcome>,
  options: TagOptions,
): Promise<TagStates | undefined> {
  try {
    const current = await readTags(tags);
    refuseImmutable(tags, current, options);
    return current;
  } catch (reason) {
    for (const { name } of tags) outcomes.set(name, { state: 'refused', reason });
    return undefined;
  }
}

/** In the order of the tags, whatever order they moved in. */
function reportOf(tags: readonly TagTarget[], all: readonly Decided[]): TagReport {
  const inOrder = all.toSorted((a, b) => tags.indexOf(a.tag) - tags.indexOf(b.tag));
  const report: { set: TagReport['set'][number][]; kept: TagReport['kept'][number][] } = {
    set: [],
    kept: [],
  };
  for (const { tag, was, decision } of inOrder) {
    const { component, name, content } = tag;
    const isKept = !decision.move && decision.outcome === 'kept';
    if (isKept) report.kept.push({ component, name, reason: decision.reason });
    else report.set.push({ component, name, content, was });
  }
  return report;
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

/** What a registry says when it means it; any other end of a request leaves open whether it took effect. */
const REFUSALS: readonly ErrorCode[] = [
  'registry-unauthorized',
  'registry-forbidden',
  'registry-not-found',
  'registry-refused',
  'tag-immutable',
];

async function moveTag(target: TagTarget, retry: RetryPolicy): Promise<Outcome> {
  try {
    await target.client.putManifest(target.content, target.tag, { justPushed: true });
  } catch (reason) {
    // An earlier try may have moved it, and only its answer was lost: the tag itself knows.
    const shown = await target.client.findManifest(target.tag).catch(() => undefined);
    if (shown?.digest === target.content.digest) return { state: 'moved' };
    const isRefusal = reason instanceof ManifoldError && REFUSALS.includes(reason.code);
    return { state: isRefusal ? 'refused' : 'unconfirmed', reason };
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
