import { describe, expect, it } from 'vitest';
import { withoutOutdated } from '../../src/records/outdated.ts';
import type { BuildRecord } from '../../src/records/record.ts';
import { planned, record } from './sets.ts';

const build = (platform: string, runAttempt: number, matrixSize: number, component = 'app'): BuildRecord =>
  record(platform, { component, source: { runAttempt, matrixSize } });
const left = (builds: BuildRecord[], plan?: ReturnType<typeof planned>): string[] =>
  withoutOutdated({ plan, builds }).map(({ component, platform }) => `${component} ${platform}`);

describe('builds of earlier attempts', () => {
  it('stay where a job was re-run row by row', () => {
    expect(left([build('linux/amd64', 1, 2), build('linux/arm64', 2, 2)])).toHaveLength(2);
  });

  it('go where the job has fewer rows since', () => {
    const builds = [build('linux/s390x', 1, 3), build('linux/amd64', 2, 2), build('linux/arm64', 2, 2)];
    expect(left(builds)).toEqual(['app linux/amd64', 'app linux/arm64']);
  });

  it('go where a later plan has no place for them', () => {
    const plan = { ...planned({ app: ['linux/amd64'] }) };
    const later = { ...plan, source: { ...plan.source, runAttempt: 2 } };
    const builds = [
      build('linux/amd64', 1, 3),
      build('linux/arm64', 1, 3),
      build('linux/amd64', 1, 3, 'api'),
    ];
    expect(left(builds, later)).toEqual(['app linux/amd64']);
  });

  it('stay where the plan is as old as they: what it does not know is a mistake', () => {
    expect(left([build('linux/arm64', 1, 1)], planned({ app: ['linux/amd64'] }))).toHaveLength(1);
  });
});
