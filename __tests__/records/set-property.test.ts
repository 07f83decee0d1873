import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import type { BuildRecord } from '../../src/records/record.ts';
import { close, merged, planned, platforms, record } from './sets.ts';

const NAMES = ['app', 'app-api', 'app.api', 'app_api', 'api'];
const PLATFORMS = ['linux/amd64', 'linux/arm64', 'linux/arm/v6', 'linux/arm/v7', 'linux/s390x'];
const FURTHER = 'linux/riscv64';

const some = (values: string[]) => fc.shuffledSubarray(values, { minLength: 1 });

/** What a run builds, and how its merge knows: one list of platforms where "platforms" tells, else one for each. */
const runs = fc
  .record({ names: some(NAMES), lists: fc.array(some(PLATFORMS), { minLength: 5, maxLength: 5 }) })
  .chain(({ names, lists }) =>
    fc.constantFrom('plan', 'platforms', 'rows').map(source => ({
      source,
      matrix: Object.fromEntries(
        names.map((name, position) => [name, lists[source === 'platforms' ? 0 : position] as string[]]),
      ),
    })),
  );

interface Run {
  readonly source: string;
  readonly matrix: Record<string, string[]>;
}

function recordsOf({ matrix }: Run): BuildRecord[] {
  const rows = Object.entries(matrix).flatMap(([component, names]) =>
    names.map(platform => ({ component, platform })),
  );
  return rows.map(({ component, platform }, matrixIndex) =>
    record(platform, { component, source: { matrixSize: rows.length, matrixIndex } }),
  );
}

/** Closes the set by what tells this run's merge what to expect. */
function closed({ source, matrix }: Run, builds: BuildRecord[], allowed: readonly string[] = []) {
  const plan = source === 'plan' ? planned(matrix) : undefined;
  const [first = []] = Object.values(matrix);
  const expected = source === 'platforms' ? platforms(...first) : undefined;
  return close(builds, { platforms: expected, allowMissing: platforms(...allowed) }, plan);
}

/** What becomes of a complete set, by a number that chooses where. */
const faults: Record<string, (builds: readonly BuildRecord[], at: number) => BuildRecord[]> = {
  'left out': (builds, at) => builds.filter((_, position) => position !== at % builds.length),
  doubled: (builds, at) => [...builds, builds[at % builds.length] as BuildRecord],
  'doubled with another image': (builds, at) => {
    const { component, platform, source } = builds[at % builds.length] as BuildRecord;
    return [...builds, { ...record(platform, { component: 'other', source }), component }];
  },
  added: (builds, at) => {
    const { component, source } = builds[at % builds.length] as BuildRecord;
    return [...builds, record(FURTHER, { component, source: { ...source, matrixIndex: builds.length } })];
  },
  'swapped for another platform': (builds, at) =>
    builds.map((build, position) =>
      position === at % builds.length
        ? record(FURTHER, { component: build.component, source: build.source })
        : build,
    ),
};

describe('a set of builds', () => {
  it('is accepted when it is whole, whatever order it comes in', () => {
    fc.assert(
      fc.property(runs, fc.infiniteStream(fc.nat()), (run, order) => {
        const builds = recordsOf(run).map(build => ({ build, key: order.next().value as number }));
        const shuffled = builds.sort((a, b) => a.key - b.key).map(({ build }) => build);
        expect(merged(closed(run, shuffled)).sort()).toEqual(
          recordsOf(run)
            .map(({ component, platform }) => `${component} ${platform}`)
            .sort(),
        );
      }),
    );
  });

  it.each(Object.entries(faults))('of which one is %s is never accepted', (kind, change) => {
    fc.assert(
      fc.property(runs, fc.nat(), (run, at) => {
        // Rows of a matrix have no names: that one built something else than it was to is known by nobody.
        fc.pre(kind !== 'swapped for another platform' || run.source !== 'rows');
        expect(() => closed(run, change(recordsOf(run), at))).toThrow(ManifoldError);
      }),
      { numRuns: 300 },
    );
  });

  it('is never accepted without a platform that is not allowed to be missing', () => {
    fc.assert(
      fc.property(runs, fc.nat(), some(PLATFORMS), (run, at, allowed) => {
        fc.pre(run.source !== 'rows');
        const builds = recordsOf(run);
        const lost = builds[at % builds.length] as BuildRecord;
        fc.pre(!allowed.includes(lost.platform));
        const rest = builds.filter(build => build !== lost);
        expect(() => closed(run, rest, allowed)).toThrow(ManifoldError);
      }),
      { numRuns: 300 },
    );
  });
});
