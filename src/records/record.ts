import * as v from 'valibot';
import { checkDocument, parseDocument } from '../document.ts';
import { ManifoldError, oneLine } from '../errors.ts';
import { digestSchema } from '../oci/digest.ts';
import { formatPlatform, parsePlatform } from '../oci/platform.ts';
import { formatRepository, parseRepository } from '../oci/reference.ts';
import type { RecordName } from './name.ts';

/** A text that a parser of ours takes, in the one way that the parser's partner writes it. */
function canonical(what: string, rewrite: (text: string) => string) {
  const isLegal = (value: string) => {
    try {
      return rewrite(value) === value;
    } catch {
      return false;
    }
  };
  return v.pipe(
    v.string(),
    v.rawCheck(({ dataset, addIssue }) => {
      if (dataset.typed && !isLegal(dataset.value)) addIssue({ message: what, expected: what });
    }),
  );
}

const nonEmpty = v.pipe(v.string(), v.nonEmpty());
const time = v.pipe(v.string(), v.isoTimestamp());
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

/** Schema of a build record, version 1 (docs/records.md). Unknown fields are refused. */
export const buildRecord = v.strictObject({
  schemaVersion: v.literal(1),
  component: nonEmpty,
  platform: canonical('platform, as linux/arm64', text => formatPlatform(parsePlatform(text))),
  images: v.pipe(
    v.array(canonical('full image name', text => formatRepository(parseRepository(text)))),
    v.nonEmpty(),
    v.check(names => new Set(names).size === names.length, 'each image name once'),
  ),
  digest: digestSchema,
  mediaType: nonEmpty,
  size: count,
  /** Predicate types of the attestations that the registry holds for this image. */
  attestations: v.array(nonEmpty),
  source: v.strictObject({
    repository: nonEmpty,
    commit: nonEmpty,
    ref: v.string(),
    workflow: v.string(),
    runId: nonEmpty,
    runAttempt: count,
    job: v.string(),
    /** How many jobs the matrix has that this build is one of; null where the runner does not tell. */
    matrixSize: v.nullable(count),
    /** Which of them this one is, from 0; null where the runner does not tell. */
    matrixIndex: v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  }),
  builder: v.strictObject({
    name: v.string(),
    driver: v.string(),
    buildkit: v.string(),
    emulated: v.boolean(),
  }),
  started: time,
  finished: time,
  manifold: nonEmpty,
});

/** What one build job tells the merge. `digest`, `mediaType` and `size` are those of the pushed manifest or index. */
export type BuildRecord = v.InferOutput<typeof buildRecord>;

/** Where the records of a run must come from. */
export interface Origin {
  readonly repository: string;
  readonly commit: string;
  readonly runId: string;
  /** The attempt that reads: no record can be of a later one. */
  readonly runAttempt: number;
}

/** The bytes that cross the jobs. */
export function formatRecord(record: BuildRecord): Buffer {
  return Buffer.from(
    `${JSON.stringify(checkDocument(buildRecord, record, 'the record', { code: 'invalid-record' }), null, 2)}\n`,
  );
}

/**
 * Reads a record and holds it against its name and the run that reads it.
 * @throws ManifoldError `invalid-record` when it is malformed or of a newer schema; `tampered-record` when it says
 * something else than its name, or comes from another repository, commit or run
 */
export function parseRecord(
  bytes: Uint8Array,
  name: RecordName,
  artifact: string,
  origin: Origin,
): BuildRecord {
  const what = `the record in the artifact "${artifact}"`;
  refuseNewer(bytes, what);
  const record = parseDocument(buildRecord, bytes, what, { code: 'invalid-record' });
  const agreements: [field: string, expected: string, found: string][] = [
    ['component', name.component, record.component],
    ['platform', formatPlatform(name.platform), record.platform],
    ['source.runAttempt', String(name.attempt), String(record.source.runAttempt)],
    ['source.repository', origin.repository, record.source.repository],
    ['source.commit', origin.commit, record.source.commit],
    ['source.runId', origin.runId, record.source.runId],
  ];
  if (name.attempt > origin.runAttempt) {
    agreements.push(['source.runAttempt', `at most ${origin.runAttempt}`, String(name.attempt)]);
  }
  for (const [field, expected, found] of agreements) {
    if (expected === found) continue;
    throw new ManifoldError(
      'tampered-record',
      `${what}, field "${field}": expected ${oneLine(expected)}, found ${oneLine(found)}.`,
      {
        hint: 'A record belongs to the run, commit and name that it was written for. Re-run the build job of this platform.',
      },
    );
  }
  return record;
}

const versioned = v.looseObject({ schemaVersion: v.number() });

function refuseNewer(bytes: Uint8Array, what: string): void {
  const { schemaVersion } = parseDocument(versioned, bytes, what, { code: 'invalid-record' });
  if (schemaVersion <= 1) return;
  throw new ManifoldError(
    'invalid-record',
    `${what} has schemaVersion ${schemaVersion}; this version of Manifold reads 1.`,
    {
      hint: 'Use the same version of Manifold in the build and the merge jobs.',
    },
  );
}
