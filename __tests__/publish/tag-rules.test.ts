import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { type Lineage, lineageOf } from '../../src/publish/lineage.ts';
import { decideMove, rankTag, TAG_POLICIES, TAG_RANKS } from '../../src/publish/tag-rules.ts';
import { compareVersions } from '../../src/publish/versions.ts';
import { anyText } from '../servers/arbitraries.ts';
import { contentWith } from './tagging.ts';

const OURS: Digest = `sha256:${'a'.repeat(64)}`;
const THEIRS: Digest = `sha256:${'b'.repeat(64)}`;
const SOURCE = 'https://github.com/acme/app';
const NOON = '2026-11-21T12:00:00.000Z';
const LATER = '2026-11-21T12:00:01.000Z';

const ours = (origin: Partial<Lineage> = {}): Lineage => ({ digest: OURS, source: SOURCE, ...origin });
const theirs = (origin: Partial<Lineage> = {}): Lineage => ({ digest: THEIRS, source: SOURCE, ...origin });
const newest = (mine: Partial<Lineage>, current: Partial<Lineage>) =>
  decideMove('newest', ours(mine), theirs(current));
const MOVE = 'move';
const kept = (reason: string) => ({
  state: 'kept',
  reason: expect.stringContaining(reason),
});

describe('a tag', () => {
  it.each([
    ['1.2.3', 'fixed'],
    ['v1.2.3', 'fixed'],
    ['v1.2.3-alpine', 'fixed'],
    ['1.2.3-rc.1', 'fixed'],
    ['1.2.3_build', 'fixed'],
    ['1.2.3.4', 'fixed'],
    ['sha-860c190', 'fixed'],
    ['sha-860c190-alpine', 'fixed'],
    ['860c1905e2d1', 'fixed'],
    ['c0ffee'.repeat(6), 'fixed'],
    ['20261121', 'fixed'],
    ['20261121-1030', 'fixed'],
    ['2026-11-21T10-30-00', 'fixed'],
    ['2026.11.21', 'fixed'],
    ['nightly-2026-11-21', 'fixed'],
    ['1', 'floating'],
    ['1.2', 'floating'],
    ['v1', 'floating'],
    ['1.2-alpine', 'floating'],
    ['2026', 'floating'],
    ['2026-11', 'floating'],
    ['2026-13-45', 'floating'],
    ['main', 'floating'],
    ['edge', 'floating'],
    ['nightly', 'floating'],
    ['pr-12', 'floating'],
    ['sha-main', 'floating'],
    ['facade', 'floating'],
    ['latest', 'latest'],
    ['latest-alpine', 'latest'],
    ['alpine-latest', 'latest'],
    ['1.2.3-latest', 'latest'],
    ['latestish', 'floating'],
    ['lates', 'floating'],
  ])('called %s is %s', (tag, rank) => {
    expect(rankTag(tag, [])).toBe(rank);
  });

  it('that a pattern calls immutable is fixed, but what follows "latest" is not moved before the others', () => {
    expect(rankTag('release-7', ['v*', 'release-?'])).toBe('fixed');
    expect(rankTag('release-17', ['v*', 'release-?'])).toBe('floating');
    expect(rankTag('latest', ['*'])).toBe('latest');
  });

  it('is ranked at once, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, fc.string()), text => {
        expect(TAG_RANKS).toContain(rankTag(text, ['*a*b*']));
      }),
    );
    expect(rankTag('-latest'.repeat(100_000).concat('x'), ['*'.repeat(1000)])).toBe('fixed');
  });
});

