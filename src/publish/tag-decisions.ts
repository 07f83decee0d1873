import type { ManifestContent } from '../oci/manifest.ts';
import { type Lineage, lineageOf } from './lineage.ts';
import { decideMove, type MoveDecision } from './tag-rules.ts';
import { isImmutable, readTags, type TagOptions, type TagStates, type TagTarget } from './tags.ts';

/**
 * Decides whether a tag moves. One of a single platform stays where that of the whole image stays.
 * @param all the tags of the merge, among which is the one that it goes with
 */
export function decideTag(
  target: TagTarget,
  all: readonly TagTarget[],
  states: TagStates,
  { policy }: TagOptions,
): MoveDecision {
  const leader = all.find(({ name }) => name === target.leader) ?? target;
  const decision = decideMove(policy, leader.lineage, currentLineage(leader, states));
  if (leader === target || whyKept(decision) !== undefined) return decision;
  const rule = policy === 'never-move' ? policy : 'overwrite';
  return decideMove(rule, target.lineage, currentLineage(target, states));
}

function currentLineage({ name }: TagTarget, states: TagStates): Lineage | 'absent' {
  const current = states.get(name);
  return current === undefined ? 'absent' : lineageOf(current);
}

/** Undefined where a tag is not kept. */
function whyKept(decision: MoveDecision): string | undefined {
  return decision !== 'move' && decision.state === 'kept' ? decision.reason : undefined;
}

/** Those that will move, if they still point at what was found. */
export function tagsToMove(
  tags: readonly TagTarget[],
  states: TagStates,
  options: TagOptions,
): readonly TagTarget[] {
  return tags.filter(tag => decideTag(tag, tags, states, options) === 'move');
}

/**
 * Why a tag that another run moved after we did is to stay there: because we would not have moved it, had that run been
 * a moment faster. So by "overwrite", which asks for our image in any case, there is no reason, and by "never-move"
 * whoever had the last word keeps it. Two images under an immutable tag are a fault that somebody must know of.
 * @param shown what the tag shows now
 * @returns undefined when it is not to stay
 */
export async function whyStay(
  target: TagTarget,
  shown: ManifestContent,
  all: readonly TagTarget[],
  options: TagOptions,
): Promise<string | undefined> {
  if (isImmutable(target, options)) return undefined;
  const leaders = all.filter(({ name }) => name === target.leader && name !== target.name);
  const states = new Map([...(await readTags(leaders)), [target.name, shown]]);
  const reason = whyKept(decideTag(target, all, states, options));
  return reason === undefined ? undefined : `another run overtook this one, and ${reason}`;
}
