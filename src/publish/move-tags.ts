import { ManifoldError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { moveTag } from './move-tag.ts';
import { decideTag, tagsToMove, whyStay } from './tag-decisions.ts';
import { isFailure, type TagResult, tagsFailed, wasTried } from './tag-failure.ts';
import { TAG_RANKS } from './tag-rules.ts';
import { readTags, refuseImmutable, type TagOptions, type TagStates, type TagTarget } from './tags.ts';

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
  const results: TagResult[] = [];
  for (const rank of TAG_RANKS) {
    const ranked = tags.filter(tag => tag.rank === rank);
    const moved = results.some(wasTried)
      ? await lookAndMove(ranked, tags, options)
      : await moveRank(ranked, tags, states, options);
    results.push(...moved);
    if (results.some(({ outcome }) => isFailure(outcome))) throw failureOf(tags, results, states, options);
  }
  const whole = withoutSplits(results);
  if (whole.some(({ outcome }) => isFailure(outcome))) throw failureOf(tags, whole, states, options);
  return reportOf(inOrderOf(tags, results));
}

/**
 * Tags of one name, in all registries and of all platforms, go together: where another run overtook this one at some of
 * them, and others show our image, one of the two runs is to do its tags again.
 */
function withoutSplits(results: readonly TagResult[]): TagResult[] {
  const nameOf = ({ tag }: TagResult): string => `${tag.component} ${tag.leader.split(':').at(-1)}`;
  const groups = Map.groupBy(results, nameOf);
  return results.map(result => {
    const { tag, outcome } = result;
    const ours = groups.get(nameOf(result))?.find(other => other.outcome.state === 'moved');
    if (outcome.state !== 'overtaken' || ours === undefined) return result;
    const reason = new ManifoldError(
      'tag-moved',
      `${tag.name} was moved by another run after this one, while ${ours.tag.name} shows what this run made: ${outcome.reason}.`,
      { hint: 'Two runs moved the same tags at the same time: let them run one after the other.' },
    );
    return { ...result, outcome: { state: 'unconfirmed', reason } };
  });
}

/** Moves those tags of one rank that are to move. Never throws: what went wrong is part of the results. */
function moveRank(
  ranked: readonly TagTarget[],
  all: readonly TagTarget[],
  states: TagStates,
  options: TagOptions,
): Promise<TagResult[]> {
  return Promise.all(
    ranked.map(async tag => {
      const was = states.get(tag.name)?.digest;
      const decision = decideTag(tag, all, states, options);
      if (decision !== 'move') return { tag, was, outcome: decision };
      const outcome = await moveTag(tag, {
        retry: options.retry,
        was,
        requireMovable: shown => refuseImmutable([tag], new Map([[tag.name, shown]]), options),
        whyStay: shown => whyStay(tag, shown, all, options),
      });
      return { tag, was, outcome };
    }),
  );
}

/** What went before took its time: somebody else may have moved the tags of this rank meanwhile. */
async function lookAndMove(
  ranked: readonly TagTarget[],
  all: readonly TagTarget[],
  options: TagOptions,
): Promise<TagResult[]> {
  let states: TagStates;
  try {
    states = await readTags(ranked);
    refuseImmutable(ranked, states, options);
  } catch (reason) {
    return ranked.map(tag => ({ tag, was: undefined, outcome: { state: 'refused', reason } }));
  }
  return moveRank(ranked, all, states, options);
}

/** @param states what the tags pointed at before the first of them moved */
function failureOf(
  tags: readonly TagTarget[],
  results: readonly TagResult[],
  states: TagStates,
  options: TagOptions,
): Error {
  const settled = new Set(results.map(({ tag }) => tag));
  const untried = tagsToMove(tags, states, options).filter(tag => !settled.has(tag));
  return tagsFailed(inOrderOf(tags, results).filter(wasTried), untried);
}

/** In the order in which the tags were asked for, whatever order they moved in. */
function inOrderOf(tags: readonly TagTarget[], results: readonly TagResult[]): TagResult[] {
  return results.toSorted((a, b) => tags.indexOf(a.tag) - tags.indexOf(b.tag));
}

function reportOf(results: readonly TagResult[]): TagReport {
  const report: { set: TagReport['set'][number][]; kept: TagReport['kept'][number][] } = {
    set: [],
    kept: [],
  };
  for (const { tag, was, outcome } of results) {
    const { component, name, content } = tag;
    if (outcome.state === 'kept' || outcome.state === 'overtaken')
      report.kept.push({ component, name, reason: outcome.reason });
    else report.set.push({ component, name, content, was });
  }
  return report;
}
