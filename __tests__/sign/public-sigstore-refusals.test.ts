import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { publicTarget } from '../../src/sign/public-sigstore.ts';
import { status } from '../servers/answering.ts';
import { failureOf, opened, transport } from '../servers/clients.ts';
import { answerConnect, startProxy } from '../servers/proxy.ts';
import { newKey, startTuf, type TestTuf } from '../servers/tuf.ts';
import { CONFIG, job, PAST, ROOT, soon, started, TARGETS, waitUntilExpired } from './public-sigstore-job.ts';

describe('a root', () => {
  it('that was followed by others is followed by us, one after the other', async () => {
    const { tuf, step, asked } = await started();
    tuf.rotate();
    tuf.rotate();
    expect(await step()()).toBe(TARGETS[ROOT]);
    expect(asked().slice(0, 3)).toEqual(['/2.root.json', '/3.root.json', '/4.root.json']);
  });

  it('that the last one did not sign is refused', async () => {
    const { tuf, step } = await started();
    tuf.rotate(newKey());
    const error = await failureOf(() => step()());
    expect(error.code).toBe('signing-config');
    expect(error.message).toMatch(/is refused: root .*0\/1/);
    expect(error.hint).toContain('TUF_ROOT_JSON');
  });

  it.each([403, 404])('is the newest where the one after it is answered with %d', async code => {
    const { tuf, step } = await started();
    tuf.on(/2\.root/, status(code));
    expect(await step()()).toBe(TARGETS[ROOT]);
  });

  it('of the public Sigstore comes with us, and what follows it through the proxy of the job', async () => {
    const proxy = await startProxy([answerConnect(403)]);
    const env = { HTTPS_PROXY: `http://${proxy.host}` };
    const error = await failureOf(() => publicTarget(ROOT, { env }));
    expect(error.code).toBe('service-unreachable');
    expect(error.message).toContain(
      'of the public Sigstore (https://tuf-repo-cdn.sigstore.dev) could not be',
    );
    expect(error.message).toContain(`The proxy ${proxy.host} answered 403`);
    expect(proxy.tunnels.map(({ target }) => target)).toEqual(['tuf-repo-cdn.sigstore.dev:443']);
  });

  describe('that took keys back', () => {
    /** Whoever has the old keys signs on with them, for who still believes the old root. */
    function rotateAndSignByOldKeys(tuf: TestTuf): void {
      const { roles } = tuf;
      const online = ['timestamp', 'snapshot', 'targets'] as const;
      const old = online.map(role => roles[role].key);
      tuf.rotate();
      for (const [position, role] of online.entries())
        Object.assign(roles[role], { key: old[position], expires: new Date(Date.now() + 3_600_000) });
      tuf.publish();
    }

    it('is looked for before anything else', async () => {
      const { tuf, step } = await started();
      rotateAndSignByOldKeys(tuf);
      expect((await failureOf(() => step()())).message).toMatch(/is refused: timestamp .*0\/1/);
    });

    it('is looked for also where what an earlier step kept has expired', async () => {
      const { tuf, step } = await started();
      tuf.roles.timestamp.expires = soon();
      tuf.publish();
      await step()();
      rotateAndSignByOldKeys(tuf);
      waitUntilExpired();
      expect((await failureOf(() => step()())).message).toMatch(/is refused: timestamp .*0\/1/);
    });
  });

  it('has what was kept for it, and nobody else who believes another one at the same place', async () => {
    const { tuf, folder, step } = await started();
    await step()();
    const { rootFile } = await opened(startTuf(TARGETS));
    const env = { ...tuf.env, TUF_ROOT_JSON: rootFile, RUNNER_TEMP: folder };
    const error = await failureOf(() => publicTarget(ROOT, { env, transport: transport() }));
    expect(error.message).toMatch(/is refused: timestamp .*0\/1/);
  });
});

