import { describe, expect, it } from 'vitest';
import { countRows } from '../../src/records/matrix.ts';
import type { BuildRecord } from '../../src/records/record.ts';
import { failureOf } from '../servers/clients.ts';
import { record } from './sets.ts';

type Row = readonly [platform: string, size: number | null, index?: number | null, job?: string];

const rows = (...all: Row[]): BuildRecord[] =>
  all.map(([platform, matrixSize, matrixIndex = null, job = 'build']) =>
    record(`linux/${platform}`, { source: { matrixSize, matrixIndex, job } }),
  );

const count = (records: BuildRecord[], expectation: 'all rows' | 'known rows' = 'all rows') =>
  countRows(records, records, expectation);

describe('the rows of a matrix', () => {
  it('are all there', () => {
    expect(count(rows(['amd64', 2, 0], ['arm64', 2, 1]))).toEqual([]);
    expect(count(rows(['amd64', 2], ['arm64', 2]))).toEqual([]);
  });

  it('are too few: what is there is named, and which job to re-run', () => {
    expect(count(rows(['amd64', 3], ['arm64', 3]))).toEqual([
      {
        code: 'missing-platform',
        component: 'app',
        platform: 'all of "build"',
        expected: '3 builds, as its matrix has 3 rows',
        found: '2: app linux/amd64, app linux/arm64',
        remedy:
          're-run the rows of "build" that failed; "platforms" with "allow-missing" publishes without some',
      },
    ]);
  });

  it('are too many', () => {
    expect(count(rows(['amd64', 1], ['arm64', 1]))).toMatchObject([
      {
        code: 'unexpected-platform',
        expected: '1 build, as its matrix has 1 row',
        remedy: 'say "platforms"',
      },
    ]);
  });

  it('are counted once each: two records of one row do not stand for two', () => {
    const twice = rows(['amd64', 2, 0], ['arm64', 2, 0]);
    expect(count(twice)).toMatchObject([{ code: 'unexpected-platform', remedy: 'say "platforms"' }]);
    // Where something else says what to expect, they need not be told apart.
    expect(count(twice, 'known rows')).toEqual([]);
  });

  it.each([
    ['do not tell how many they are', [null, null]],
    ['tell different numbers', [2, 3]],
    ['tell it in part', [2, null]],
  ] as const)('that %s cannot be counted: the platforms must be said', async (_, [one, two]) => {
    const records = rows(['amd64', one], ['arm64', two]);
    const error = await failureOf(() => count(records));
    expect(error.code).toBe('missing-input');
    expect(error.hint).toContain('platforms: linux/amd64,linux/arm64');
    expect(count(records, 'known rows')).toEqual([]);
  });

  it('of two jobs are counted each by itself', () => {
    const web = rows(['amd64', 2, 0, 'build-web']);
    const api = rows(['amd64', 2, 0, 'build-api'], ['arm64', 2, 1, 'build-api']);
    expect(countRows([...web, ...api], api, 'all rows')).toEqual([]);
    expect(countRows([...web, ...api], [...web, ...api], 'all rows')).toMatchObject([
      { platform: 'all of "build-web"', found: '1: app linux/amd64' },
    ]);
    // One row of each is not all of one.
    const halves = [...web, ...api.slice(0, 1)];
    expect(countRows(halves, halves.slice(1), 'all rows')).toHaveLength(1);
  });

  it('that built something else count as well: they tell which rows have ended', () => {
    const other = record('linux/amd64', { component: 'api', source: { matrixSize: 3 } });
    const app = rows(['amd64', 3], ['arm64', 3]);
    expect(countRows([...app, other], app, 'all rows')).toEqual([]);
  });

  it('beside "platforms" are too few: "component" is the other way out', () => {
    expect(count(rows(['amd64', 2]), 'known rows')).toMatchObject([
      {
        code: 'missing-platform',
        remedy: 're-run the rows of "build" that failed; "component" says that rows of others do not count',
      },
    ]);
  });
});
