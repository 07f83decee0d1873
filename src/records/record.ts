import * as v from 'valibot';
import { checkDocument } from '../document.ts';
import { digestOf, digestSchema } from '../oci/digest.ts';
import { formatPlatform } from '../oci/platform.ts';
import {
  component,
  count,
  distinct,
  imageName,
  nonEmpty,
  parseVersioned,
  platform,
  sourceFields,
  time,
} from './fields.ts';
import type { RecordName } from './name.ts';
import { type Origin, originAgreements, requireAgreement } from './origin.ts';

export type { Origin } from './origin.ts';

const fields = v.strictObject({
  schemaVersion: v.literal(1),
  component,
  platform,
  images: distinct(imageName, 'image name'),
  digest: digestSchema,
  mediaType: nonEmpty,
  size: count,
  /** What was pushed under `digest`, its bytes as UTF-8: with it the merge need not ask a registry for it. */
  content: v.pipe(
    nonEmpty,
    v.description('Its bytes as UTF-8 are "size" bytes long, and their digest is "digest".'),
  ),
  /** Predicate types of the attestations that the registry holds for this image. */
  attestations: v.array(nonEmpty),
  source: v.strictObject({
    ...sourceFields,
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

/** Schema of a build record, version 1 (docs/records.md). Unknown fields are refused. */
export const buildRecord = v.pipe(
  fields,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const record = dataset.value;
    const bytes = Buffer.from(record.content, 'utf8');
    const say = (key: 'content' | 'size', expected: string, received: string) => {
      const path = { type: 'object', origin: 'value', input: record, key, value: record[key] } as const;
      addIssue({ message: expected, expected, received, path: [path] });
    };
    const digest = digestOf(bytes);
    if (digest !== record.digest)
      say('content', `the text whose digest is ${record.digest}`, `one of ${digest}`);
    else if (bytes.byteLength !== record.size)
      say('size', `${bytes.byteLength}, the bytes of "content"`, `${record.size}`);
  }),
);

/**
 * What one build job tells the merge. `digest`, `mediaType`, `size` and `content` are those of the pushed manifest, or of
 * BuildKit's small index of manifest and attestation manifests.
 */
export type BuildRecord = v.InferOutput<typeof buildRecord>;

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
  const record = parseVersioned(buildRecord, bytes, what);
  requireAgreement(what, [
    ['component', name.component, record.component],
    ['platform', formatPlatform(name.platform), record.platform],
    ...originAgreements(record.source, name.attempt, origin),
  ]);
  return record;
}
