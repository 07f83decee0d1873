import { describe, expect, it } from 'vitest';
import { parsePlatform } from '../../src/oci/platform.ts';
import { failureOf } from '../servers/clients.ts';
import { startRun, tagEntries } from '../servers/run.ts';

// What people who publish multi-platform images got hurt by, as far as it is about which builds make an image.

const platforms = (...texts: string[]) => texts.map(parsePlatform);
const BOTH = ['linux/amd64', 'linux/arm64'] as const;
const children = (outputs: Record<string, string>, component = 'app'): string[] =>
  JSON.parse(outputs.json ?? '').components[component].platforms.map(
    ({ platform, digest }: { platform: string; digest: string }) => `${platform} ${digest}`,
  );

describe('names that begin alike', () => {
  const COMPONENTS = ['app', 'app-api', 'app.api', 'app-api-amd64'];

  async function builtAll() {
    const run = await startRun();
    const expected: Record<string, string[]> = {};
    for (const component of COMPONENTS) {
      expected[component] = [];
      for (const platform of BOTH) {
        const pushed = await run.build(platform, { component, content: component, matrixSize: 8 });
        expected[component].push(`${platform} ${pushed.manifest.descriptor.digest}`);
      }
    }
    return { run, expected };
  }

  it('never mix: each component is merged from its own builds, all of them in one merge', async () => {
    const { run, expected } = await builtAll();
    const { outputs } = await run.merge({ sign: [] });
    for (const component of COMPONENTS) {
      expect(children(outputs, component)).toEqual(expected[component]);
      const { digest } = JSON.parse(outputs.json ?? '').components[component];
      expect(run.tags(0, component)).toEqual({ '1.0': digest, latest: digest });
    }
    expect(outputs.digest).toBeUndefined();
  });

  it('never mix where one of them is merged alone', async () => {
    const { run, expected } = await builtAll();
    const { outputs } = await run.merge({ sign: [], components: ['app'] });
    expect(children(outputs)).toEqual(expected.app);
    for (const other of COMPONENTS.slice(1)) expect(run.tags(0, other)).toEqual({});
  });
});

describe('a re-run', () => {
  it('of a build does not stumble over the artifact that the first attempt left', async () => {
    const run = await startRun();
    for (const platform of BOTH) await run.build(platform, { attempt: 1 });
    const again = await run.build('linux/arm64', { attempt: 2, content: 'mended' });
    const { outputs } = await run.merge({ sign: [] }, 2);
    expect(children(outputs)[1]).toBe(`linux/arm64 ${again.manifest.descriptor.digest}`);
  });

  it('of the merge finds everything done, writes nothing and succeeds', async () => {
    const run = await startRun({}, { referrers: 'api' });
    for (const platform of BOTH) await run.build(platform);
    const first = await run.merge();
    for (const registry of run.registries) registry.log.length = 0;
    const second = await run.merge({}, 2);
    expect(second.outputs.digest).toBe(first.outputs.digest);
    for (const { log } of run.registries) {
      expect(log.filter(({ method }) => method !== 'GET' && method !== 'HEAD')).toEqual([]);
    }
  });
});

describe('a set that is not what it should be', () => {
  it('is refused when a platform is missing, and no tag moves', async () => {
    const run = await startRun();
    await run.build('linux/amd64');
    const error = await failureOf(() => run.merge({ platforms: platforms(...BOTH) }));
    expect(error.code).toBe('missing-platform');
    expect(error.message).toMatch(
      /app +linux\/arm64 +a build +no record +re-run the job "build" of linux\/arm64/,
    );
    expect(run.tags()).toEqual({});
  });

  it('is refused when one row of the matrix left nothing, without anybody naming platforms', async () => {
    const run = await startRun();
    await run.build('linux/amd64', { matrixSize: 3 });
    await run.build('linux/arm64', { matrixSize: 3 });
    expect((await failureOf(() => run.merge())).code).toBe('missing-platform');
    expect(run.tags()).toEqual({});
  });

  it('is refused in one table that names everything that is wrong', async () => {
    const run = await startRun();
    await run.build('linux/amd64', { architecture: 's390x', content: 'wrong' });
    await run.build('linux/riscv64');
    const error = await failureOf(() => run.merge({ platforms: platforms(...BOTH) }));
    const rows = error.message.split('\n').filter(line => line.includes('linux/'));
    expect(rows).toHaveLength(3);
    expect(error.message).toMatch(/linux\/arm64 +a build +no record/);
    expect(error.message).toMatch(/linux\/riscv64 +no build +sha256:/);
    expect(error.message).toMatch(
      /linux\/amd64 +an image for linux\/amd64 +the config of \S+ says linux\/s390x/,
    );
    expect(run.registries[0]?.count('PUT', /./)).toBe(0);
  });

  it('is refused when an image is for another architecture than its job said', async () => {
    const run = await startRun();
    await run.build('linux/amd64');
    await run.build('linux/arm64', { architecture: 'amd64', content: 'wrong' });
    expect((await failureOf(() => run.merge())).code).toBe('wrong-architecture');
  });

  it('is published without a platform only where that was allowed, and the index says so', async () => {
    const run = await startRun();
    await run.build('linux/amd64');
    const told = await run.merge({
      components: ['app'],
      platforms: platforms(...BOTH),
      allowMissing: platforms('linux/arm64'),
      sign: [],
    });
    expect(children(told.outputs)).toHaveLength(1);
    expect(JSON.parse(told.outputs.json ?? '').components.app.missing).toEqual(['linux/arm64']);
    expect(told.lines.join('\n')).toContain('app is published without linux/arm64, as "allow-missing" says.');
    expect(told.pages.join()).toContain('Published without linux/arm64');
    const index = run.registries[0]?.repository('acme/app').manifests.get(told.outputs.digest ?? '');
    expect(JSON.parse(String(index?.bytes)).annotations['dev.manifold.missing-platforms']).toBe(
      'linux/arm64',
    );
  });
});

