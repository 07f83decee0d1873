import { ManifoldError, messageOf } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';

/** Why a tag is not set. `unconfirmed`: the registry may have moved it, but did not show it. */
interface Failure {
  readonly state: 'refused' | 'unconfirmed';
  readonly reason: unknown;
}

/** What became of a tag. `overtaken`: another run moved it after us, and it is to stay there. */
export type Outcome =
  | { readonly state: 'moved' }
  | { readonly state: 'overtaken'; readonly reason: string }
  | Failure;

export function isFailure(outcome: Outcome | undefined): outcome is Failure {
  return outcome?.state === 'refused' || outcome?.state === 'unconfirmed';
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
 * @param wanted full names of all tags that were to move
 * @param outcomes of those that were tried
 */
export function tagsFailed(wanted: readonly string[], outcomes: ReadonlyMap<string, Outcome>): ManifoldError {
  const of = (state: Outcome['state'] | undefined): string =>
    wanted.filter(name => outcomes.get(name)?.state === state).join(', ');
  const sentences = [
    ['Moved', of('moved')],
    ['Overtaken by another run, and left there', of('overtaken')],
    ['Not confirmed, may have moved', of('unconfirmed')],
    ['Not moved', of('refused')],
    ['Not tried', of(undefined)],
  ].flatMap(([title, names]) => (names === '' ? [] : [`${title}: ${names}.`]));
  const failed = wanted.flatMap(name => {
    const outcome = outcomes.get(name);
    return isFailure(outcome) ? [{ name, reason: outcome.reason }] : [];
  });
  const hints = new Set(
    failed.flatMap(({ reason }) => (reason instanceof ManifoldError && reason.hint ? [reason.hint] : [])),
  );
  const first = failed[0]?.reason;
  const unset = wanted.filter(name => !outcomes.has(name) || isFailure(outcomes.get(name))).length;
  return new ManifoldError(
    first instanceof ManifoldError ? first.code : 'registry-refused',
    [
      `${unset} of ${wanted.length} tags were not set. ${sentences.join(' ')}`,
      ...failed.map(({ name, reason }) => `  ${name}: ${messageOf(reason)}`),
    ].join('\n'),
    {
      hint: [...hints, REMEDY].join('\n'),
      cause: first,
    },
  );
}
