import { ManifoldError, messageOf } from '../errors.ts';

/** What became of a tag. `unconfirmed`: the registry may have moved it, but did not show it. */
export type Outcome =
  | { readonly state: 'moved' }
  | { readonly state: 'refused' | 'unconfirmed'; readonly reason: unknown };

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
    ['Not confirmed, may have moved', of('unconfirmed')],
    ['Not moved', of('refused')],
    ['Not tried', of(undefined)],
  ].flatMap(([title, names]) => (names === '' ? [] : [`${title}: ${names}.`]));
  const failed = wanted.flatMap(name => {
    const outcome = outcomes.get(name);
    return outcome === undefined || outcome.state === 'moved' ? [] : [{ name, reason: outcome.reason }];
  });
  const hints = new Set(
    failed.flatMap(({ reason }) => (reason instanceof ManifoldError && reason.hint ? [reason.hint] : [])),
  );
  const first = failed[0]?.reason;
  const unset = wanted.length - [...outcomes.values()].filter(({ state }) => state === 'moved').length;
  return new ManifoldError(
    first instanceof ManifoldError ? first.code : 'registry-refused',
    [
      `${unset} of ${wanted.length} tags were not set. ${sentences.join(' ')}`,
      ...failed.map(({ name, reason }) => `  ${name}: ${messageOf(reason)}`),
    ].join('\n'),
    {
      hint: [
        ...hints,
        'The image itself is complete and stays. Re-run this job: it sets the tags that are left.',
      ].join('\n'),
      cause: first,
    },
  );
}
