import { ManifoldError, messageOf } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Stay } from './tag-rules.ts';
import type { TagTarget } from './tags.ts';

/** Why a tag is not set. `unconfirmed`: the registry may have moved it, but did not show it. */
interface Failure {
  readonly state: 'refused' | 'unconfirmed';
  readonly reason: unknown;
}

/** What became of a tag. `overtaken`: another run moved it after us, and it is to stay there. */
export type TagOutcome =
  | Stay
  | { readonly state: 'moved' }
  | { readonly state: 'overtaken'; readonly reason: string }
  | Failure;

/** A tag, what it pointed at, and what became of it. */
export interface TagResult {
  readonly tag: TagTarget;
  /** Undefined: it is new, or nobody could look. */
  readonly was: Digest | undefined;
  readonly outcome: TagOutcome;
}

export function isFailure(outcome: TagOutcome): outcome is Failure {
  return outcome.state === 'refused' || outcome.state === 'unconfirmed';
}

/** Tells whether the tag was to move, and not to stay where it was. */
export function wasTried({ outcome: { state } }: TagResult): boolean {
  return state !== 'there' && state !== 'kept';
}

/**
 * The error of a tag that does not show what the registry took.
 * @param name its full name
 * @param shown what it points at; undefined when it does not exist
 */
export function tagMoved(
  name: string,
  expected: Digest,
  shown: Digest | undefined,
  hint: string,
): ManifoldError {
  const found = shown === undefined ? 'does not exist' : `points at ${shown}`;
  return new ManifoldError('tag-moved', `The registry took the tag for ${expected}, but ${name} ${found}.`, {
    hint,
  });
}

const REMEDY =
  'The image itself is complete and stays. Use "Re-run failed jobs": it sets the tags that are left. Do not use "Re-run all jobs": it builds another image, which a tag that never moves refuses once it shows this one.';

/**
 * The error of tags that are not all set: what was moved, what may have been, what was refused, what was not tried.
 * @param untried those that were to move after the ones that failed
 */
export function tagsFailed(tried: readonly TagResult[], untried: readonly TagTarget[]): ManifoldError {
  const inState = (state: TagOutcome['state']): readonly TagTarget[] =>
    tried.filter(({ outcome }) => outcome.state === state).map(({ tag }) => tag);
  const sentences = [
    sentence('Moved', inState('moved')),
    sentence('Overtaken by another run, and left there', inState('overtaken')),
    sentence('Not confirmed, may have moved', inState('unconfirmed')),
    sentence('Not moved', inState('refused')),
    sentence('Not tried', untried),
  ].flat();
  const failures = tried.flatMap(({ tag: { name }, outcome }) =>
    isFailure(outcome) ? [{ name, reason: outcome.reason }] : [],
  );
  const hints = new Set(
    failures.flatMap(({ reason }) => (reason instanceof ManifoldError && reason.hint ? [reason.hint] : [])),
  );
  const first = failures[0]?.reason;
  const unset = failures.length + untried.length;
  return new ManifoldError(
    first instanceof ManifoldError ? first.code : 'registry-refused',
    [
      `${unset} of ${tried.length + untried.length} tags were not set. ${sentences.join(' ')}`,
      ...failures.map(({ name, reason }) => `  ${name}: ${messageOf(reason)}`),
    ].join('\n'),
    {
      hint: [...hints, REMEDY].join('\n'),
      cause: first,
    },
  );
}

/** No sentence where there are none. */
function sentence(title: string, tags: readonly TagTarget[]): string[] {
  return tags.length === 0 ? [] : [`${title}: ${tags.map(({ name }) => name).join(', ')}.`];
}
