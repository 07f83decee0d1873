import { ManifoldError } from '../errors.ts';
import type { Problem } from './problems.ts';
import type { BuildRecord } from './record.ts';

const SAY_PLATFORMS = 'Say which platforms the image has: platforms: linux/amd64,linux/arm64.';

const remedies = {
  'all rows': (job: string) =>
    `re-run the rows of "${job}" that failed; "platforms" with "allow-missing" publishes without some`,
  'known rows': (job: string) =>
    `re-run the rows of "${job}" that failed; "component" says that rows of others do not count`,
};

/**
 * Holds the records against the number of rows of each matrix that built a part of what is merged. A run may have several
 * matrices, one for each job of the workflow; those that built nothing of what is merged are no concern of this merge.
 * @param all records of the run
 * @param expectation `known rows`: what no record tells the size of is not counted, as something else says what to expect
 * @throws ManifoldError `missing-input` when the records do not tell how many rows there are
 */
export function countRows(
  all: readonly BuildRecord[],
  merged: readonly BuildRecord[],
  expectation: 'all rows' | 'known rows',
): Problem[] {
  const jobs = [...new Set(merged.map(({ source }) => source.job))];
  return jobs.flatMap(job => {
    const records = all.filter(({ source }) => source.job === job);
    const size = sizeOf(records);
    if (size === undefined && expectation === 'known rows') return [];
    if (size === undefined) {
      throw new ManifoldError('missing-input', 'The records do not say how many builds there should be.', {
        hint: SAY_PLATFORMS,
      });
    }
    const enough = records.length >= size;
    const fits = records.length <= size && areDistinct(records);
    if (enough && (fits || expectation === 'known rows')) return [];
    return [problem(job, size, records, enough ? 'say "platforms"' : remedies[expectation](job))];
  });
}

/** How many rows the matrix has; undefined where the records do not know, or do not agree. */
function sizeOf(records: readonly BuildRecord[]): number | undefined {
  const sizes = new Set(records.map(({ source }) => source.matrixSize));
  const [size] = sizes;
  return sizes.size === 1 && size !== null ? size : undefined;
}

/** Two records of one row of the matrix do not stand for two rows (a reusable workflow that is called twice). */
function areDistinct(records: readonly BuildRecord[]): boolean {
  const known = records.map(({ source }) => source.matrixIndex).filter(index => index !== null);
  return new Set(known).size === known.length;
}

function problem(job: string, size: number, records: readonly BuildRecord[], remedy: string): Problem {
  const names = records.map(({ component, platform }) => `${component} ${platform}`).sort();
  return {
    code: records.length < size ? 'missing-platform' : 'unexpected-platform',
    component: [...new Set(records.map(({ component }) => component))].sort().join(', '),
    platform: `all of "${job}"`,
    expected:
      size === 1 ? '1 build, as its matrix has 1 row' : `${size} builds, as its matrix has ${size} rows`,
    found: `${records.length}: ${names.join(', ')}`,
    remedy,
  };
}
