import { describe, expect, it } from 'vitest';
import { parsePlatform } from '../../src/oci/platform.ts';
import { requireComplete } from '../../src/records/closed-set.ts';
import { failureOf } from '../servers/clients.ts';
import { made, recordOf, TYPES } from '../servers/images.ts';

type Change = Parameters<typeof recordOf>[2];
const record = (platform: string, change: Change = {}) =>
  recordOf(made(TYPES.index, `${platform} ${change.component}`), platform, change);
const platforms = (...texts: string[]) => texts.map(parsePlatform);

const BOTH = [record('linux/amd64'), record('linux/arm64')];

describe('the records of a run', () => {
  it('are complete when they are the platforms that were asked for, in any order', () => {
    expect(requireComplete(BOTH, undefined, platforms('linux/arm64', 'linux/amd64'))).toEqual(BOTH);
  });

  it('are complete when there is one for each job of the matrix', () => {
    expect(requireComplete(BOTH, undefined, undefined)).toEqual(BOTH);
  });

  it('are not there: the error says what must run before', async () => {
    const error = await failureOf(() => requireComplete([], undefined, platforms('linux/amd64')));
    expect(error.code).toBe('no-records');
    expect(error.hint).toContain('mode: build');
  });

  it('lack a platform: it is named, what is there is shown, and what to do', async () => {
    const asked = platforms('linux/amd64', 'linux/arm64', 'linux/s390x');
    const error = await failureOf(() => requireComplete([record('linux/amd64')], undefined, asked));
    expect(error.code).toBe('missing-platform');
    expect(error.message).toMatch(/linux\/arm64 +expected +missing/);
    expect(error.message).toMatch(/linux\/amd64 +expected +sha256:/);
    expect(error.hint).toContain('linux/arm64 and linux/s390x');
    expect(error.hint).toContain('no tag was moved');
  });

  it('hold one more than was asked for: it is named', async () => {
    const error = await failureOf(() => requireComplete(BOTH, undefined, platforms('linux/amd64')));
    expect(error.code).toBe('unexpected-platform');
    expect(error.message).toMatch(/linux\/arm64 +not expected +built as sha256:/);
  });

  it('hold another instead: both are named, and the missing one counts', async () => {
    const error = await failureOf(() =>
      requireComplete(BOTH, undefined, platforms('linux/amd64', 'linux/arm/v7')),
    );
    expect(error.code).toBe('missing-platform');
    expect(error.message).toMatch(/linux\/arm64 +not expected/);
    expect(error.message).toMatch(/linux\/arm\/v7 +expected +missing/);
  });

  it('are fewer than the jobs of the matrix', async () => {
    const error = await failureOf(() => requireComplete([record('linux/amd64')], undefined, undefined));
    expect(error.code).toBe('missing-platform');
    expect(error.message).toContain('The matrix of "build" has 2 jobs, but 1 left a record: app linux/amd64');
  });

  it('are more than the jobs of the matrix', async () => {
    const error = await failureOf(() =>
      requireComplete([...BOTH, record('linux/s390x')], undefined, undefined),
    );
    expect(error.code).toBe('unexpected-platform');
  });

  it.each([
    ['do not know the matrix', [null, null]],
    ['know different matrices', [2, 3]],
  ])('%s: the platforms must be said', async (_, sizes) => {
    const records = BOTH.map((one, number) => ({
      ...one,
      source: { ...one.source, matrixSize: sizes[number] ?? null },
    }));
    const error = await failureOf(() => requireComplete(records, undefined, undefined));
    expect(error.code).toBe('missing-input');
    expect(error.hint).toContain('platforms:');
    expect(requireComplete(records, undefined, platforms('linux/amd64', 'linux/arm64'))).toHaveLength(2);
  });

  describe('of several components', () => {
    const source = { matrixSize: 4 };
    const images = ['ghcr.io/acme/api'];
    const all = [
      ...['linux/amd64', 'linux/arm64'].map(platform => record(platform, { source })),
      ...['linux/amd64', 'linux/arm64'].map(platform =>
        record(platform, { component: 'app-api', images, source }),
      ),
    ];

    it('give those of the one that is merged, and no other that begins like it', () => {
      const merged = requireComplete(all, 'app', undefined);
      expect(merged.map(({ component, platform }) => `${component} ${platform}`)).toEqual([
        'app linux/amd64',
        'app linux/arm64',
      ]);
    });

    it('are not merged without saying which', async () => {
      const error = await failureOf(() => requireComplete(all, undefined, undefined));
      expect(error.code).toBe('missing-input');
      expect(error.message).toContain('app, app-api');
    });

    it('do not hold one of another name', async () => {
      const error = await failureOf(() => requireComplete(all, 'ap', undefined));
      expect(error.code).toBe('no-records');
      expect(error.message).toContain('"ap"');
      expect(error.message).toContain('app, app-api');
    });

    it('lack a job of the matrix, whichever component it was for', async () => {
      expect((await failureOf(() => requireComplete(all.slice(0, 3), 'app', undefined))).code).toBe(
        'missing-platform',
      );
    });
  });

  it('that were pushed to different images are not one image', async () => {
    const other = record('linux/arm64', { images: ['ghcr.io/acme/other'] });
    const error = await failureOf(() =>
      requireComplete([record('linux/amd64'), other], undefined, undefined),
    );
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('ghcr.io/acme/other');
    expect(error.message).toContain('linux/arm64');
  });

  it('may name their images in another order', () => {
    const images = ['ghcr.io/acme/app', 'quay.io/acme/app'];
    const records = [
      record('linux/amd64', { images }),
      record('linux/arm64', { images: [...images].reverse() }),
    ];
    expect(requireComplete(records, undefined, undefined)).toHaveLength(2);
  });

  it('of two matrices are held each against its own', async () => {
    const change = (component: string, job: string): Change => ({
      component,
      source: { job, matrixSize: 2 },
    });
    const api = ['linux/amd64', 'linux/arm64'].map(platform => record(platform, change('api', 'build-api')));
    const web = record('linux/amd64', change('web', 'build-web'));
    expect(requireComplete([...api, web], 'api', undefined)).toEqual(api);
    const error = await failureOf(() => requireComplete([...api, web], 'web', undefined));
    expect(error.code).toBe('missing-platform');
    expect(error.message).toContain('The matrix of "build-web" has 2 jobs, but 1 left a record');
    // One record of each does not make two of one.
    const halves = [record('linux/amd64', change('api', 'build-api')), web];
    expect((await failureOf(() => requireComplete(halves, 'api', undefined))).code).toBe('missing-platform');
  });

  it('are none of a component that nobody built, whatever else the run holds', async () => {
    const error = await failureOf(() => requireComplete(BOTH, 'other', undefined));
    expect(error.code).toBe('no-records');
    expect(error.message).toContain('"other"');
  });
});
