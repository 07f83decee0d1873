import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { ManifoldError } from '../../src/errors.ts';
import { failureOf } from '../servers/clients.ts';
import type { TestRegistry } from '../servers/registry.ts';
import { startRun, tagEntries } from '../servers/run.ts';

const OLD = `sha256:${'0'.repeat(64)}`;

async function built(...kinds: Parameters<typeof startRun>) {
  const run = await startRun(...kinds);
  const pushed = { amd64: await run.build('linux/amd64'), arm64: await run.build('linux/arm64') };
  for (const registry of run.registries) registry.repository('acme/app').tags.set('latest', OLD);
  return { ...run, pushed };
}

const registryOf = ({ registries }: { registries: TestRegistry[] }): TestRegistry =>
  registries[0] as TestRegistry;

describe('a merge', () => {
  it('publishes one signed index under all tags of all registries', async () => {
    const run = await built({ referrers: 'api' }, {});
    const told = await run.merge();
    const { digest, json } = told.outputs;
    for (const position of [0, 1]) expect(run.tags(position)).toEqual({ '1.0': digest, latest: digest });
    expect(told.outputs.tags?.split('\n')).toEqual(
      run.images.flatMap(image => [`${image}:1.0`, `${image}:latest`]),
    );
    expect(JSON.parse(json ?? '').components.app).toMatchObject({
      digest,
      images: run.images,
      platforms: [
        { platform: 'linux/amd64', digest: run.pushed.amd64.manifest.descriptor.digest },
        { platform: 'linux/arm64', digest: run.pushed.arm64.manifest.descriptor.digest },
      ],
      signed: {
        by: [{ issuer: run.issuer.url }],
        formats: ['bundle'],
        manifests: 5,
        signatures: 10,
        attached: 10,
      },
    });
    expect(told.pages.join()).toContain('cosign verify');
  });

  it('without signing needs no identity, and asks for none', async () => {
    const run = await built();
    const told = await run.merge({ sign: [], trustedRoot: undefined, signingConfig: undefined });
    expect(run.tags()).toEqual({ '1.0': told.outputs.digest, latest: told.outputs.digest });
    expect(run.issuer.given).toEqual([]);
    expect(run.sigstore.log).toEqual([]);
    expect(JSON.parse(told.outputs.json ?? '').components.app.signed).toBeNull();
  });

  it('without signing costs at most 11 requests for 2 attested platforms and 1 tag', async () => {
    const run = await built();
    await run.merge({ sign: [], tags: tagEntries('1.0') });
    expect(registryOf(run).log.length).toBeLessThanOrEqual(11);
  });

  it('a second time changes nothing and signs nothing twice', async () => {
    const run = await built({ referrers: 'api' });
    const first = await run.merge();
    const held = registryOf(run).repository('acme/app').manifests.size;
    const second = await run.merge();
    expect(second.outputs.digest).toBe(first.outputs.digest);
    expect(registryOf(run).repository('acme/app').manifests.size).toBe(held);
    expect(JSON.parse(second.outputs.json ?? '').components.app.signed.attached).toBe(0);
  });

  it('takes the newest attempt of each build', async () => {
    const run = await built();
    const again = await run.build('linux/arm64', { attempt: 2, content: 'mended' });
    const told = await run.merge({ sign: [] }, 2);
    expect(JSON.parse(told.outputs.json ?? '').components.app.platforms[1].digest).toBe(
      again.manifest.descriptor.digest,
    );
  });

  it('masks its identity token', async () => {
    const run = await built();
    const told = await run.merge();
    expect(told.masked.some(secret => secret.startsWith('ey'))).toBe(true);
    expect(JSON.stringify([told.lines, told.outputs, told.pages])).not.toContain('eyJ0eXAi');
  });
});

