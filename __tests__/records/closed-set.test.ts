import { describe, expect, it } from 'vitest';
import type { BuildRecord } from '../../src/records/record.ts';
import { failureOf } from '../servers/clients.ts';
import { close, merged, planned, platforms, record } from './sets.ts';

const AMD64 = 'linux/amd64';
const ARM64 = 'linux/arm64';
const S390X = 'linux/s390x';
const BOTH = [record(ARM64), record(AMD64)];

/** The three ways in which a merge knows what to expect, here of the component "app". */
const SOURCES = {
  plan: (...names: string[]) => ({ wanted: {}, plan: planned({ app: names }) }),
  platforms: (...names: string[]) => ({ wanted: { platforms: platforms(...names) }, plan: undefined }),
  'rows of the matrix': () => ({ wanted: {}, plan: undefined }),
};

describe.each(Object.entries(SOURCES))('the builds of a run, expected by %s', (source, expecting) => {
  /** Records that know of as many rows as there are platforms. */
  const built = (rows: number, ...names: string[]): BuildRecord[] =>
    names.map(name => record(name, { source: { matrixSize: rows } }));
  const isRows = source === 'rows of the matrix';

  it('are complete when nothing is missing and nothing more is there, in the order of the index', () => {
    const { wanted, plan } = expecting(S390X, AMD64, ARM64);
    const closed = close(built(3, S390X, ARM64, AMD64), wanted, plan);
    expect(merged(closed)).toEqual([`app ${AMD64}`, `app ${ARM64}`, `app ${S390X}`]);
    expect(closed.components[0]?.missing).toEqual([]);
  });

  it('lack one: what is missing, what is there and what to re-run is said', async () => {
    const { wanted, plan } = expecting(AMD64, ARM64);
    const error = await failureOf(() => close(built(2, AMD64), wanted, plan));
    expect(error.code).toBe('missing-platform');
    expect(error.message).toMatch(
      isRows
        ? /app +all of "build" +2 builds, as its matrix has 2 rows +1: app linux\/amd64 +re-run the rows of "build"/
        : /app +linux\/arm64 +a build +no record +re-run the job "build" of linux\/arm64/,
    );
    expect(error.hint).toContain('no tag was moved');
  });

  it('are one more than expected', async () => {
    const { wanted, plan } = expecting(AMD64, ARM64);
    const error = await failureOf(() => close(built(2, AMD64, ARM64, S390X), wanted, plan));
    expect(error.code).toBe('unexpected-platform');
    if (!isRows) expect(error.message).toMatch(/app +linux\/s390x +no build +sha256:/);
  });

  it('are two for one platform', async () => {
    const { wanted, plan } = expecting(AMD64, ARM64);
    const doubled = [...built(2, AMD64, ARM64), record(ARM64, { component: 'app', source: {} })];
    const error = await failureOf(() => close(doubled, wanted, plan));
    expect(error.code).toBe('doubled-platform');
    expect(error.message).toMatch(/app +linux\/arm64 +one build +sha256:[0-9a-f]{64}, sha256:/);
  });

  const [rows, named] = isRows ? [it, undefined] : [undefined, it];

  rows?.('may lack a platform only where somebody names all there should be', async () => {
    const error = await failureOf(() =>
      close(
        built(3, AMD64, ARM64),
        { ...expecting(AMD64).wanted, allowMissing: platforms(S390X) },
        undefined,
      ),
    );
    expect(error.code).toBe('missing-input');
    expect(error.hint).toContain('platforms: ');
  });

  named?.('may lack a platform that is allowed to be missing, which is told', () => {
    const { wanted, plan } = expecting(AMD64, ARM64, S390X);
    const allowMissing = platforms(S390X, ARM64);
    const closed = close(built(3, AMD64, ARM64), { ...wanted, allowMissing }, plan);
    expect(merged(closed)).toEqual([`app ${AMD64}`, `app ${ARM64}`]);
    // The other one is there, and so is not missing.
    expect(closed.components[0]?.missing).toEqual(platforms(S390X));
  });

  named?.('may not lack what no image is to have: that is a mistake', async () => {
    const { wanted, plan } = expecting(AMD64, ARM64);
    const error = await failureOf(() =>
      close(built(2, AMD64, ARM64), { ...wanted, allowMissing: platforms(S390X) }, plan),
    );
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('linux/s390x');
  });

  it('may not lack another one than those', async () => {
    const { wanted, plan } = expecting(AMD64, ARM64, S390X);
    const allowMissing = isRows ? [] : platforms(S390X);
    const lacking = built(3, AMD64, S390X);
    const error = await failureOf(() => close(lacking, { ...wanted, allowMissing }, plan));
    expect(error.code).toBe('missing-platform');
  });

  it('cannot all be missing, whatever is allowed', async () => {
    const { wanted, plan } = expecting(AMD64);
    const allowMissing = isRows ? [] : platforms(AMD64);
    const error = await failureOf(() => close([], { ...wanted, allowMissing }, plan));
    expect(error.code).toBe(plan === undefined ? 'no-records' : 'missing-platform');
    if (plan !== undefined) expect(error.message).toMatch(/app +all +at least one build +no record/);
  });
});

