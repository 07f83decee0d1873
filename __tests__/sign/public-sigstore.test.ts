import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { DEFAULT_RETRY } from '../../src/http/retry.ts';
import type { TransportOptions } from '../../src/http/transport.ts';
import { publicTarget } from '../../src/sign/public-sigstore.ts';
import { status } from '../servers/answering.ts';
import { FAST, failureOf, SHORT, temporaryFolder, transport } from '../servers/clients.ts';
import { answerConnect, secureServer, startProxy } from '../servers/proxy.ts';
import { newKey, startTuf, type TestTuf } from '../servers/tuf.ts';

const ROOT = 'trusted_root.json';
const CONFIG = 'signing_config.v0.2.json';
const TARGETS = { [ROOT]: '{"whom":"to believe"}', [CONFIG]: '{"where":"to sign"}' };
const PAST = new Date(Date.now() - 1000);
/** Long enough for what waits to go on at once, and too short to wait for. */
const ONCE = { budget: 0, base: 1, longest: 1 };

/** A job whose steps keep in one folder what they fetch, and each of which begins with nothing in memory. */
function job(tuf: TestTuf, folder: string | undefined = temporaryFolder()) {
  const step = (options: TransportOptions = {}) => {
    const env = { ...tuf.env, ...(folder === undefined ? {} : { RUNNER_TEMP: folder }) };
    const access = { env, transport: transport(options) };
    return (name: string = ROOT) => publicTarget(name, access);
  };
  /** What was asked for since the last time. */
  const asked = () => tuf.log.splice(0).map(line => line.replace(/[0-9a-f]{64}\./, ''));
  return { folder, step, asked };
}

const started = async () => {
  const tuf = await startTuf(TARGETS);
  return { tuf, ...job(tuf) };
};

const METADATA = ['/2.root.json', '/timestamp.json', '/1.snapshot.json', '/1.targets.json'];

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

  it('leave nothing where the runner has no folder for it, and come all the same', async () => {
    const tuf = await startTuf(TARGETS);
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
      const soon = new Date(Math.ceil((Date.now() + 700) / 1000) * 1000);
      tuf.roles[role].expires = soon;
      tuf.publish();
      await step()();
      tuf.roles[role].expires = new Date(Date.now() + 60_000);
      tuf.targets.set(ROOT, 'new');
      tuf.publish();
      while (new Date() <= soon) await new Promise(setImmediate);
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

  it('are kept for each root that is believed, and each repository', async () => {
    const { folder, step } = await started();
    await step()();
    const other = await startTuf({ [ROOT]: 'of somebody else' });
    expect(await job(other, folder).step()()).toBe('of somebody else');
    expect(readdirSync(folder)).toHaveLength(2);
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

  it('of the public Sigstore comes with us', async () => {
    const proxy = await startProxy();
    const { port, ca } = await secureServer('tuf-repo-cdn.sigstore.dev', status(404));
    expect([port, ca, answerConnect]).toBeDefined();
    expect(proxy.tunnels).toEqual([]);
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
    const soon = new Date(Math.ceil((Date.now() + 700) / 1000) * 1000);
    tuf.roles.timestamp.expires = soon;
    tuf.publish();
    await step()();
    tuf.files.set('/timestamp.json', old.get('/timestamp.json') ?? Buffer.alloc(0));
    while (new Date() <= soon) await new Promise(setImmediate);
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
  const path = (tuf: TestTuf) => [...tuf.files.keys()].find(name => name.endsWith(ROOT)) ?? '';

  it.each([
    ['of the same length', (text: string) => text.replace('believe', 'deceive')],
    ['shorter', (text: string) => text.slice(1)],
    ['longer', (text: string) => `${text} `],
  ])('that somebody changed is refused: %s', async (_, change) => {
    const { tuf, step, folder } = await started();
    tuf.files.set(path(tuf), Buffer.from(change(TARGETS[ROOT])));
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
    const tuf = await startTuf({ [ROOT]: '{}' });
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

describe('a repository that is not well', () => {
  const PLACES = ['2.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json', ROOT];

  describe.each(PLACES)('at %s', place => {
    const where = new RegExp(place.replaceAll('.', '\\.'));

    it.each([429, 500, 503])('with %d for a while is waited for', async code => {
      const { tuf, step } = await started();
      tuf.on(where, status(code, { 'retry-after': '0' }), 2);
      expect(await step({ retry: FAST })()).toBe(TARGETS[ROOT]);
    });

    it.each([429, 500, 503])('with %d for good is an error that names it, and what it said', async code => {
      const { tuf, step } = await started();
      tuf.on(where, status(code, {}, 'no room\n::error::'));
      const error = await failureOf(() => step({ retry: SHORT })());
      expect(error.code).toBe('service-unreachable');
      expect(error.message).toContain(
        `The ${ROOT} of the Sigstore (${tuf.url}) could not be fetched: ${tuf.url}/`,
      );
      expect(error.message).toContain(`${place} answered ${code}: no room ::error::.`);
      expect(error.hint).toContain('"trusted-root" and "signing-config"');
    });

    it('that never answers is given up', async () => {
      const { tuf, step } = await started();
      tuf.on(where, () => {});
      const error = await failureOf(() => step({ retry: ONCE, idleTimeout: 50 })());
      expect(error.code).toBe('service-unreachable');
      expect(error.message).toMatch(/got no answer, tried once/);
      expect(error.message).toContain(tuf.url);
    });

    it('that breaks off in the middle is asked again', async () => {
      const { tuf, step } = await started();
      const half = (_: unknown, response: import('node:http').ServerResponse) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{', () => response.destroy());
      };
      tuf.on(where, half, 1);
      expect(await step({ retry: FAST })()).toBe(TARGETS[ROOT]);
    });
  });

  it('is waited for within the usual budget', () => {
    expect(DEFAULT_RETRY.budget).toBe(120_000);
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
