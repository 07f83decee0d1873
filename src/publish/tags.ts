import { ManifoldError, messageOf } from '../errors.ts';
import { eventually, type RetryPolicy } from '../http/retry.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import type { RepositoryClient } from '../registry/client.ts';

/**
 * Points tags at an index that every registry holds already, and reads each back.
 * @returns the full names that point at the index now
 * @throws ManifoldError that names what was moved and what was not
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
  const results = await Promise.allSettled(
    moves.map(async ({ repository, tag }) => {
      await repository.putManifest(index, tag);
      await readBack(index, repository, tag, retry);
    }),
  );
  const failed = moves.flatMap(({ name }, position) => {
    const result = results[position];
    return result?.status === 'rejected' ? [{ name, reason: result.reason as unknown }] : [];
  });
  const [first] = failed;
  if (first === undefined) return moves.map(({ name }) => name);
  const moved = moves.map(({ name }) => name).filter(name => !failed.some(failure => failure.name === name));
  const lines = failed.map(({ name, reason }) => `  ${name}: ${messageOf(reason)}`);
  const rest = moved.length === 0 ? 'No tag was moved.' : `Moved: ${moved.join(', ')}.`;
  throw new ManifoldError(
    first.reason instanceof ManifoldError ? first.reason.code : 'registry-refused',
    `${failed.length} of ${moves.length} tags could not be moved. ${rest}\n${lines.join('\n')}`,
    {
      hint: 'The image itself is complete. Re-run this job: it moves the tags that are left.',
      cause: first.reason,
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