describe('a merge that cannot be complete moves no tag', () => {
  it.each([
    [
      'a platform is missing',
      {
        platforms: [
          { os: 'linux', architecture: 'amd64' },
          { os: 'linux', architecture: 's390x' },
        ],
      },
      'missing-platform',
    ],
    [
      'a platform is too many',
      { platforms: [{ os: 'linux', architecture: 'amd64' }] },
      'unexpected-platform',
    ],
    ['the component is another', { components: ['api'] }, 'no-records'],
    ['the trusted root cannot be read', { trustedRoot: 'absent.json' }, 'invalid-input'],
  ] as const)('when %s', async (_, inputs, code) => {
    const run = await built();
    const error = await failureOf(() => run.merge(inputs));
    expect(error.code).toBe(code);
    expect(run.tags()).toEqual({ latest: OLD });
    // Nothing was pushed either.
    expect(registryOf(run).count('PUT', /./)).toBe(0);
  });

  it('when the job may not ask for an identity token', async () => {
    const run = await built();
    const error = await failureOf(() => run.merge({}, 1, { ACTIONS_ID_TOKEN_REQUEST_URL: '' }));
    expect(error.code).toBe('no-id-token');
    expect(error.hint).toContain('id-token: write');
    expect(registryOf(run).log).toEqual([]);
  });

  it('when a job of the matrix left no record', async () => {
    const run = await startRun();
    await run.build('linux/amd64');
    const error = await failureOf(() => run.merge());
    expect(error.code).toBe('missing-platform');
    expect(run.tags()).toEqual({});
  });

  it('when no job left a record', async () => {
    const run = await startRun();
    expect((await failureOf(() => run.merge())).code).toBe('no-records');
  });

  it('when an image is for another architecture than its record says', async () => {
    const run = await startRun();
    await run.build('linux/amd64');
    await run.build('linux/arm64', { architecture: 'amd64', content: 'wrong' });
    expect((await failureOf(() => run.merge())).code).toBe('wrong-architecture');
    expect(run.tags()).toEqual({});
  });

  it.each(['/api/v2/signingCert', '/api/v1/log/entries'])(
    'when the Sigstore fails at %s, and succeeds when it is back',
    async path => {
      const run = await built();
      let down = true;
      run.sigstore.on(path, (_, response) => void (down && sendJson(response, 503, { message: 'down' })));
      expect((await failureOf(() => run.merge())).code).toBe('signing-failed');
      expect(run.tags()).toEqual({ latest: OLD });
      down = false;
      const told = await run.merge();
      expect(run.tags()).toEqual({ '1.0': told.outputs.digest, latest: told.outputs.digest });
    },
  );
});

describe.each([
  ['the referrers API', { referrers: 'api' }],
  ['the fallback tag', {}],
] as const)('a merge that a registry with %s refuses at any moment', (_name, kind) => {
  it('leaves the tags as they were, and the next one succeeds', async () => {
    const run = await built(kind);
    const registry = registryOf(run);
    await run.merge({ tags: tagEntries('trial') });
    const signed = registry.log.length;
    // Every moment of a merge that finds nothing signed: from its first request to its last before the tags.
    for (let moment = 1; moment <= signed; moment += 11) {
      const fresh = await built(kind);
      const target = registryOf(fresh);
      let count = 0;
      let broke = false;
      target.on({
        answer: (request, response) => {
          if (++count !== moment) return;
          broke = /\/manifests\/(1\.0|latest)$/.test(request.path);
          sendJson(response, 403, { errors: [{ code: 'DENIED' }] });
        },
      });
      const error: unknown = await fresh.merge().then(
        () => undefined,
        reason => reason,
      );
      // A refusal that nobody minds (a look before an upload) ends well; one of the tags themselves may move the other.
      if (error !== undefined) expect(error).toBeInstanceOf(ManifoldError);
      if (error !== undefined && !broke) expect(fresh.tags()).toEqual({ latest: OLD });
      const told = await fresh.merge();
      expect(fresh.tags()).toEqual({ '1.0': told.outputs.digest, latest: told.outputs.digest });
    }
  });
});
