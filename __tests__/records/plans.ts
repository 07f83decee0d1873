import type { PlanRecord } from '../../src/records/plan.ts';
import { ORIGIN } from '../servers/images.ts';

/** A plan as the plan mode will write it. */
export function planOf(
  change: Partial<Pick<PlanRecord, 'components' | 'version'>> & { attempt?: number; commit?: string } = {},
): PlanRecord {
  const { attempt = 1, commit = ORIGIN.commit, ...rest } = change;
  return {
    schemaVersion: 1,
    components: [
      {
        component: 'app',
        images: ['ghcr.io/acme/app', 'docker.io/acme/app'],
        platforms: ['linux/amd64', 'linux/arm64'],
        tags: ['1.2.3', 'ghcr.io/acme/app:latest'],
        needed: true,
      },
    ],
    created: '2026-11-21T10:00:00.000Z',
    version: '1.2.3',
    source: {
      repository: ORIGIN.repository,
      commit,
      ref: 'refs/tags/v1.2.3',
      workflow: 'acme/app/.github/workflows/release.yml@refs/tags/v1.2.3',
      runId: ORIGIN.runId,
      runAttempt: attempt,
      job: 'plan',
    },
    manifold: '0.1.0',
    ...rest,
  };
}
