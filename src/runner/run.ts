import { readFileSync } from 'node:fs';
import { ManifoldError } from '../errors.ts';

/** What the runner tells every step about the run that it belongs to (GitHub's "Default environment variables"). */
export interface Run {
  /** `https://github.com` */
  readonly server: string;
  readonly repository: string;
  readonly commit: string;
  readonly ref: string;
  /** The workflow of the run, as file and ref where the runner tells it so, else by its name. */
  readonly workflow: string;
  readonly runId: string;
  readonly runAttempt: number;
  readonly job: string;
}

/** @throws ManifoldError `missing-input` outside a runner */
export function readRun(env: NodeJS.ProcessEnv): Run {
  const required = (name: string): string => {
    const value = env[name];
    if (value) return value;
    throw new ManifoldError('missing-input', `The environment variable ${name} is missing.`, {
      hint: 'Every runner sets it. To run Manifold by hand, set what GitHub documents as default environment variables.',
    });
  };
  return {
    server: env.GITHUB_SERVER_URL || 'https://github.com',
    repository: required('GITHUB_REPOSITORY'),
    commit: required('GITHUB_SHA'),
    ref: env.GITHUB_REF ?? '',
    workflow: env.GITHUB_WORKFLOW_REF || env.GITHUB_WORKFLOW || '',
    runId: required('GITHUB_RUN_ID'),
    runAttempt: Number(env.GITHUB_RUN_ATTEMPT || 1),
    job: env.GITHUB_JOB ?? '',
  };
}

/** Who may see a repository. `internal`: everybody in its enterprise. */
export type Visibility = 'public' | 'private' | 'internal';

const VISIBILITIES: readonly unknown[] = ['public', 'private', 'internal'] satisfies Visibility[];

/**
 * Who may see the repository of the run, by the event that started it (GitHub's webhook payloads, `repository`).
 * @returns undefined where the runner does not tell
 */
export function readVisibility({ GITHUB_EVENT_PATH: file }: NodeJS.ProcessEnv): Visibility | undefined {
  if (!file) return undefined;
  try {
    const event: { repository?: { visibility?: unknown; private?: unknown } } | null = JSON.parse(
      readFileSync(file, 'utf8'),
    );
    const { visibility, private: isPrivate } = event?.repository ?? {};
    if (VISIBILITIES.includes(visibility)) return visibility as Visibility;
    // Forges that know two kinds only, and old servers, say it so.
    if (typeof isPrivate === 'boolean') return isPrivate ? 'private' : 'public';
  } catch {
    // No file, or none of the kind: then nothing is told.
  }
  return undefined;
}
