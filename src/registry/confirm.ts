import type { Digest } from '../oci/digest.ts';
import { lost } from './failure.ts';
import type { RepositoryClient } from './repository-client.ts';

/**
 * Makes sure that a registry shows a manifest that it said it took.
 * @throws ManifoldError `registry-…`
 */
export async function confirmManifest(client: RepositoryClient, digest: Digest): Promise<void> {
  if ((await client.headManifest(digest, { justPushed: true })) !== undefined) return;
  throw lost('manifest', `${client.name}@${digest}`);
}
