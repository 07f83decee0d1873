import { ManifoldError, oneLine } from '../errors.ts';
import { comparePlatforms, formatPlatform, type Platform, parsePlatform } from '../oci/platform.ts';
import type { RunRecords } from './collect.ts';
import { countRows } from './matrix.ts';
import { withoutOutdated } from './outdated.ts';
import type { PlanRecord } from './plan.ts';
import type { Problem } from './problems.ts';
import type { BuildRecord } from './record.ts';

type PlannedComponent = PlanRecord['components'][number];

/** What the user says of the set. */
export interface Wanted {
  /** The components to merge; empty: all. */
  readonly components: readonly string[];
  /** Undefined: what the plan says, else as many as the matrix had jobs. */
  readonly platforms: readonly Platform[] | undefined;
  /** Platforms that may be absent. */
  readonly allowMissing: readonly Platform[];
}

/** The builds of one component that are merged. */
export interface ComponentSet {
  readonly component: string;
  /** In the order of the index. */
  readonly records: readonly BuildRecord[];
  /** Platforms that were expected and are left out, as the user allowed. */
  readonly missing: readonly Platform[];
  readonly plan: PlannedComponent | undefined;
}

/** What is merged, and all that speaks against it. */
export interface ClosedSet {
  /** Empty only when the plan says that nothing had to be built. */
  readonly components: readonly ComponentSet[];
  readonly problems: readonly Problem[];
}

/**
 * Holds the records of a run against what is expected: from the plan, else from `platforms`, else one record for each row
 * of every matrix that built a part of what is merged.
 * @throws ManifoldError `no-records`, `missing-input`, `invalid-input` when there is nothing to hold against each other
 */
export function closeSet(records: RunRecords, wanted: Wanted): ClosedSet {
  const { plan } = records;
  const builds = withoutOutdated(records);
  if (plan === undefined && builds.length === 0) throw noRecords();
  if (plan === undefined && wanted.platforms === undefined) refuseGuessing(wanted.allowMissing);
  const planned = new Map(plan?.components.map(component => [component.component, component]));
  const names = chooseComponents([...planned.keys()], builds, wanted.components);
  const problems: Problem[] = [];
  const components: ComponentSet[] = [];
  const possible: Platform[] = [];
  for (const name of names) {
    const component = planned.get(name);
    if (component !== undefined) refuseContradiction(component, wanted.platforms);
    const found = builds.filter(build => build.component === name);
    if (component?.needed === false || (plan !== undefined && component === undefined)) {
      problems.push(...found.map(build => unplanned(build, component)));
      continue;
    }
    const expected = component?.platforms.map(parsePlatform) ?? wanted.platforms;
    possible.push(...(expected ?? []));
    const missing = absent(expected ?? [], found);
    const left = missing.filter(platform => includes(wanted.allowMissing, platform));
    problems.push(...doubled(found));
    if (expected !== undefined) problems.push(...compare(name, expected, found, wanted.allowMissing));
    components.push({ component: name, records: sorted(found), missing: left, plan: component });
  }
  if (components.length > 0) refuseUseless(wanted.allowMissing, possible);
  if (plan === undefined) problems.push(...compareRows(builds, components, wanted, problems));
  return { components, problems };
}

function refuseUseless(allowMissing: readonly Platform[], possible: readonly Platform[]): void {
  const useless = absentFrom(allowMissing, possible).map(formatPlatform);
  if (useless.length === 0) return;
  throw new ManifoldError(
    'invalid-input',
    `"allow-missing" names ${useless.join(', ')}, which no image is to have.`,
    {
      hint: 'Only what is in "platforms", or in the plan, can be missing.',
    },
  );
}

/** Rows of a matrix have no names: which of them left nothing, and so whether it may be absent, nobody could say. */
function refuseGuessing(allowMissing: readonly Platform[]): void {
  if (allowMissing.length === 0) return;
  throw new ManifoldError('missing-input', '"allow-missing" needs to know which platforms there should be.', {
    hint: 'Say them all, with those that may be missing: platforms: linux/amd64,linux/arm64,linux/riscv64.',
  });
}

/**
 * The rows of the matrix are counted where nothing else says what to expect, and beside `platforms` where no component is
 * named: one that left no record at all would not be missed otherwise.
 */
function compareRows(
  builds: readonly BuildRecord[],
  components: readonly ComponentSet[],
  wanted: Wanted,
  known: readonly Problem[],
): Problem[] {
  const { platforms } = wanted;
  const merged = components.flatMap(({ records }) => records);
  if (platforms === undefined) return countRows(builds, merged, 'all rows');
  if (wanted.components.length > 0 || known.length > 0) return [];
  // Where the rows are the platforms of a single image, they have been compared by their names.
  const isAlone =
    components.length === 1 && builds.every(({ source }) => source.matrixSize === platforms.length);
  return isAlone ? [] : countRows(builds, merged, 'known rows');
}

