import { ManifoldError, oneLine } from '../errors.ts';
import { comparePlatforms, formatPlatform, type Platform, parsePlatform } from '../oci/platform.ts';
import type { BuildRecord } from './record.ts';

/**
 * Makes sure that the records are all there is to merge, no more and no less.
 * @param records of the whole run
 * @param component the one that is merged; undefined when the run has a single one
 * @param platforms what the user expects; undefined: as many as the matrix had jobs
 * @returns the records of the component, in the order of the index
 * @throws ManifoldError `no-records`, `missing-platform`, `unexpected-platform`, `invalid-input`
 */
export function requireComplete(
  records: readonly BuildRecord[],
  component: string | undefined,
  platforms: readonly Platform[] | undefined,
): BuildRecord[] {
  if (records.length === 0) {
    throw new ManifoldError('no-records', 'No build of this run left a record: there is nothing to merge.', {
      hint: 'Let the build jobs use Manifold with "mode: build", in the same workflow run, and this job "needs" them.',
    });
  }
  const merged = ofComponent(records, component);
  if (platforms === undefined) compareWithMatrix(records, merged);
  else compareWithPlatforms(merged, platforms);
  refuseUnequalImages(merged);
  return merged.sort((a, b) => comparePlatforms(parsePlatform(a.platform), parsePlatform(b.platform)));
}

function ofComponent(records: readonly BuildRecord[], component: string | undefined): BuildRecord[] {
  const names = [...new Set(records.map(record => record.component))].sort();
  if (component === undefined && names.length > 1) {
    throw new ManifoldError('missing-input', `This run built several components: ${names.join(', ')}.`, {
      hint: 'Say which one this job merges: component: NAME.',
    });
  }
  const chosen = records.filter(record => component === undefined || record.component === component);
  if (chosen.length > 0) return chosen;
  throw new ManifoldError(
    'no-records',
    `No build of the component "${component}" left a record; there are: ${names.join(', ')}.`,
    {
      hint: 'The component of a build is the last part of its first image name, or its input "component".',
    },
  );
}

/**
 * Every job of a matrix must have left its record. A run may have several matrices, one for each job of the workflow;
 * those that built nothing of what is merged are no concern of this merge.
 */
function compareWithMatrix(records: readonly BuildRecord[], merged: readonly BuildRecord[]): void {
  const jobs = [...new Set(merged.map(({ source }) => source.job))];
  for (const job of jobs) {
    compareWithJob(
      job,
      records.filter(({ source }) => source.job === job),
    );
  }
}

function compareWithJob(job: string, records: readonly BuildRecord[]): void {
  const sizes = new Set(records.map(record => record.source.matrixSize));
  const [size] = sizes;
  if (size === undefined || size === null || sizes.size > 1) {
    throw new ManifoldError('missing-input', 'The records do not say how many builds there should be.', {
      hint: SAY_PLATFORMS,
    });
  }
  if (records.length === size && areDistinct(records)) return;
  const found = records
    .map(({ component, platform }) => `${component} ${platform}`)
    .sort()
    .join(', ');
  const jobs = size === 1 ? '1 job' : `${size} jobs`;
  const message = `The matrix of "${oneLine(job)}" has ${jobs}, but ${records.length} left a record: ${found}.`;
  if (records.length < size) {
    throw new ManifoldError('missing-platform', message, {
      hint: 'Re-run the build jobs that failed; this job runs again with them. Nothing was pushed.',
    });
  }
  throw new ManifoldError('unexpected-platform', message, { hint: SAY_PLATFORMS });
}

/** Two records of one job of the matrix do not stand for two jobs (a reusable workflow that is called twice). */
function areDistinct(records: readonly BuildRecord[]): boolean {
  const known = records.map(({ source }) => source.matrixIndex).filter(index => index !== null);
  return new Set(known).size === known.length;
}

const SAY_PLATFORMS = 'Say which platforms the image has: platforms: linux/amd64,linux/arm64.';

function compareWithPlatforms(records: readonly BuildRecord[], platforms: readonly Platform[]): void {
  const expected = platforms.map(formatPlatform);
  const found = new Map(records.map(record => [record.platform, record]));
  const missing = expected.filter(platform => !found.has(platform));
  const extra = [...found.keys()].filter(platform => !expected.includes(platform));
  if (missing.length === 0 && extra.length === 0) return;
  const rows = [
    ...expected.map(platform =>
      row(platform, 'expected', found.get(platform)?.digest ?? 'missing: re-run its build job'),
    ),
    ...extra.map(platform => row(platform, 'not expected', `built as ${found.get(platform)?.digest}`)),
  ];
  throw new ManifoldError(
    missing.length > 0 ? 'missing-platform' : 'unexpected-platform',
    `The builds of this run are not the platforms that were asked for:\n${rows.join('\n')}`,
    {
      hint:
        missing.length > 0
          ? `Re-run the build job of ${missing.join(' and ')}; nothing was pushed and no tag was moved.`
          : 'Add what is extra to "platforms", or take its job out of the matrix.',
    },
  );
}

function row(platform: string, expectation: string, found: string): string {
  return `  ${platform.padEnd(16)} ${expectation.padEnd(13)} ${found}`;
}

function refuseUnequalImages(records: readonly BuildRecord[]): void {
  const lists = new Set(records.map(record => [...record.images].sort().join(', ')));
  if (lists.size <= 1) return;
  const rows = records.map(record => row(record.platform, 'pushed to', [...record.images].sort().join(', ')));
  throw new ManifoldError(
    'invalid-input',
    `The builds were pushed to different images:\n${rows.join('\n')}`,
    {
      hint: 'Give the same "images" to all build jobs of a component.',
    },
  );
}
