import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { type BuildRecord, formatRecord, parseRecord } from '../../src/records/record.ts';
import { failureOf } from '../servers/clients.ts';
import { made, ORIGIN, recordOf, TYPES } from '../servers/images.ts';
import { changedAt } from './changed.ts';

const RECORD = recordOf(made(TYPES.index, 'an index'), 'linux/arm64');
const NAME = { component: 'app', platform: parsePlatform('linux/arm64'), attempt: 1 };
const ARTIFACT = 'manifold-build.app.linux-arm64.1';

const read = (document: unknown, origin = ORIGIN): BuildRecord => {
  const text = typeof document === 'string' ? document : JSON.stringify(document);
  return parseRecord(Buffer.from(text), NAME, ARTIFACT, origin);
};

const changed = (path: string, value: unknown) => changedAt(RECORD, path, value);

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

  it('holds what was pushed under its digest, to the byte', async () => {
    const pushed = made(TYPES.index, '{ "name": "Größe \u{1f4e6}", "line":\n"\\u00e9\\n" }\n');
    const record = recordOf(pushed, 'linux/arm64');
    const found = parseRecord(formatRecord(record), NAME, ARTIFACT, ORIGIN);
    expect(Buffer.from(found.content)).toEqual(pushed.bytes);
    expect(pushed.bytes.length).toBeGreaterThan(record.content.length);
  });

  it.each([
    ['content', 'an inde\u0445', RECORD.digest],
    ['content', `${RECORD.content}\n`, RECORD.digest],
    ['content', '\ud800', RECORD.digest],
    ['digest', `sha256:${'0'.repeat(64)}`, `sha256:${'0'.repeat(64)}`],
  ])(
    'whose content is not that of its digest (%s is %j) is refused by that name',
    async (field, value, digest) => {
      const error = await failureOf(() => read(changed(field, value)));
      expect(error.code).toBe('invalid-record');
      expect(error.message).toContain('field "content"');
      expect(error.message).toContain(digest);
    },
  );

  it('whose size is not that of its content is refused by that name', async () => {
    const error = await failureOf(() => read(changed('size', RECORD.size + 1)));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain(
      `field "size": expected ${RECORD.size}, the bytes of "content", found ${RECORD.size + 1}`,
    );
  });

  it('may write the repository in another case, as GitHub takes it for the same', () => {
    const record = changed('source.repository', 'Acme/APP') as typeof RECORD;
    expect(read(record)).toEqual(record);
    const { repository } = ORIGIN;
    const origin = { ...ORIGIN, repository: repository.toUpperCase() };
    expect(parseRecord(formatRecord(RECORD), NAME, ARTIFACT, origin)).toEqual(RECORD);
  });

  it('of which several fields are wrong names them all', async () => {
    const wrong = changedAt(changed('source.commit', 'deadbeef') as object, 'source.runId', '7');
    const error = await failureOf(() => read(wrong));
    expect(error.message).toContain('"source.commit": expected');
    expect(error.message).toContain('"source.runId": expected');
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
    ['component', 'App'],
    ['content', ''],
    ['images', ['ghcr.io/acme/app', 'ghcr.io/acme/app']],
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
    ['finished', '2026-02-30T10:00:00.000Z'],
    ['finished', '2026-11-21 10:00:00.000Z'],
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
