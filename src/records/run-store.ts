import { ManifoldError, oneLine } from '../errors.ts';
import { ActionsApi, type ActionsApiOptions, type WorkflowRun } from './actions-api.ts';
import { newestOfName } from './newest.ts';
import type { RecordStore, StoredFile } from './store.ts';

/** The artifacts of another run, read through GitHub's REST API. It never loads the artifact client. */
export class RunStore implements RecordStore {
  readonly runAttempt: number;
  /** How the run ended ("success", "failure", …); undefined where GitHub does not tell. */
  readonly conclusion: string | undefined;
  readonly #api: ActionsApi;

  private constructor(api: ActionsApi, run: WorkflowRun) {
    this.#api = api;
    this.runAttempt = run.run_attempt;
    this.conclusion = run.conclusion ?? undefined;
  }

  /**
   * @throws ManifoldError `tampered-record` for a run of a fork, whose records strangers wrote; `record-store` for one
   * that has not ended or cannot be read
   */
  static async open(options: ActionsApiOptions): Promise<RunStore> {
    const api = new ActionsApi(options);
    const run = await api.run();
    refuseStrangers(run, options);
    refuseUnfinished(run, options);
    return new RunStore(api, run);
  }

  async save(name: string): Promise<void> {
    throw new ManifoldError('record-store', `"${oneLine(name)}" cannot be saved: another run is only read.`);
  }

  async list(): Promise<StoredFile[]> {
    const artifacts = newestOfName(await this.#api.artifacts());
    return artifacts.map(artifact => ({ name: artifact.name, read: () => this.#api.download(artifact) }));
  }
}

function refuseStrangers(run: WorkflowRun, { repository, runId }: ActionsApiOptions): void {
  const expected = repository.toLowerCase();
  const owners: readonly [field: string, found: string][] = [
    ['repository', run.repository.full_name],
    ['head_repository', run.head_repository?.full_name ?? 'none, as of a deleted fork'],
  ];
  for (const [field, found] of owners) {
    if (found.toLowerCase() === expected) continue;
    throw new ManifoldError(
      'tampered-record',
      `The workflow run ${runId}, field "${field}": expected ${repository}, found ${oneLine(found)}.`,
      {
        hint: 'What a pull request from a fork has built is never merged: its code wrote the records. Build it again in a run of this repository.',
      },
    );
  }
}

/** A run that goes on may still replace a record by that of a newer attempt: what is read would be half of each. */
function refuseUnfinished({ status }: WorkflowRun, { repository, runId }: ActionsApiOptions): void {
  if (status === 'completed') return;
  throw new ManifoldError(
    'record-store',
    `The workflow run ${runId} of ${repository} has not ended: expected the status "completed", found "${oneLine(status ?? 'none')}".`,
    {
      hint: 'Start the merge when the run has ended: "on: workflow_run" with "types: [completed]". Inside the same run say no "run-id".',
    },
  );
}
