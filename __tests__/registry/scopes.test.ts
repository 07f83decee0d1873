import { describe, expect, it } from 'vitest';
import { sendJson, serve } from '../../lab/parts/http.ts';
import { signWithSecret } from '../../lab/parts/jwt.ts';
import { startTokenService } from '../../lab/parts/token-service.ts';
import type { RepositoryClient } from '../../src/registry/client.ts';
import { copyManifests } from '../../src/registry/copy.ts';
import { failureOf, opened, registries } from '../servers/clients.ts';
import { type Made, pushImage } from '../servers/images.ts';
import { PASSWORD, protectedRegistry, USER } from '../servers/protected.ts';
import { type Answer, startRegistry } from '../servers/registry.ts';
import { loggedIn } from './docker-config.ts';

/** A token service that gives what it is asked for, but for what it `refuses`, and keeps the questions. */
async function generousService(refuses: (scopes: string[]) => boolean = () => false) {
  const asked: URL[] = [];
  const service = await opened(
    serve((request, response) => {
      const url = new URL(request.url ?? '', 'http://service');
      asked.push(url);
      if (refuses(url.searchParams.getAll('scope'))) return sendJson(response, 401, { message: 'no' });
      const access = url.searchParams.getAll('scope').map(scope => {
        const [type, name, actions = ''] = scope.split(':');
        return { type, name, actions: actions.split(',') };
      });
      const claims = { exp: Date.now() / 1000 + 300, jti: String(asked.length), access };
      sendJson(response, 200, { token: signWithSecret(claims, 's') });
    }),
  );
  return {
    realm: `${service.url}/token`,
    asked,
    scopes: () => asked.map(url => url.searchParams.getAll('scope')),
  };
}

async function behind(service: { realm: string }, challenge: string) {
  const registry = await opened(
    startRegistry({ bearer: { realm: service.realm, service: 's' }, habits: { challenge: () => challenge } }),
  );
  const clients = registries({ env: { DOCKER_CONFIG: loggedIn({ [registry.host]: `ci:${PASSWORD}` }) } });
  return { registry, client: clients.repository({ registry: registry.host, path: 'acme/app' }) };
}

/** Copies a manifest, and tells what was said of it. */
async function copying(
  source: RepositoryClient,
  target: RepositoryClient,
  manifest: Made,
): Promise<string[]> {
  const lines: string[] = [];
  const onProgress = (line: string): unknown => lines.push(line);
  await copyManifests([source], target, [manifest.descriptor], { onProgress });
  return lines;
}