describe('two versions', () => {
  it.each([
    ['1.2.3', '1.2.4'],
    ['1.9.9', '2.0.0'],
    ['1.9.0', '1.10.0'],
    ['1.9.0', '2.0.0-rc.1'],
    ['v1.2.3', '1.2.4'],
    ['2.0.0-rc.1', '2.0.0'],
    ['2.0.0-rc.1', '2.0.0-rc.2'],
    ['2.0.0-beta', '2.0.0-rc1'],
    ['2.0.0-rc.9', '2.0.0-rc.10'],
    ['2.0.0-rc9', '2.0.0-rc10'],
    ['2.0.0-rc9', '2.0.0-rc.10'],
    ['2.0.0-beta2', '2.0.0-beta10'],
    ['2.0.0-beta', '2.0.0-beta2'],
    ['2.0.0-rc1.9', '2.0.0-rc1.10'],
    ['2.0.0-rc9-alpine', '2.0.0-rc10-alpine'],
    ['2.0.0-rc10', '2.0.0'],
    ['1.2.3-alpine', '1.2.4-alpine'],
    ['1.2.3-alpine3.20', '1.2.4-alpine3.19'],
    ['2.0.0-rc.1-alpine', '2.0.0-alpine'],
    ['2.0.0-rc.1-slim-bookworm', '2.0.0-rc.2-slim-bookworm'],
    ['1.2.3-4', '1.2.4-1'],
    ['1.2.3+build.9', '1.2.4+build.1'],
  ])('%s comes before %s', (older, newer) => {
    expect(compareVersions(older, newer)).toBeLessThan(0);
    expect(compareVersions(newer, older)).toBeGreaterThan(0);
    expect(compareVersions(newer, newer)).toBe(0);
  });

  it.each([
    ['1.2.3', 'v1.2.3'],
    ['1.2.3+a', '1.2.3+b'],
    ['1.2.3-alpine3.20', '1.2.3-alpine3.21'],
    ['1.2.3-1', '1.2.3-2'],
  ])('%s and %s are the same', (a, b) => {
    expect(compareVersions(a, b)).toBe(0);
  });

  it.each([
    ['1.2.3', '1.2.4-alpine'],
    ['1.2.3-debian', '1.2.4-alpine'],
    ['1.2.3', '1.2.4-1'],
    ['1.2.4', '1.2.3-a1b2c3d'],
    ['1.2.3', '1.2.3-c0ffee1'],
    ['1.2.3-a1b2c3d', '1.2.4-b4c5d6e'],
    ['1.2.3', '1.3'],
    ['1.2.3', 'main'],
    ['1.2.3', ''],
    ['1.2.3', '01.2.4'],
    ['1.2.3', `${'9'.repeat(30)}.0.0`],
    ['1.2.3', '=1.2.4'],
    ['1.2.3', '1.2.4\n'],
    ['1.2.3-rc', '1.2.4-rc-rc'],
  ])('%j and %j are not compared', (a, b) => {
    expect(compareVersions(a, b)).toBeUndefined();
    expect(compareVersions(b, a)).toBeUndefined();
  });

  it('have one order, whatever they are', () => {
    const number = fc.nat({ max: 3 });
    const suffix = fc.constantFrom('', '-rc.1', '-rc.2', '-alpine', '-rc.1-alpine', '-1', '+x');
    const version = fc
      .tuple(number, number, number, suffix)
      .map(([major, minor, patch, rest]) => `${major}.${minor}.${patch}${rest}`);
    fc.assert(
      fc.property(fc.oneof(version, anyText), version, (a, b) => {
        const order = compareVersions(a, b);
        expect(compareVersions(b, a)).toBe(order === undefined || order === 0 ? order : -order);
      }),
      { numRuns: 500 },
    );
    expect(compareVersions(`1.2.3-${'a-'.repeat(200_000)}`, '1.2.3')).toBeUndefined();
  });
});

