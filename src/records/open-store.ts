import { DEFAULT_RETRY, type RetryPolicy } from '../http/retry.ts';
import { Transport } from '../http/transport.ts';
import { ActionsApi } from './actions-api.ts';
import { requireGitHub } from './artifact-service.ts';
import { ArtifactStore } from './artifact-store.ts';
import { FolderStore } from './folder-store.ts';
import { ResultsApi } from './results-api.ts';
import { RunStore } from './run-store.ts';
import type { RecordStore } from './store.ts';

export interface StoreOptions {
  /** A folder that the workflow carries from job to job; undefined: the artifact service of the run. */
  readonly folder?: string | undefined;
  /** Days for which an artifact is kept; undefined: as the repository says. */
  readonly retentionDays?: number | undefined;
  /** A run whose artifacts are read through the REST API; undefined: this run. */
  readonly run?: { readonly token: string; readonly repository: string; readonly runId: string } | undefined;
  /** For this run's artifacts that its service lists and withholds: read with it through the REST API. */
  readonly token?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly retry?: RetryPolicy | undefined;
  /** Told of each try that failed and will be repeated, one sentence. */
  readonly onRetry?: ((message: string) => void) | undefined;
  /** Told of what must not stand in the log, before it is used. */
  readonly onSecret?: ((secret: string) => void) | undefined;
  /** For all that is read; it keeps its own budget. Undefined: one with the retries of these options. */
  readonly transport?: Transport | undefined;
}

/**
 * Opens the store, and finds here that there is none.
 * @throws ManifoldError `record-store`; `invalid-input`, `tampered-record` for a `run` that is none or not to be trusted
 */
export async function openStore(options: StoreOptions): Promise<RecordStore> {
  const { folder, retentionDays, run, env, retry = DEFAULT_RETRY } = options;
  const { onRetry = () => {}, onSecret = () => {} } = options;
  if (folder !== undefined) return new FolderStore(folder);
  // Connections that wait for their next request keep no process alive, so that nobody has to close this one.
  const transport = options.transport ?? new Transport({ env, retry, onRetry, onSecret });
  const own = { repository: env.GITHUB_REPOSITORY ?? '', runId: env.GITHUB_RUN_ID ?? '' };
  if (run !== undefined && !(run.repository === own.repository && run.runId === own.runId)) {
    requireGitHub(env);
    return RunStore.open({ ...run, env, transport });
  }
  const results = new ResultsApi({ env, transport, onSecret });
  const token = run?.token ?? options.token;
  const api = token && own.runId ? new ActionsApi({ ...own, token, env, transport }) : undefined;
  return new ArtifactStore({ retentionDays, env, retry, onRetry, results, api });
}
