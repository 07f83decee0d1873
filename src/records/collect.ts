import { ManifoldError } from '../errors.ts';
import { formatPlatform } from '../oci/platform.ts';
import { inParallel } from '../parallel.ts';
import { isPlanName, isRecordName, parsePlanName, parseRecordName } from './name.ts';
import { BELONGS, type Origin } from './origin.ts';
import { type PlanRecord, parsePlan } from './plan.ts';
import { type BuildRecord, parseRecord } from './record.ts';
import type { RecordStore, StoredFile } from './store.ts';

/** What a run has left for its merge. */
export interface RunRecords {
  /** The newest plan; undefined when the run made none. */
  readonly plan: PlanRecord | undefined;
  /** Of each component and platform that of the newest attempt. */
  readonly builds: BuildRecord[];
}

/** How many records are on their way at a time: more would only meet the service's rate limit. */
const AT_A_TIME = 8;

/**
 * Reads the records of a run: the newest plan, and of each component and platform the build of the newest attempt. What
 * is not ours is left alone; what is ours and cannot be read is an error.
 * @param onBuild told of each build's record as soon as it is read, while others are still on their way
 * @throws ManifoldError `invalid-record` or `tampered-record`, naming all records that are refused; what the store throws
 */
export async function collectRecords(
  store: RecordStore,
  origin: Origin,
  onBuild: (record: BuildRecord) => void = () => {},
): Promise<RunRecords> {
  const refused = new Refusals();
  const newest = await chooseNewest(store, refused);
  const attempts = { ...origin, runAttempt: origin.runAttempt ?? store.runAttempt };
  const read = await inParallel(newest, AT_A_TIME, chosen =>
    refused.collect(async () => {
      const record = await chosen.read(attempts);
      if (record.build !== undefined) onBuild(record.build);
      return { artifact: chosen.file.name, ...record };
    }),
  );
  const records = read.filter(record => record !== undefined);
  await refused.collect(async () => requireOneCommit(records));
  refused.throwAll();
  return {
    plan: records.find(({ plan }) => plan !== undefined)?.plan,
    builds: records.map(({ build }) => build).filter(build => build !== undefined),
  };
}

/** A record's place in the run: of several with the same key the newest attempt counts. */
interface Chosen {
  readonly key: string;
  readonly attempt: number;
  readonly file: StoredFile;
  read(origin: Origin): Promise<{ readonly plan?: PlanRecord; readonly build?: BuildRecord }>;
}

async function chooseNewest(store: RecordStore, refused: Refusals): Promise<Chosen[]> {
  const newest = new Map<string, Chosen>();
  for (const file of await store.list()) {
    const chosen = await refused.collect(async () => identify(file));
    if (chosen === undefined) continue;
    const known = newest.get(chosen.key);
    if (known === undefined || known.attempt < chosen.attempt) newest.set(chosen.key, chosen);
  }
  return [...newest.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

function identify(file: StoredFile): Chosen | undefined {
  if (isPlanName(file.name)) {
    const name = parsePlanName(file.name);
    const read = async (origin: Origin) => ({ plan: parsePlan(await file.read(), name, file.name, origin) });
    return { key: 'plan', attempt: name.attempt, file, read };
  }
  if (!isRecordName(file.name)) return undefined;
  const name = parseRecordName(file.name);
  const read = async (origin: Origin) => ({ build: parseRecord(await file.read(), name, file.name, origin) });
  return {
    key: `build ${name.component} ${formatPlatform(name.platform)}`,
    attempt: name.attempt,
    file,
    read,
  };
}

/** Without a commit to expect, the records of a run must at least agree on one. */
function requireOneCommit(
  records: readonly { artifact: string; plan?: PlanRecord; build?: BuildRecord }[],
): void {
  const artifacts = new Map<string, string>();
  for (const { artifact, plan, build } of records) {
    const commit = (plan ?? build)?.source.commit ?? '';
    if (!artifacts.has(commit)) artifacts.set(commit, artifact);
  }
  if (artifacts.size <= 1) return;
  const found = [...artifacts].map(([commit, artifact]) => `${commit} in the artifact "${artifact}"`);
  throw new ManifoldError(
    'tampered-record',
    `The records, field "source.commit": expected one commit in all of them, found ${found.join(', ')}.`,
    { hint: 'All that is merged is built from one commit. Build again what is of another.' },
  );
}

const MALFORMED =
  'Manifold writes them otherwise: use one version of it in all jobs, and give nothing else such a name.';

/** Records that are refused, to be told together. Other errors (a service that fails) end everything at once. */
class Refusals {
  readonly #errors: ManifoldError[] = [];

  async collect<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const isRefusal =
        error instanceof ManifoldError && ['invalid-record', 'tampered-record'].includes(error.code);
      if (!isRefusal) throw error;
      this.#errors.push(error);
      return undefined;
    }
  }

  throwAll(): void {
    const [first] = this.#errors;
    if (first === undefined) return;
    if (this.#errors.length === 1) throw first;
    const isTampered = this.#errors.some(({ code }) => code === 'tampered-record');
    const hints = new Set(this.#errors.map(({ hint }) => hint).filter(hint => hint !== undefined));
    const fallback = isTampered ? BELONGS : MALFORMED;
    const lines = this.#errors.map(({ message }) => `  ${message}`).sort();
    throw new ManifoldError(
      isTampered ? 'tampered-record' : 'invalid-record',
      `${lines.length} reasons to refuse the records of this run:\n${lines.join('\n')}`,
      { hint: hints.size > 0 ? [...hints].join('\n') : fallback, cause: first },
    );
  }
}
