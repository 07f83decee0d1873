import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { publicTarget } from '../../src/sign/public-sigstore.ts';
import { failureOf, opened, SHORT, temporaryFolder, transport } from '../servers/clients.ts';
import { startTuf } from '../servers/tuf.ts';
import {
  CONFIG,
  job,
  METADATA,
  ONCE,
  ROOT,
  soon,
  started,
  TARGETS,
  waitUntilExpired,
} from './public-sigstore-job.ts';

describe('the files of a Sigstore', () => {
  it('come by one update of the metadata, however many are asked for at once', async () => {
    const { step, asked } = await started();
    const take = step();
    expect(await Promise.all([take(ROOT), take(CONFIG), take(ROOT)])).toEqual([
      TARGETS[ROOT],
      TARGETS[CONFIG],
      TARGETS[ROOT],
    ]);
    expect([...new Set(asked())].sort()).toEqual(
      [...METADATA, `/targets/${ROOT}`, `/targets/${CONFIG}`].sort(),
    );
  });

  it('are not asked for again by the next step, as long as the metadata is valid', async () => {
    const { tuf, step, asked } = await started();
    const first = step();
    await Promise.all([first(ROOT), first(CONFIG)]);
    asked();
    await tuf.close();
    const second = step({ retry: SHORT });
    expect(await Promise.all([second(ROOT), second(CONFIG)])).toEqual([TARGETS[ROOT], TARGETS[CONFIG]]);
    expect(asked()).toEqual([]);
  });

  it('leave one file for the next step, and nothing else', async () => {
    const { folder, step } = await started();
    const take = step();
    await Promise.all([take(ROOT), take(CONFIG)]);
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^manifold-tuf-[0-9a-f]{16}\.json$/)]);
  });

  it('come although the folder of the runner is not there yet', async () => {
    const tuf = await opened(startTuf(TARGETS));
    expect(await job(tuf, path.join(temporaryFolder(), 'temp')).step()()).toBe(TARGETS[ROOT]);
  });

  it('leave nothing where the runner has no folder for it, and come all the same', async () => {
    const tuf = await opened(startTuf(TARGETS));
    const { step, asked } = job(tuf, '');
    expect(await step()()).toBe(TARGETS[ROOT]);
    asked();
    expect(await step()()).toBe(TARGETS[ROOT]);
    expect(asked()).toContain('/timestamp.json');
  });

  it.each(['timestamp', 'snapshot', 'targets'] as const)(
    'are asked for again once the %s that was kept has expired',
    async role => {
      const { tuf, step } = await started();
      tuf.roles[role].expires = soon();
      tuf.publish();
      await step()();
      tuf.roles[role].expires = new Date(Date.now() + 3_600_000);
      tuf.targets.set(ROOT, 'new');
      tuf.publish();
      waitUntilExpired();
      expect(await step()()).toBe('new');
    },
  );

  it('are asked for once for all where what was kept is damaged', async () => {
    const { folder, step, asked } = await started();
    await step()();
    for (const file of readdirSync(folder)) writeFileSync(path.join(folder, file), '{"root.json":');
    asked();
    expect(await step()()).toBe(TARGETS[ROOT]);
    expect(asked()).toEqual([...METADATA, `/targets/${ROOT}`]);
  });

  it('are kept for each repository', async () => {
    const { tuf, folder, step, asked } = await started();
    for (const [name, content] of [...tuf.files]) tuf.files.set(`/deep${name}`, content);
    await step()();
    asked();
    const env = { ...tuf.env, TUF_MIRROR: `${tuf.url}/deep`, RUNNER_TEMP: folder };
    expect(await publicTarget(ROOT, { env, transport: transport() })).toBe(TARGETS[ROOT]);
    expect(asked()).toContain('/deep/timestamp.json');
    const other = await opened(startTuf({ [ROOT]: 'of somebody else' }));
    expect(await job(other, folder).step()()).toBe('of somebody else');
    expect(readdirSync(folder)).toHaveLength(3);
  });

  it('are fetched by many steps at a time without a clash', async () => {
    const { folder, step } = await started();
    const all = await Promise.all(
      Array.from({ length: 12 }, async (_, number) => step()(number % 2 === 0 ? ROOT : CONFIG)),
    );
    expect(new Set(all)).toEqual(new Set([TARGETS[ROOT], TARGETS[CONFIG]]));
    const [kept = ''] = readdirSync(folder);
    expect(Object.keys(JSON.parse(readFileSync(path.join(folder, kept), 'utf8')))).toContain(
      'timestamp.json',
    );
    expect(readdirSync(folder)).toHaveLength(1);
  });
});

describe('the environment', () => {
  const fetch = (env: NodeJS.ProcessEnv) =>
    failureOf(() => publicTarget(ROOT, { env, transport: transport({ retry: ONCE }) }));

  it.each(['nonsense', 'file:///etc', 'ftp://user:sEcReT@host/'])(
    'with TUF_MIRROR=%s is an error',
    async TUF_MIRROR => {
      const error = await fetch({ TUF_MIRROR });
      expect(error.code).toBe('invalid-input');
      expect(error.message).toContain('TUF_MIRROR');
      expect(error.message).not.toContain('sEcReT');
    },
  );

  it('with a mirror and no root for it is an error: nobody is believed unasked', async () => {
    const { tuf, asked } = await started();
    const error = await fetch({ TUF_MIRROR: tuf.url.replace('//', '//user:sEcReT@') });
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(tuf.url);
    expect(error.hint).toContain('TUF_ROOT_JSON');
    expect(error.message).not.toContain('sEcReT');
    expect(asked()).toEqual([]);
  });

  it('with a root that cannot be read is an error', async () => {
    const error = await fetch({ TUF_ROOT_JSON: path.join(temporaryFolder(), 'absent.json') });
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('TUF_ROOT_JSON');
    expect(error.hint).toContain('relative to the workspace');
  });

  it.each(['', '{', '{}', 'null'])('with a root that is %j is an error', async text => {
    const { tuf } = await started();
    writeFileSync(tuf.rootFile, text);
    const error = await fetch(tuf.env);
    expect(error.code).toBe('signing-config');
    expect(error.hint).toContain('TUF_ROOT_JSON');
  });

  it('may name the mirror with slashes at its end, or below a path', async () => {
    const { tuf } = await started();
    for (const [name, content] of [...tuf.files]) tuf.files.set(`/deep${name}`, content);
    for (const mirror of [`${tuf.url}/`, `${tuf.url}/deep//`]) {
      const env = { ...tuf.env, TUF_MIRROR: mirror };
      expect(await publicTarget(ROOT, { env, transport: transport() })).toBe(TARGETS[ROOT]);
    }
  });

  it('is enough: without a transport one is made that goes by its proxies', async () => {
    const { tuf } = await started();
    expect(await publicTarget(ROOT, { env: { ...tuf.env } })).toBe(TARGETS[ROOT]);
  });
});