it('a platform may be missing beside rows that may be of another component only where the components are named', async () => {
  const builds = [record(AMD64, { source: { matrixSize: 4 } })];
  const wanted = { platforms: platforms(AMD64, S390X), allowMissing: platforms(S390X) };
  const error = await failureOf(() => close(builds, wanted));
  expect(error.message).toContain('; "component" says');
  expect(merged(close(builds, { ...wanted, components: ['app'] }))).toEqual([`app ${AMD64}`]);
});

describe('a run in which nobody left a record', () => {
  it('has nothing to merge: the error says what must run before', async () => {
    const error = await failureOf(() => close([], { platforms: platforms(AMD64) }));
    expect(error.code).toBe('no-records');
    expect(error.hint).toContain('mode: build');
  });

  it('is all right where the plan says that nothing is needed', () => {
    expect(close([], {}, planned({ app: [AMD64], api: [ARM64] }, ['app', 'api']))).toEqual({
      components: [],
      problems: [],
    });
  });

  it('is not where the plan says that one component is', async () => {
    const error = await failureOf(() => close([], {}, planned({ app: [AMD64], api: [ARM64] }, ['app'])));
    expect(error.code).toBe('missing-platform');
    expect(error.message).toMatch(/api +linux\/arm64/);
    expect(error.message).not.toMatch(/app +linux/);
  });
});

describe('a plan', () => {
  it('that did not want a component finds its builds one too many', async () => {
    const plan = planned({ app: [AMD64, ARM64] }, ['app']);
    const error = await failureOf(() => close(BOTH, {}, plan));
    expect(error.code).toBe('unexpected-platform');
    expect(error.message).toMatch(/app +linux\/amd64 +not to be built, as the plan says/);
  });

  it('that does not know a component finds its builds one too many', async () => {
    const plan = planned({ app: [AMD64, ARM64] });
    const error = await failureOf(() => close([...BOTH, record(AMD64, { component: 'api' })], {}, plan));
    expect(error.code).toBe('unexpected-platform');
    expect(error.message).toMatch(/api +linux\/amd64 +not in the plan/);
  });

  it('may be repeated as "platforms", in any order', () => {
    const plan = planned({ app: [AMD64, ARM64] });
    expect(merged(close(BOTH, { platforms: platforms(ARM64, AMD64) }, plan))).toHaveLength(2);
  });

  it.each([[[AMD64]], [[AMD64, ARM64, S390X]], [[AMD64, S390X]]])(
    'is not contradicted by "platforms": %j',
    async names => {
      const plan = planned({ app: [AMD64, ARM64] });
      const error = await failureOf(() => close(BOTH, { platforms: platforms(...names) }, plan));
      expect(error.code).toBe('invalid-input');
      expect(error.message).toContain(`"platforms" is ${[...names].sort().join(', ')}`);
      expect(error.message).toContain(`the plan of this run has ${AMD64}, ${ARM64} for app`);
    },
  );

  it('goes with its component into what is made of it', () => {
    const plan = planned({ app: [AMD64, ARM64] });
    expect(close(BOTH, {}, plan).components[0]?.plan).toEqual(plan.components[0]);
  });

  it('counts and no matrix does: its rows may have built something else as well', () => {
    const builds = BOTH.map(one => ({ ...one, source: { ...one.source, matrixSize: 7 } }));
    expect(merged(close(builds, {}, planned({ app: [AMD64, ARM64] })))).toHaveLength(2);
  });
});

/** Names of which each begins like another, and which differ in one character. */
const ALIKE = ['app', 'app-api', 'app.api', 'app_api'];
const ofEach = (rows: number, ...names: string[]): BuildRecord[] =>
  ALIKE.flatMap(component =>
    names.map(platform => record(platform, { component, source: { matrixSize: rows } })),
  );