describe('a plan', () => {
  const planned = (run: Awaited<ReturnType<typeof startRun>>, component: string, ...names: string[]) => ({
    component,
    images: run.imagesOf(component),
    platforms: names,
    tags: ['1.0'],
    needed: true,
  });

  it('says what to expect of each component, and under which tags', async () => {
    const run = await startRun();
    await run.plan([planned(run, 'app', ...BOTH), planned(run, 'api', 'linux/amd64')]);
    for (const platform of BOTH) await run.build(platform, { matrixSize: 3 });
    const error = await failureOf(() => run.merge({ tags: [], sign: [] }));
    expect(error.code).toBe('missing-platform');
    expect(error.message).toMatch(/api +linux\/amd64 +a build +no record/);
    expect(run.tags()).toEqual({});
    await run.build('linux/amd64', { component: 'api', matrixSize: 3 });
    const { outputs } = await run.merge({ tags: [], sign: [] });
    expect(Object.keys(run.tags())).toEqual(['1.0']);
    expect(Object.keys(run.tags(0, 'api'))).toEqual(['1.0']);
    const { digest } = JSON.parse(outputs.json ?? '').components.app;
    const index = run.registries[0]?.repository('acme/app').manifests.get(digest);
    expect(JSON.parse(String(index?.bytes)).annotations['org.opencontainers.image.created']).toBe(
      '2026-11-21T09:00:00.000Z',
    );
  });

  it('that is contradicted by "platforms" is refused', async () => {
    const run = await startRun();
    await run.plan([planned(run, 'app', ...BOTH)]);
    for (const platform of BOTH) await run.build(platform);
    const error = await failureOf(() => run.merge({ tags: [], platforms: platforms('linux/amd64') }));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('the plan of this run has linux/amd64, linux/arm64 for app');
  });

  it('that needs nothing leaves nothing to do, and that is no failure', async () => {
    const run = await startRun();
    await run.plan([{ ...planned(run, 'app', ...BOTH), needed: false }]);
    const told = await run.merge({ tags: [] });
    expect(told.lines.join()).toContain('everything is published already');
    expect(JSON.parse(told.outputs.json ?? '')).toEqual({ components: {} });
  });
});

it('slashes and variants of platforms never break a name, and are told apart', async () => {
  const run = await startRun();
  const variants = ['linux/arm/v6', 'linux/arm/v7', 'linux/arm64/v8', 'linux/amd64'];
  for (const platform of variants) await run.build(platform, { matrixSize: 4, content: platform });
  const { outputs } = await run.merge({ sign: [], tags: tagEntries('1.0') });
  expect(children(outputs).map(line => line.split(' ')[0])).toEqual([
    'linux/amd64',
    'linux/arm64',
    'linux/arm/v6',
    'linux/arm/v7',
  ]);
});

it.each([
  ['https://github.acme.example', {}, 'GitHub Enterprise Server'],
  ['https://git.acme.example', { GITEA_ACTIONS: 'true' }, 'Gitea'],
  ['https://codeberg.example', { FORGEJO_ACTIONS: 'true' }, 'Forgejo'],
])('a server without the artifact service (%s) is named, with the way out', async (server, env, kind) => {
  const run = await startRun();
  const error = await failureOf(() => run.merge({}, 1, { GITHUB_SERVER_URL: server, ...env }));
  expect(error.code).toBe('record-store');
  expect(error.message).toContain(kind);
  expect(error.hint).toContain('records: FOLDER');
});
