import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { type BuildRecord, formatRecord, parseRecord } from '../../src/records/record.ts';
import { failureOf } from '../servers/clients.ts';
import { made, ORIGIN, recordOf, TYPES } from '../servers/images.ts';

const RECORD = recordOf(made(TYPES.index, 'an index'), 'linux/arm64');
const NAME = { component: 'app', platform: parsePlatform('linux/arm64'), attempt: 1 };
const ARTIFACT = 'manifold-build.app.linux-arm64.1';

const read = (document: unknown, origin = ORIGIN): BuildRecord => {
  const text = typeof document === 'string' ? document : JSON.stringify(document);
  return parseRecord(Buffer.from(text), NAME, ARTIFACT, origin);
};

/** The record with one field, named by its path, set to a value; undefined leaves it out. */
function changed(path: string, value: unknown): unknown {
  const copy = structuredClone(RECORD) as unknown as Record<string, unknown>;
  const keys = path.split('.');
  const last = keys.pop() as string;
  const parent = keys.reduce((part, key) => part[key] as Record<string, unknown>, copy);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return copy;
}

describe('a record', () => {
  it('reads back as it was written', () => {
    expect(parseRecord(formatRecord(RECORD), NAME, ARTIFACT, ORIGIN)).toEqual(RECORD);
  });

  it('is written as JSON that a person can read, with an end of line', () => {
    const text = formatRecord(RECORD).toString();
    expect(text).toContain('\n  "component": "app",\n');
    expect(text.endsWith('}\n')).toBe(true);
  });

  it('that we would refuse is not written', async () => {
    const error = await failureOf(() => formatRecord({ ...RECORD, platform: 'linux/aarch64' }));
    expect(error.code).toBe('invalid-record');
  });

  it('without a matrix says so', () => {
    expect(read(changed('source.matrixSize', null)).source.matrixSize).toBeNull();
  });

  const fields = [
    ...Object.keys(RECORD).filter(key => key !== 'schemaVersion'),
    ...Object.keys(RECORD.source).map(key => `source.${key}`),
    ...Object.keys(RECORD.builder).map(key => `builder.${key}`),
  ];

  it.each(fields)('without %s is refused by that name', async field => {
    const error = await failureOf(() => read(changed(field, undefined)));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain(`field "${field}"`);
    expect(error.message).toContain(ARTIFACT);
  });

  it.each(fields)('whose %s is of another kind is refused by that name', async field => {
    const error = await failureOf(() => read(changed(field, { unexpected: true })));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain(`field "${field}`);
  });

  it.each([
    ['component', ''],
    ['platform', 'linux/aarch64'],
    ['platform', 'linux/arm64/v8'],
    ['platform', 'linux'],
    ['images', []],
    ['images.0', 'alpine'],
    ['images.0', 'ghcr.io/acme/app:1.0'],
    ['images.0', 'ghcr.io/Acme/app'],
    ['digest', `sha512:${'0'.repeat(128)}`],
    ['digest', 'sha256:0'],
    ['mediaType', ''],
    ['size', 0],
    ['size', 1.5],
    ['size', '5'],
    ['attestations.0', ''],
    ['source.runAttempt', 0],
    ['source.matrixSize', 0],
    ['source.commit', ''],
    ['builder.emulated', 'no'],
    ['started', 'yesterday'],
    ['finished', '2026-11-21'],
    ['manifold', ''],
  ])('with %s = %j is refused by that name', async (field, value) => {
    const error = await failureOf(() => read(changed(field, value)));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain(`field "${field}"`);
  });

  it.each(['extra', 'source.extra', 'builder.extra'])(
    'with the unknown field %s is refused by that name',
    async field => {
      const error = await failureOf(() => read(changed(field, 1)));
      expect(error.code).toBe('invalid-record');
      expect(error.message).toContain(`field "${field}"`);
    },
  );

  it.each([2, 99])('of schema %d says that another version of Manifold wrote it', async version => {
    const newer = { ...(changed('schemaVersion', version) as object), somethingNew: true };
    const error = await failureOf(() => read(newer));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain(`schemaVersion ${version}`);
    expect(error.hint).toContain('same version');
  });

  it.each([0, -1, '1', null, undefined])('of schema %j is refused', async version => {
    const error = await failureOf(() => read(changed('schemaVersion', version)));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain('schemaVersion');
  });

  it.each([
    ['component', 'api', 'app'],
    ['platform', 'linux/amd64', 'linux/arm64'],
    ['source.runAttempt', 2, '1'],
    ['source.repository', 'acme/other', ORIGIN.repository],
    ['source.commit', 'deadbeef', ORIGIN.commit],
    ['source.runId', '1002', ORIGIN.runId],
  ])('whose %s is %j has been tampered with: both are named', async (field, found, expected) => {
    const error = await failureOf(() => read(changed(field, found)));
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain(`field "${field}": expected ${expected}, found ${found}`);
    expect(error.hint).toContain('Re-run');
  });

  it('is parsed or refused with a ManifoldError, whatever it is', () => {
    const mutated = fc
      .tuple(fc.constantFrom(...fields, 'schemaVersion'), fc.jsonValue())
      .map(([field, value]) => changed(field, value));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), mutated), document => {
        try {
          expect(read(document).component).toBe('app');
        } catch (error) {
          expect(error).toBeInstanceOf(ManifoldError);
          expect((error as Error).message).not.toContain('\n');
        }
      }),
      { numRuns: 300 },
    );
  });
});
