import type { Digest } from '../oci/digest.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { moveTag } from './move-tag.ts';
import { isFailure, type Outcome, tagsFailed } from './tag-failure.ts';
import { decideMove, type Lineage, lineageOf, type MoveDecision, type TagRank } from './tag-rules.ts';
import {
  annotationsOf,
  isImmutable,
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
  /** They stay where they were, or where another run has moved them on to. */
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
      moves.map(async ({ tag, was }) => {
        const whyLeave = (shown: ManifestContent) => reasonToLeave(tag, shown, tags, options);
        outcomes.set(tag.name, await moveTag(tag, { retry: options.retry, was, whyLeave }));
      }),
    );
    if (![...outcomes.values()].some(isFailure)) continue;
    const untried = (tag: TagTarget): boolean =>
      RANKS.indexOf(tag.rank) > RANKS.indexOf(rank) && decide(tag, tags, states, options).move;
    const wanted = tags.filter(tag => outcomes.has(tag.name) || untried(tag));
    throw tagsFailed(
      wanted.map(({ name }) => name),
      outcomes,
    );
  }
  return reportOf(tags, all, outcomes);
}

/** Those that will move, if they still point at what was found. */
export function tagsToMove(
  tags: readonly TagTarget[],
  states: TagStates,
  options: TagOptions,
): readonly TagTarget[] {
  return tags.filter(tag => decide(tag, tags, states, options).move);
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
function reportOf(
  tags: readonly TagTarget[],
  all: readonly Decided[],
  outcomes: ReadonlyMap<string, Outcome>,
): TagReport {
  const inOrder = all.toSorted((a, b) => tags.indexOf(a.tag) - tags.indexOf(b.tag));
  const report: { set: TagReport['set'][number][]; kept: TagReport['kept'][number][] } = {
    set: [],
    kept: [],
  };
  for (const { tag, was, decision } of inOrder) {
    const { component, name, content } = tag;
    const outcome = outcomes.get(name);
    const reason = outcome?.state === 'overtaken' ? outcome.reason : reasonOf(decision);
    if (reason !== undefined) report.kept.push({ component, name, reason });
    else report.set.push({ component, name, content, was });
  }
  return report;
}

/** Why a tag is kept; undefined when it is not. */
function reasonOf(decision: MoveDecision): string | undefined {
  return !decision.move && decision.outcome === 'kept' ? decision.reason : undefined;
}

/**
 * Why a tag that another run moved after we did is to stay there: because we would not have moved it, had that run been
 * a moment faster. So by "overwrite", which asks for our image in any case, there is no reason, and by "never-move"
 * whoever had the last word keeps it. Two images under an immutable tag are a fault that somebody must know of.
 */
async function reasonToLeave(
  target: TagTarget,
  shown: ManifestContent,
  all: readonly TagTarget[],
  options: TagOptions,
): Promise<string | undefined> {
  if (isImmutable(target, options)) return undefined;
  const leaders = all.filter(({ name }) => name === target.leader && name !== target.name);
  const states = new Map([...(await readTags(leaders)), [target.name, shown]]);
  const reason = reasonOf(decide(target, all, states, options));
  return reason === undefined ? undefined : `another run overtook this one, and ${reason}`;
}

/** A tag of a single platform stays where that of the whole image stays. */
function decide(
  target: TagTarget,
  all: readonly TagTarget[],
  states: TagStates,
  { policy }: TagOptions,
): MoveDecision {
  const leader = all.find(({ name }) => name === target.leader) ?? target;
  const decision = decideMove(policy, leader.lineage, currentLineage(states.get(leader.name)));
  if (leader === target || reasonOf(decision) !== undefined) return decision;
  const ours = { ...target.lineage, digest: target.content.digest };
  const rule = policy === 'never-move' ? policy : 'overwrite';
  return decideMove(rule, ours, currentLineage(states.get(target.name)));
}

function currentLineage(current: ManifestContent | undefined): Lineage | 'absent' {
  return current === undefined ? 'absent' : lineageOf(annotationsOf(current), current.digest);
}