describe('components whose names begin alike', () => {
  const all = ofEach(8, AMD64, ARM64);

  it('are merged each of its own builds', () => {
    const closed = close(all);
    expect(closed.components.map(({ component }) => component)).toEqual([...ALIKE].sort());
    for (const { component, records } of closed.components) {
      expect(records.map(one => `${one.component} ${one.platform}`)).toEqual([
        `${component} ${AMD64}`,
        `${component} ${ARM64}`,
      ]);
    }
  });

  it.each(ALIKE)('are narrowed to %s by "component", and to no other', component => {
    expect(merged(close(all, { components: [component] }))).toEqual([
      `${component} ${AMD64}`,
      `${component} ${ARM64}`,
    ]);
  });

  it('are narrowed to some, in the order in which they are named', () => {
    const components = ['app.api', 'app'];
    expect(close(all, { components }).components.map(({ component }) => component)).toEqual(components);
  });

  it.each(['ap', 'app-', 'app-ap', 'app*', 'App'])(
    'do not hold "%s": those that are there are named',
    async name => {
      const error = await failureOf(() => close(all, { components: [name, 'app'] }));
      expect(error.code).toBe('no-records');
      expect(error.message).toContain(`"${name}"`);
      expect(error.message).toContain('app, app-api, app.api, app_api');
    },
  );

  it('do not lend each other a platform', async () => {
    const wanted = { platforms: platforms(AMD64, ARM64) };
    const lacking = all.filter(one => one.component !== 'app' || one.platform !== ARM64);
    const error = await failureOf(() => close(lacking, wanted));
    expect(error.code).toBe('missing-platform');
    expect(error.message.match(/linux\/arm64 +a build +no record/g)).toHaveLength(1);
    expect(error.message).toMatch(/^ +app +linux\/arm64 +a build/m);
  });

  it('are missed as a whole: no record tells of them, but the matrix has more rows', async () => {
    const wanted = { platforms: platforms(AMD64, ARM64) };
    const lacking = all.filter(({ component }) => component !== 'app-api');
    const error = await failureOf(() => close(lacking, wanted));
    expect(error.code).toBe('missing-platform');
    expect(error.message).toContain('8 builds, as its matrix has 8 rows');
    // Who names what is merged does not ask for the others.
    expect(merged(close(lacking, { ...wanted, components: ['app'] }))).toHaveLength(2);
  });

  it('are narrowed within a plan: what is wrong with the others is not asked', async () => {
    const plan = planned({ app: [AMD64], 'app-api': [AMD64, ARM64] });
    const builds = [record(AMD64), record(AMD64, { component: 'app-api' })];
    expect(merged(close(builds, { components: ['app'] }, plan))).toEqual([`app ${AMD64}`]);
    expect((await failureOf(() => close(builds, {}, plan))).code).toBe('missing-platform');
  });
});

describe('everything that is wrong', () => {
  it('stands in one table: component, platform, expected, found, what to do', async () => {
    const plan = planned({ api: [AMD64, ARM64], app: [AMD64, ARM64], web: [AMD64] }, ['web']);
    const builds = [
      record(AMD64, { component: 'api' }),
      record(S390X, { component: 'app', source: { job: 'build-app' } }),
      record(AMD64, { component: 'web' }),
      record(AMD64, { component: 'cli' }),
    ];
    const error = await failureOf(() => close(builds, {}, plan));
    expect(error.code).toBe('missing-platform');
    const digests = builds.map(({ digest }) => digest);
    expect(error.message.split('\n').map(line => line.trim().split(/ {2,}/))).toEqual([
      ['The builds are not what this merge expects:'],
      ['component', 'platform', 'expected', 'found', 'what to do'],
      ['api', ARM64, 'a build', 'no record', `re-run the job "build" of ${ARM64}`],
      ['app', AMD64, 'a build', 'no record', `re-run the job "build-app" of ${AMD64}`],
      ['app', ARM64, 'a build', 'no record', `re-run the job "build-app" of ${ARM64}`],
      ['app', S390X, 'no build', digests[1], 'add it to "platforms", or take its job out of the matrix'],
      ['cli', AMD64, 'not in the plan', digests[3], 'take its job out of the matrix, or plan it'],
      [
        'web',
        AMD64,
        'not to be built, as the plan says',
        digests[2],
        'take its job out of the matrix, or plan it',
      ],
    ]);
  });
});
