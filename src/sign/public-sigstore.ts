import { tmpdir } from 'node:os';
import path from 'node:path';
import { initTUF } from '@sigstore/tuf';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';

/** Opened once: two at the same time would write the same cache. */
let repository: ReturnType<typeof initTUF> | undefined;

/**
 * A file of the public Sigstore, by its TUF repository: signed, fresh, and kept for the next step of this job.
 * @param name `trusted_root.json`, `signing_config.v0.2.json`
 * @throws ManifoldError `service-unreachable`
 */
export async function publicTarget(name: string, env: NodeJS.ProcessEnv): Promise<string> {
  try {
    repository ??= initTUF({
      cachePath: path.join(env.RUNNER_TEMP || tmpdir(), 'manifold-tuf'),
      retry: 3,
      timeout: 20_000,
    });
    return await (await repository).getTarget(name);
  } catch (error) {
    throw new ManifoldError(
      'service-unreachable',
      `The public Sigstore's ${name} could not be fetched: ${oneLine(messageOf(error))}.`,
      {
        hint: 'Re-run the job, or give the files of your own Sigstore by "trusted-root" and "signing-config".',
        cause: error,
      },
    );
  }
}
