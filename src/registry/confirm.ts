import { ManifoldError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryClient } from './repository-client.ts';

/**
 * Makes sure that a registry shows a manifest that it said it took.
 * @throws ManifoldError `registry-…`
 */
export async function confirmManifest(client: RepositoryClient, digest: Digest): Promise<void> {
  if ((await client.headManifest(digest, { justPushed: true })) !== undefined) return;
  throw new ManifoldError(
    'registry-not-found',
    `The registry took the manifest ${client.name}@${digest}, but does not show it.`,
    { hint: 'The registry has lost it, or shows it late. No tag was moved: re-run this job later.' },
  );
}