describe('the scope of a token', () => {
  it('names both repositories where a blob is mounted, in one token for all mounts', async () => {
    const { tokens, registry, clients } = await protectedRegistry();
    const { manifest } = pushImage(registry.repository('acme/build'));
    const at = (path: string) => clients.repository({ registry: registry.host, path });
    const told = await copying(at('acme/build'), at('acme/app'), manifest);
    expect(told.filter(line => line.startsWith('mounted '))).toHaveLength(2);
    const mounts = tokens.requests.filter(({ scopes }) => scopes.length > 1);
    expect(mounts.map(({ scopes }) => scopes)).toEqual([
      ['repository:acme/app:pull,push', 'repository:acme/build:pull'],
    ]);
  });

  it('that a token service does not give for two repositories leaves the blobs to be uploaded', async () => {
    const refused: string[][] = [];
    const service = await generousService(scopes => scopes.length > 1 && refused.push(scopes) > 0);
    const registry = await opened(startRegistry({ bearer: { realm: service.realm, service: 's' } }));
    const { manifest } = pushImage(registry.repository('acme/build'));
    const clients = registries({ env: { DOCKER_CONFIG: loggedIn({ [registry.host]: `ci:${PASSWORD}` }) } });
    const at = (path: string) => clients.repository({ registry: registry.host, path });
    const told = await copying(at('acme/build'), at('acme/app'), manifest);
    expect(told.filter(line => line.startsWith('uploaded '))).toHaveLength(2);
    expect(refused.length).toBeGreaterThan(0);
  });

  it('that reaches to one repository only does not keep a blob from being copied', async () => {
    const service = await opened(
      startTokenService({
        users: {
          ci: { password: PASSWORD, rights: [{ repository: 'acme/app', actions: ['pull', 'push'] }] },
          builder: { password: 'other', rights: [{ repository: 'built/app', actions: ['pull'] }] },
        },
      }),
    );
    const registry = await opened(startRegistry({ bearer: service }));
    const { manifest } = pushImage(registry.repository('built/app'));
    const logins = { [registry.host]: `ci:${PASSWORD}`, [`${registry.host}/built`]: 'builder:other' };
    const clients = registries({ env: { DOCKER_CONFIG: loggedIn(logins) } });
    const at = (path: string) => clients.repository({ registry: registry.host, path });
    const told = await copying(at('built/app'), at('acme/app'), manifest);
    expect(told.filter(line => line.startsWith('uploaded '))).toHaveLength(2);
    expect(new Set(service.requests.map(({ account }) => account))).toEqual(new Set(['ci', 'builder']));
  });

  it.each([401, 403])(
    'that is not enough is asked for anew, once, with what the registry names: %d',
    async status => {
      const service = await generousService();
      const more = `Bearer realm="${service.realm}",service="s",error="insufficient_scope",scope="repository:acme/app:pull registry:catalog:*"`;
      const { registry, client } = await behind(service, `Bearer realm="${service.realm}",service="s"`);
      const demanding: Answer = (seen, response) => {
        const claims = seen.headers.authorization?.split('.')[1] ?? '';
        if (!claims || Buffer.from(claims, 'base64url').includes('catalog')) return;
        response.writeHead(status, { 'www-authenticate': more }).end();
      };
      registry.on({ answer: demanding });
      expect(await client.findManifest('a')).toBeUndefined();
      expect(await client.findManifest('b')).toBeUndefined();
      expect(service.scopes()).toEqual([
        ['repository:acme/app:pull'],
        ['repository:acme/app:pull', 'registry:catalog:*'],
      ]);
    },
  );

  it.each([
    ['of a login, is a lack of rights', true, 'registry-forbidden'],
    ['of nobody, is the lack of a login', false, 'registry-unauthorized'],
  ])('that stays not enough, %s', async (_, loggedInThere, code) => {
    const service = await generousService();
    const challenge = `Bearer realm="${service.realm}",error="insufficient_scope",scope="repository:acme/app:pull"`;
    const { registry, client: known } = await behind(service, challenge);
    const stranger = registries().repository({ registry: registry.host, path: 'acme/app' });
    const client = loggedInThere ? known : stranger;
    registry.on({
      answer: (__, response) => void response.writeHead(401, { 'www-authenticate': challenge }).end(),
    });
    const error = await failureOf(() => client.findManifest('a'));
    expect(error.code).toBe(code);
    expect(error.hint).toContain('/acme/app');
    expect(registry.log).toHaveLength(2);
  });

  it('of a 403 that says nothing of scopes is no reason to ask anew', async () => {
    const service = await generousService();
    const { registry, client } = await behind(service, '');
    const challenge = `Bearer realm="${service.realm}"`;
    registry.on({
      answer: (_, response) => void response.writeHead(403, { 'www-authenticate': challenge }).end(),
    });
    expect((await failureOf(() => client.findManifest('a'))).code).toBe('registry-forbidden');
    expect(registry.log).toHaveLength(1);
    expect(service.asked).toEqual([]);
  });
});

describe('a registry that reads for everybody', () => {
  it('and asks for a login where it is written to serves both in one run', async () => {
    const { tokens, registry, client, clients } = await protectedRegistry();
    const open: Answer = (seen, response) => {
      if (seen.headers.authorization === undefined && seen.method === 'GET') response.writeHead(404).end();
    };
    registry.on({ answer: open });
    expect(await client.findManifest('a')).toBeUndefined();
    expect(tokens.requests).toEqual([]);
    await client.putBlob(Buffer.from('x'));
    const other = clients.repository({ registry: registry.host, path: 'acme/other' });
    expect(await other.findManifest('b')).toBeUndefined();
    expect(tokens.requests.every(({ account }) => account === 'ci')).toBe(true);
  });

  it('without a login goes on reading after a write was refused', async () => {
    const { registry, client } = await protectedRegistry({ loggedIn: false, anonymous: true, user: READER });
    expect(await client.findManifest('a')).toBeUndefined();
    await failureOf(() => client.putBlob(Buffer.from('x')));
    expect(await client.findManifest('b')).toBeUndefined();
    expect(registry.log.at(-1)?.status).toBe(404);
  });
});

const READER = { ...USER, rights: [{ repository: 'acme/*', actions: ['pull' as const] }] };

describe('several challenges in one answer', () => {
  it.each([
    ['Bearer after Basic', (realm: string) => `Basic realm="r", Bearer realm="${realm}",service="s"`],
    ['Bearer first', (realm: string) => `Bearer realm="${realm}",service="s", Basic realm="r"`],
    ['what nobody knows', (realm: string) => `Negotiate, Bearer realm="${realm}"`],
  ])('are answered by a token: %s', async (_, challenge) => {
    const service = await generousService();
    const { registry, client } = await behind(service, challenge(service.realm));
    await client.findManifest('a');
    expect(registry.log.at(-1)?.headers.authorization).toMatch(/^Bearer /);
  });

  it('are answered by the login where Bearer has no realm', async () => {
    const registry = await opened(
      startRegistry({
        basic: { ci: PASSWORD },
        habits: { challenge: () => 'Bearer service="s", Basic realm="r"' },
      }),
    );
    const clients = registries({ env: { DOCKER_CONFIG: loggedIn({ [registry.host]: `ci:${PASSWORD}` }) } });
    await clients.repository({ registry: registry.host, path: 'a' }).findManifest('t');
    expect(registry.log.at(-1)?.headers.authorization).toMatch(/^Basic /);
  });
});