describe('by "newest" a tag', () => {
  it('that does not exist is made', () => {
    expect(decideMove('newest', ours(), 'absent')).toEqual(MOVE);
  });

  it('moves from an older version to a newer one, whenever they were built', () => {
    expect(newest({ version: '1.2.4', created: NOON }, { version: '1.2.3', created: LATER })).toEqual(MOVE);
  });

  it('stays at a newer version, and says both', () => {
    expect(newest({ version: '1.9.9', created: LATER }, { version: '2.0.0', created: NOON })).toEqual(
      kept('version 2.0.0, which is newer than 1.9.9'),
    );
  });

  it('with a hot fix of an older line leaves "latest" and moves "1.9"', () => {
    const hotFix = ours({ version: '1.9.9', created: LATER });
    const atLatest = theirs({ version: '2.0.0', created: NOON });
    const atLine = theirs({ version: '1.9.8', created: NOON });
    expect(decideMove('newest', hotFix, atLatest)).toMatchObject({ state: 'kept' });
    expect(decideMove('newest', hotFix, atLine)).toEqual(MOVE);
  });

  it('moves to a pre-release of a later version, since it was asked for, and on to the release', () => {
    expect(newest({ version: '2.0.0-rc.1' }, { version: '1.9.0' })).toEqual(MOVE);
    expect(newest({ version: '2.0.0' }, { version: '2.0.0-rc.1' })).toEqual(MOVE);
    expect(newest({ version: '2.0.0-rc.1' }, { version: '2.0.0' })).toMatchObject({ state: 'kept' });
  });

  it.each([
    ['the same', '1.2.3', '1.2.3'],
    ['no', undefined, undefined],
    ['other', 'main', 'edge'],
    ['one', '1.2.3', undefined],
    ['differently flavoured', '1.2.3-alpine', '1.2.4'],
  ])('with %s versions goes by the time of the build', (_, mine, current) => {
    const version = (text: string | undefined) => (text === undefined ? {} : { version: text });
    expect(newest({ ...version(mine), created: NOON }, { ...version(current), created: LATER })).toEqual(
      kept(`${LATER}, which is newer than this one of ${NOON}`),
    );
    expect(newest({ ...version(mine), created: LATER }, { ...version(current), created: NOON })).toEqual(
      MOVE,
    );
    expect(newest({ ...version(mine), created: NOON }, { ...version(current), created: NOON })).toEqual(MOVE);
  });

  it('of the same commit goes by the version only: a rebuild was asked for, whatever its clock says', () => {
    const built = (revision: string | undefined, created: string, version?: string) => ({
      created,
      ...(revision === undefined ? {} : { revision }),
      ...(version === undefined ? {} : { version }),
    });
    expect(newest(built('c0ffee', NOON), built('c0ffee', LATER))).toEqual(MOVE);
    expect(newest(built('c0ffee', NOON, '1.0.0'), built('c0ffee', LATER, '1.0.0'))).toEqual(MOVE);
    expect(newest(built('c0ffee', LATER, '1.0.0'), built('c0ffee', NOON, '2.0.0'))).toMatchObject({
      state: 'kept',
    });
    expect(newest(built('c0ffee', NOON), built('decade', LATER))).toMatchObject({ state: 'kept' });
    expect(newest(built(undefined, NOON), built(undefined, LATER))).toMatchObject({ state: 'kept' });
  });

  it('of a later run stays, although an earlier run was run again and so built later', () => {
    const rerun = { run: '1001', revision: 'decade', created: LATER };
    expect(newest(rerun, { run: '1002', revision: 'c0ffee', created: NOON })).toEqual(
      kept('an image of the workflow run 1002, which was started after the run 1001 that built this one'),
    );
  });

  it('of an earlier run moves, although its builds are dated far ahead', () => {
    const frozen = { run: '1001', created: '2999-01-01T00:00:00Z' };
    expect(newest({ run: '1002', created: NOON }, frozen)).toEqual(MOVE);
  });

  it('of the same run moves, whatever its attempts say of their time', () => {
    expect(newest({ run: '1001', created: NOON }, { run: '1001', created: LATER })).toEqual(MOVE);
  });

  it('goes by versions before it looks at runs, and by runs before it looks at commits', () => {
    expect(newest({ version: '1.2.4', run: '1' }, { version: '1.2.3', run: '2' })).toEqual(MOVE);
    expect(newest({ version: '1.2.3', run: '2' }, { version: '1.2.4', run: '1' })).toEqual(
      kept('version 1.2.4'),
    );
    expect(newest({ version: '1.2.3', run: '1' }, { version: '1.2.3', run: '2' })).toEqual(kept('run 2'));
    expect(newest({ revision: 'c0ffee', run: '1' }, { revision: 'c0ffee', run: '2' })).toEqual(kept('run 2'));
  });

  it.each([
    ['one server, however it is spelt', 'https://github.com/acme/app', 'https://GitHub.com/acme/app', true],
    ['several servers', 'https://ghes.acme.example/acme/app', 'https://github.com/acme/app', false],
  ])('compares runs of %s', async (_, here, there, compares) => {
    const [first, second] = [`${here}/actions/runs/1001`, `${there}/actions/runs/1002`];
    const decision = newest({ run: first, created: LATER }, { run: second, created: NOON });
    expect(decision === MOVE).toBe(!compares);
  });

  it('of another source moves, whatever its run', () => {
    expect(newest({ run: '1' }, { run: '2', source: 'https://github.com/acme/other' })).toEqual(MOVE);
  });

  it.each([
    ['only ours tells', '2', undefined],
    ['only the other tells', undefined, '1'],
    ['one is no number', '2', '1a'],
    ['one is below zero', '2', '-1'],
    ['one is a fraction', '2', '1.0'],
    ['one is hexadecimal', '2', '0x1'],
    ['one is in other digits', '2', '١'],
  ])('goes by the time of the build where %s of a run', (_, mine, current) => {
    const run = (number: string | undefined) => (number === undefined ? {} : { run: number });
    expect(newest({ created: NOON, ...run(mine) }, { created: LATER, ...run(current) })).toEqual(
      kept(`${LATER}, which is newer than this one of ${NOON}`),
    );
    expect(newest({ created: LATER, ...run(mine) }, { created: NOON, ...run(current) })).toEqual(MOVE);
  });

  it('stays exactly where its run has the higher number, of whatever length', () => {
    const number = fc.oneof(fc.bigInt({ min: 0n, max: 20n }), fc.bigInt({ min: 0n, max: 10n ** 60n }));
    const zeros = fc.constantFrom('', '0', '000');
    const time = fc.constantFrom(NOON, LATER, undefined);
    fc.assert(
      fc.property(number, number, zeros, zeros, time, time, (mine, current, some, others, here, there) => {
        const built = (run: string, created: string | undefined) => ({ run, ...(created && { created }) });
        const decision = newest(built(`${some}${mine}`, here), built(`${others}${current}`, there));
        expect(decision === MOVE).toBe(current <= mine);
      }),
      { numRuns: 500 },
    );
  });

  it('never keeps two images from each other', () => {
    const one = fc.record(
      {
        version: fc.constantFrom('1.0.0', '1.1.0', 'main'),
        revision: fc.constantFrom('c0ffee', 'decade'),
        run: fc.constantFrom('1', '2', '010', 'x', '9'.repeat(40)),
        created: fc.constantFrom(NOON, LATER, 'tomorrow'),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(one, one, (a, b) => {
        expect([newest(a, b), newest(b, a)]).toContain(MOVE);
      }),
      { numRuns: 500 },
    );
  });

  it('compares times and not how they are written', () => {
    expect(newest({ created: NOON }, { created: '2026-11-21T13:30:00+01:00' })).toMatchObject({
      state: 'kept',
    });
    expect(newest({ created: NOON }, { created: '2026-11-21T12:30:00+01:00' })).toEqual(MOVE);
    expect(newest({ created: NOON }, { created: '2026-11-21T12:00:00.001Z' })).toMatchObject({
      state: 'kept',
    });
  });

  it.each(['', 'tomorrow', '2027', '9999999999999', '2027-13-45T99:00:00Z', '2027-01-01', 'Z'])(
    'moves where a time is illegible: %j',
    created => {
      expect(newest({ created: NOON }, { created })).toEqual(MOVE);
      expect(newest({ created }, { created: LATER })).toEqual(MOVE);
      expect(newest({}, { created: LATER })).toEqual(MOVE);
    },
  );

  it.each(['https://github.com/acme/other', undefined])(
    'moves when what it points at has another source: %s',
    source => {
      const current: Lineage = {
        digest: THEIRS,
        version: '9.0.0',
        created: LATER,
        ...(source && { source }),
      };
      expect(decideMove('newest', ours({ version: '1.0.0', created: NOON }), current)).toEqual(MOVE);
    },
  );

  it('moves when we do not know our own source, and when nothing is known of the other image', () => {
    const mine: Lineage = { digest: OURS, version: '1.0.0' };
    expect(decideMove('newest', mine, { digest: THEIRS, version: '2.0.0' })).toEqual(MOVE);
    expect(decideMove('newest', ours({ version: '1.0.0' }), { digest: THEIRS })).toEqual(MOVE);
  });

  it.each([`${SOURCE}.git`, `${SOURCE}/`, 'https://GitHub.com/Acme/App'])(
    'knows its source by another spelling: %s',
    source => {
      expect(newest({ version: '1.0.0' }, { version: '2.0.0', source })).toMatchObject({ state: 'kept' });
    },
  );

  it('says why in one short line, whatever stands in the annotations', () => {
    const hostile = (text: string) =>
      lineageOf(contentWith({ 'org.opencontainers.image.version': text, 'dev.manifold.run': text }));
    fc.assert(
      fc.property(fc.oneof(anyText, fc.constant('2.0.0-\u001b[31m'), fc.string()), text => {
        const current = { ...hostile(text), source: SOURCE, created: LATER };
        const decision = decideMove('newest', ours({ version: '1.0.0', created: NOON, run: '1' }), current);
        if (decision === MOVE) return;
        expect(decision).toEqual({ state: 'kept', reason: expect.not.stringMatching(/\p{Cc}/u) });
      }),
    );
    const long = decideMove(
      'newest',
      ours({ version: '1.0.0' }),
      theirs({ version: `2.0.0+${'x'.repeat(9999)}` }),
    );
    expect(long).toMatchObject({ state: 'kept' });
    expect(JSON.stringify(long).length).toBeLessThan(500);
    const high = newest({ run: '1' }, { run: '9'.repeat(9999) });
    expect(high).toMatchObject({ state: 'kept' });
    expect(JSON.stringify(high).length).toBeLessThan(500);
  });
});

describe('by every policy a tag', () => {
  it.each(TAG_POLICIES)('that points at our image already has nothing to do: %s', policy => {
    const decision = decideMove(policy, ours({ version: '1.0.0' }), ours({ version: '2.0.0' }));
    expect(decision).toEqual({ state: 'there' });
  });

  it.each(TAG_POLICIES)('that does not exist is made: %s', policy => {
    expect(decideMove(policy, ours(), 'absent')).toEqual(MOVE);
  });
});

it('by "overwrite" a tag moves to an older image too', () => {
  const newer = theirs({ version: '2.0.0', created: LATER });
  expect(decideMove('overwrite', ours({ version: '1.0.0', created: NOON }), newer)).toEqual(MOVE);
});

it('by "never-move" a tag that exists stays, whatever it points at', () => {
  const older = theirs({ version: '1.0.0' });
  expect(decideMove('never-move', ours({ version: '2.0.0' }), older)).toEqual(
    kept('sha256:bbbbbbbbbbbb, and by "tag-policy: never-move"'),
  );
});
