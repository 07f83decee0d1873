import type { RunRecords } from './collect.ts';
import type { BuildRecord } from './record.ts';

/**
 * Leaves out what an earlier attempt of the run built and a later one has no place for: "Re-run all jobs" may plan anew, or
 * have fewer rows, as what was published meanwhile need not be built again.
 */
export function withoutOutdated({ plan, builds }: RunRecords): BuildRecord[] {
  if (plan === undefined) return builds.filter(build => !isOfOtherMatrix(build, builds));
  const needed = new Set(
    plan.components
      .filter(component => component.needed)
      .flatMap(({ component, platforms }) => platforms.map(platform => `${component} ${platform}`)),
  );
  return builds.filter(
    ({ component, platform, source }) =>
      source.runAttempt >= plan.source.runAttempt || needed.has(`${component} ${platform}`),
  );
}

/** A job whose matrix has another size in its newest attempt was not re-run row by row, but as a whole. */
function isOfOtherMatrix({ source }: BuildRecord, builds: readonly BuildRecord[]): boolean {
  const siblings = builds.map(build => build.source).filter(({ job }) => job === source.job);
  const newest = siblings.reduce((a, b) => (b.runAttempt > a.runAttempt ? b : a), source);
  return newest.runAttempt > source.runAttempt && newest.matrixSize !== source.matrixSize;
}
