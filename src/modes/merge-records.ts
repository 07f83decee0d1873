import { ManifoldError, oneLine } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import type { MergeInputs } from '../inputs.ts';
import type { Repository } from '../oci/reference.ts';
import type { BuildReader } from '../publish/read-builds.ts';
import { collectRecords, type RunRecords } from '../records/collect.ts';
import { openStore } from '../records/open-store.ts';
import type { Origin } from '../records/origin.ts';
import type { BuildRecord } from '../records/record.ts';
import type { RecordStore } from '../records/store.ts';
import type { Runner } from '../runner/actions.ts';
import type { Run } from '../runner/run.ts';

/** What reading the records takes of the merge. */
export interface RecordsContext {
  readonly inputs: MergeInputs;
  readonly run: Run;
  readonly runner: Runner;
  readonly env: NodeJS.ProcessEnv;
  readonly transport: Transport;
  readonly reader: BuildReader;
  /** The repositories of a component as the input says; undefined: wherever the builds pushed to. */
  readonly imagesFor: ((component: string) => readonly Repository[]) | undefined;
}

/** Reads the records of the run that is merged, and begins to read what they are about. */
export async function readRecords(context: RecordsContext): Promise<RunRecords> {
  const { inputs, run, runner, env, transport } = context;
  const { githubToken: token } = inputs;
  const other = otherRun(inputs, run);
  const origin = other ?? run;
  const store = await openStore({
    folder: inputs.records,
    run: other === undefined ? undefined : { ...other, token: requireToken(token) },
    token,
    env,
    retry: transport.retry,
    transport,
    onRetry: runner.info,
    onSecret: runner.mask,
  });
  warnOfFailure(store, origin, runner);
  return runner.group(`Records of the run ${origin.runId}`, async () => {
    const records = await collectRecords(store, origin, record => beginReading(record, context));
    for (const { component, platform, digest, source } of records.builds) {
      runner.info(`Record of ${component} for ${platform}, attempt ${source.runAttempt}: ${digest}`);
    }
    return records;
  });
}

/** What turns out not to be wanted was read in vain, and nothing else. */
function beginReading(record: BuildRecord, { inputs, reader, imagesFor }: RecordsContext): void {
  const { components } = inputs;
  if (components.length > 0 && !components.includes(record.component)) return;
  reader.begin(record, imagesFor?.(record.component));
}

/** Whether a run that failed is good enough to be merged is for its workflow to say, and easily forgotten there. */
function warnOfFailure({ conclusion }: RecordStore, { runId }: Origin, runner: Runner): void {
  if (conclusion === undefined || conclusion === 'success') return;
  runner.warning(
    `The run ${runId} ended with ${oneLine(conclusion)}: what it built is merged all the same. To merge only what has succeeded, say "if: github.event.workflow_run.conclusion == 'success'" at this job.`,
  );
}

/** Another run, whose commit and attempts only its records tell; undefined when it is this one after all. */
function otherRun({ run: other }: MergeInputs, run: Run): Origin | undefined {
  if (other === undefined) return undefined;
  const repository = other.repository ?? run.repository;
  const isThis = other.id === run.runId && repository.toLowerCase() === run.repository.toLowerCase();
  return isThis ? undefined : { repository, commit: undefined, runId: other.id, runAttempt: undefined };
}

function requireToken(token: string | undefined): string {
  if (token !== undefined) return token;
  throw new ManifoldError(
    'missing-input',
    'The input "github-token" is empty: the artifacts of another run need one.',
    {
      hint: 'Leave it out for the token of this job, and give the job "permissions: actions: read".',
    },
  );
}