function noRecords(): ManifoldError {
  return new ManifoldError(
    'no-records',
    'No build of the run that is merged left a record: there is nothing to merge.',
    {
      hint: 'Let the build jobs use Manifold with "mode: build", in that workflow run, and this job "needs" them. Records are kept as long as "retention-days" of the builds says, by default a day: build again what is older.',
    },
  );
}

function chooseComponents(
  planned: readonly string[],
  builds: readonly BuildRecord[],
  wanted: readonly string[],
): string[] {
  const all = [...new Set([...planned, ...builds.map(({ component }) => component)])].sort();
  const unknown = wanted.filter(name => !all.includes(name));
  if (unknown.length === 0) return wanted.length > 0 ? [...wanted] : all;
  const names = unknown.map(name => `"${name}"`).join(' and ');
  throw new ManifoldError(
    'no-records',
    `No build of the component ${names} left a record; there are: ${oneLine(all.join(', '))}.`,
    {
      hint: 'The component of a build is the last part of its first image name, or its input "component".',
    },
  );
}

function refuseContradiction(component: PlannedComponent, platforms: readonly Platform[] | undefined): void {
  if (platforms === undefined) return;
  const given = platforms.map(formatPlatform).sort().join(', ');
  const plan = [...component.platforms].sort().join(', ');
  if (given === plan) return;
  throw new ManifoldError(
    'invalid-input',
    `"platforms" is ${given}, but the plan of this run has ${plan} for ${component.component}.`,
    { hint: 'Leave "platforms" out: the merge follows the plan.' },
  );
}

function unplanned(build: BuildRecord, component: PlannedComponent | undefined): Problem {
  return {
    code: 'unexpected-platform',
    component: build.component,
    platform: build.platform,
    expected: component === undefined ? 'not in the plan' : 'not to be built, as the plan says',
    found: build.digest,
    remedy: 'take its job out of the matrix, or plan it',
  };
}

/** Of two builds of one platform nobody could say which is meant. */
function doubled(found: readonly BuildRecord[]): Problem[] {
  const byPlatform = Map.groupBy(found, ({ platform }) => platform);
  return [...byPlatform].flatMap(([platform, [first, ...others]]): Problem[] => {
    if (first === undefined || others.length === 0) return [];
    return [
      {
        code: 'doubled-platform',
        component: first.component,
        platform,
        expected: 'one build',
        found: [first, ...others].map(({ digest }) => digest).join(', '),
        remedy: 'take all but one of its jobs out of the matrix',
      },
    ];
  });
}

function compare(
  component: string,
  expected: readonly Platform[],
  found: readonly BuildRecord[],
  allowMissing: readonly Platform[],
): Problem[] {
  const jobs = [...new Set(found.map(({ source }) => source.job).filter(Boolean))];
  const job = jobs.length === 1 ? `the job "${jobs[0]}"` : 'the build job';
  const lost = absent(expected, found).filter(platform => !includes(allowMissing, platform));
  const missing: Problem[] = lost.map(platform => ({
    code: 'missing-platform',
    component,
    platform: formatPlatform(platform),
    expected: 'a build',
    found: 'no record',
    remedy: `re-run ${job} of ${formatPlatform(platform)}`,
  }));
  const names = expected.map(formatPlatform);
  const extra: Problem[] = found
    .filter(({ platform }) => !names.includes(platform))
    .map(({ platform, digest }) => ({
      code: 'unexpected-platform',
      component,
      platform,
      expected: 'no build',
      found: digest,
      remedy: 'add it to "platforms", or take its job out of the matrix',
    }));
  if (found.length > 0 || missing.length > 0 || extra.length > 0) return [...missing, ...extra];
  return [
    {
      code: 'missing-platform',
      component,
      platform: 'all',
      expected: 'at least one build',
      found: 'no record',
      remedy: `re-run ${job} of one platform: an image of none cannot be published`,
    },
  ];
}

function absent(platforms: readonly Platform[], records: readonly BuildRecord[]): Platform[] {
  return absentFrom(
    platforms,
    records.map(({ platform }) => parsePlatform(platform)),
  );
}

function absentFrom(platforms: readonly Platform[], others: readonly Platform[]): Platform[] {
  return platforms.filter(platform => !includes(others, platform));
}

function includes(platforms: readonly Platform[], platform: Platform): boolean {
  return platforms.some(other => formatPlatform(other) === formatPlatform(platform));
}

function sorted(records: readonly BuildRecord[]): BuildRecord[] {
  return records.toSorted((a, b) => comparePlatforms(parsePlatform(a.platform), parsePlatform(b.platform)));
}