describe('metadata', () => {
  it.each(['root', 'timestamp', 'snapshot', 'targets'] as const)(
    'of the %s that has expired is refused',
    async role => {
      const { tuf, step } = await started();
      tuf.roles[role].expires = PAST;
      if (role === 'root') tuf.rotate();
      else tuf.publish();
      const error = await failureOf(() => step()());
      expect(error.code).toBe('signing-config');
      expect(error.message).toMatch(
        new RegExp(
          `trusted_root.json of the Sigstore \\(${tuf.url}\\) is refused: .*${role}.json is expired`,
        ),
      );
      expect(error.message).not.toContain('Unable to load');
    },
  );

  it.each([
    ['/timestamp.json', 'timestamp'],
    ['/1.snapshot.json', 'hash'],
    ['/1.targets.json', 'hash'],
  ])('at %s that somebody changed is refused', async (file, word) => {
    const { tuf, step } = await started();
    tuf.files.set(
      file,
      Buffer.from((tuf.files.get(file) ?? '').toString().replace('"version":1', '"version":2')),
    );
    const error = await failureOf(() => step()());
    expect(error.code).toBe('signing-config');
    expect(error.message).toMatch(new RegExp(`is refused: .*${word}`));
  });

  it('older than what an earlier step saw is refused', async () => {
    const { tuf, step } = await started();
    const old = new Map(tuf.files);
    tuf.roles.timestamp.expires = soon();
    tuf.publish();
    await step()();
    tuf.files.set('/timestamp.json', old.get('/timestamp.json') ?? Buffer.alloc(0));
    waitUntilExpired();
    const error = await failureOf(() => step()());
    expect(error.code).toBe('signing-config');
    expect(error.message).toContain('less than current version');
  });

  it('that is a page of HTML is refused', async () => {
    const { tuf, step } = await started();
    tuf.on(/timestamp/, status(200, { 'content-type': 'text/html' }, '<html>Sign in\n::error::</html>'));
    const error = await failureOf(() => step()());
    expect(error.code).toBe('signing-config');
    expect(error.message).toContain('is refused');
    expect(error.message).not.toContain('\n');
  });

  it('without an end is not read to its end', async () => {
    const { tuf, step } = await started();
    tuf.on(/timestamp/, status(200, {}, 'x'.repeat(1_000_000)));
    const error = await failureOf(() => step()());
    expect(error.code).toBe('signing-config');
    expect(error.message).toContain('is longer than 16384 bytes');
  });
});

describe('a target', () => {
  const placeOf = (tuf: TestTuf) => [...tuf.files.keys()].find(name => name.endsWith(ROOT)) ?? '';

  it.each([
    ['of the same length', (text: string) => text.replace('believe', 'deceive')],
    ['shorter', (text: string) => text.slice(1)],
    ['longer', (text: string) => `${text} `],
  ])('that somebody changed is refused: %s', async (_, change) => {
    const { tuf, step, folder } = await started();
    tuf.files.set(placeOf(tuf), Buffer.from(change(TARGETS[ROOT])));
    const error = await failureOf(() => step()());
    expect(error.code).toBe('signing-config');
    expect(error.message).toContain(`The ${ROOT} of the Sigstore (${tuf.url}) is refused`);
    for (const file of readdirSync(folder))
      expect(readFileSync(`${folder}/${file}`, 'utf8')).not.toContain('deceive');
  });

  it('that was changed in what was kept is fetched again', async () => {
    const { step, folder } = await started();
    await step()();
    for (const file of readdirSync(folder)) {
      const text = readFileSync(`${folder}/${file}`, 'utf8');
      writeFileSync(`${folder}/${file}`, text.replaceAll('to believe', 'to deceive'));
    }
    expect(await step()()).toBe(TARGETS[ROOT]);
  });

  it('that is not listed is an error that says so', async () => {
    const tuf = await opened(startTuf({ [ROOT]: '{}' }));
    const error = await failureOf(() => job(tuf).step()(CONFIG));
    expect(error.code).toBe('signing-config');
    expect(error.message).toContain(
      `The ${CONFIG} of the Sigstore (${tuf.url}) is refused: the repository does not list it.`,
    );
  });

  it('does not suffer from another one', async () => {
    const { tuf, step } = await started();
    tuf.on(/signing_config/, status(404));
    const take = step();
    const [root, config] = await Promise.allSettled([take(ROOT), take(CONFIG)]);
    expect(root).toEqual({ status: 'fulfilled', value: TARGETS[ROOT] });
    expect(config.status).toBe('rejected');
  });
});
