import { ManifoldError, messageOf } from '../errors.ts';
import type { RetryPolicy } from '../http/retry.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { eventually } from './eventually.ts';

interface Move {
  readonly repository: RepositoryClient;
  readonly tag: string;
  /** `ghcr.io/acme/app:1.2.3` */
  readonly name: string;
}

/** What became of a tag. `unconfirmed`: the registry may have moved it, but did not show it. */
type Outcome =
  | { readonly state: 'moved' }
  | { readonly state: 'refused' | 'unconfirmed'; readonly reason: unknown };

/**
 * Points tags at an index that every registry holds already, and reads each back.
 * @returns the full names that point at the index now
 * @throws ManifoldError that names what was moved, what may have been, and what was not
 */
export async function moveTags(
  index: ManifestContent,
  repositories: readonly RepositoryClient[],
  tags: readonly string[],
  retry: RetryPolicy,
): Promise<string[]> {
  const moves = repositories.flatMap(repository =>
    tags.map(tag => ({ repository, tag, name: `${repository.name}:${tag}` })),
  );
  const outcomes = await Promise.all(moves.map(move => moveTag(index, move, retry)));
  if (outcomes.every(({ state }) => state === 'moved')) return moves.map(({ name }) => name);
  throw tagsFailed(moves, outcomes);
}

async function moveTag(
  index: ManifestContent,
  { repository, tag }: Move,
  retry: RetryPolicy,
): Promise<Outcome> {
  try {
    await repository.putManifest(index, tag);
  } catch (reason) {
    // Only the registry's own "no" is one: without an answer, or with a strange one, the tag may have moved.
    const refused = reason instanceof ManifoldError && reason.code.startsWith('registry-');
    return { state: refused ? 'refused' : 'unconfirmed', reason };
  }
  try {
    await readBack(index, repository, tag, retry);
    return { state: 'moved' };
  } catch (reason) {
    return { state: 'unconfirmed', reason };
  }
}

function tagsFailed(moves: readonly Move[], outcomes: readonly Outcome[]): ManifoldError {
  const named = moves.map(({ name }, position) => ({ name, outcome: outcomes[position] as Outcome }));
  const of = (state: Outcome['state']): string[] =>
    named.filter(({ outcome }) => outcome.state === state).map(({ name }) => name);
  const sentences = [
    of('moved').length === 0 ? '' : `Moved: ${of('moved').join(', ')}.`,
    of('unconfirmed').length === 0 ? '' : `Not confirmed, may have moved: ${of('unconfirmed').join(', ')}.`,
    of('refused').length === 0 ? '' : `Not moved: ${of('refused').join(', ')}.`,
  ];
  const lines: string[] = [];
  const hints = new Set<string>();
  let first: unknown;
  for (const { name, outcome } of named) {
    if (outcome.state === 'moved') continue;
    first ??= outcome.reason;
    lines.push(`  ${name}: ${messageOf(outcome.reason)}`);
    if (outcome.reason instanceof ManifoldError && outcome.reason.hint !== undefined)
      hints.add(outcome.reason.hint);
  }
  return new ManifoldError(
    first instanceof ManifoldError ? first.code : 'registry-refused',
    [
      `${lines.length} of ${moves.length} tags were not set. ${sentences.filter(Boolean).join(' ')}`,
      ...lines,
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

async function readBack(
  index: ManifestContent,
  repository: RepositoryClient,
  tag: string,
  retry: RetryPolicy,
): Promise<void> {
  let shown: string | undefined;
  const agrees = await eventually(retry, async () => {
    shown = (await repository.findManifest(tag))?.digest;
    return shown === index.digest ? true : undefined;
  });
  if (agrees === true) return;
  const found = shown === undefined ? 'does not exist' : `points at ${shown}`;
  throw new ManifoldError(
    'tag-moved',
    `The registry took the tag for ${index.digest}, but ${repository.name}:${tag} ${found}.`,
    {
      hint: 'Another job may have moved it at the same time: let them run one after the other ("concurrency:" in the workflow).',
    },
  );
}
