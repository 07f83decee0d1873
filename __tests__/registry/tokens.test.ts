import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { readBody, sendJson, serve } from '../../lab/parts/http.ts';
import { keepSecret } from '../../src/errors.ts';
import { Authenticator } from '../../src/registry/auth.ts';
import { Registries } from '../../src/registry/client.ts';
import { failureOf, opened, transport } from '../servers/clients.ts';
import { pushImage } from '../servers/images.ts';
import { challenging, login, PASSWORD, protectedRegistry, tokenFor, USER } from '../servers/protected.ts';
import { startRegistry } from '../servers/registry.ts';
import { newAuthority, newServer, pem } from '../servers/x509.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('a token', () => {
  it('is fetched once for many requests at the same time', async () => {
    const { tokens, registry, client } = await protectedRegistry();
    const { root } = pushImage(registry.repository('acme/app'));
    await Promise.all(Array.from({ length: 30 }, () => client.getManifest(root.descriptor.digest)));
    expect(tokens.requests).toHaveLength(1);
    expect(tokens.requests[0]).toMatchObject({
      account: 'ci',
      status: 200,
      scopes: ['repository:acme/app:pull'],
    });
  });

  it('is asked for by what is done: reading, or writing and reading', async () => {
    const { tokens, client } = await protectedRegistry();
    await client.findManifest('latest');
    await client.putBlob(Buffer.from('x'));
    await client.findManifest('latest');
    const scopes = tokens.requests.flatMap(request => request.scopes);
    expect(scopes).toEqual(['repository:acme/app:pull', 'repository:acme/app:pull,push']);
  });

  it('for writing serves reading too', async () => {
    const { tokens, client } = await protectedRegistry();
    await client.putBlob(Buffer.from('x'));
    await client.findManifest('latest');
    expect(tokens.requests.flatMap(({ scopes }) => scopes)).toEqual(['repository:acme/app:pull,push']);
  });

  it('that is refused is not replaced by another old one', async () => {
    const { tokens, registry, client } = await protectedRegistry();
    await client.findManifest('a');
    registry.revoked.add(registry.log.at(-1)?.headers.authorization?.split(' ')[1] ?? '');
    await client.putBlob(Buffer.from('x'));
    registry.revoked.add(registry.log.at(-1)?.headers.authorization?.split(' ')[1] ?? '');
    expect(await client.findManifest('b')).toBeUndefined();
    expect(tokens.requests.at(-1)?.scopes).toEqual(['repository:acme/app:pull']);
  });

  it('of one repository is not used for another', async () => {
    const { tokens, registry, clients } = await protectedRegistry();
    for (const name of ['acme/app', 'acme/api']) {
      const { root } = pushImage(registry.repository(name));
      await clients.repository({ registry: registry.host, path: name }).getManifest(root.descriptor.digest);
    }
    expect(tokens.requests.flatMap(({ scopes }) => scopes)).toEqual([
      'repository:acme/app:pull',
      'repository:acme/api:pull',
    ]);
  });

  it('is fetched anew shortly before it expires, without a refused request', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const { tokens, registry, client } = await protectedRegistry({ lifetime: 100 });
    await client.findManifest('latest');
    vi.setSystemTime(Date.now() + 80_000);
    await client.findManifest('latest');
    expect(tokens.requests).toHaveLength(1);
    vi.setSystemTime(Date.now() + 15_000);
    await client.findManifest('latest');
    expect(tokens.requests).toHaveLength(2);
    expect(registry.log.map(({ status }) => status)).toEqual([401, 404, 404, 404]);
  });

  it('that has expired is fetched anew once for many requests at the same time', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const { tokens, client } = await protectedRegistry({ lifetime: 100 });
    await client.findManifest('latest');
    vi.setSystemTime(Date.now() + 95_000);
    await Promise.all(Array.from({ length: 10 }, () => client.findManifest('latest')));
    expect(tokens.requests).toHaveLength(2);
  });

  it('that the registry takes no more is fetched anew, once for all who were refused', async () => {
    const { tokens, registry, client } = await protectedRegistry();
    await client.findManifest('latest');
    const used = registry.log.at(-1)?.headers.authorization?.split(' ')[1] ?? '';
    registry.revoked.add(used);
    await Promise.all(Array.from({ length: 10 }, () => client.findManifest('latest')));
    expect(tokens.requests).toHaveLength(2);
  });

  it('that was not to be had is asked for again by the next request', async () => {
    const { tokens, client } = await protectedRegistry();
    tokens.setUser('ci', { ...USER, password: 'other' });
    await failureOf(() => client.findManifest('latest'));
    tokens.setUser('ci', USER);
    expect(await client.findManifest('latest')).toBeUndefined();
  });

  it('is fetched without a login where the registry is open to all', async () => {
    const { tokens, client } = await protectedRegistry({ anonymous: true, loggedIn: false });
    expect(await client.findManifest('latest')).toBeUndefined();
    expect(tokens.requests[0]).toMatchObject({ account: undefined, status: 200 });
  });

  it('under the name access_token is one too, and its service may be left out', async () => {
    const token = tokenFor('acme/app');
    const service = await opened(serve((_, response) => sendJson(response, 200, { access_token: token })));
    const { client } = await challenging({ bearer: { realm: `${service.url}/token`, service: '' } });
    expect(await client.findManifest('latest')).toBeUndefined();
  });

  it('comes for a refresh token by the OAuth 2 way', async () => {
    const forms: Record<string, string>[] = [];
    const service = await opened(
      serve(async (request, response) => {
        const form = new URLSearchParams((await readBody(request)).toString());
        forms.push({ method: request.method ?? '', ...Object.fromEntries(form) });
        sendJson(response, 200, { access_token: tokenFor('acme/app'), expires_in: 300 });
      }),
    );
    const bearer = { realm: `${service.url}/oauth2/token`, service: 'acr' };
    const { client } = await challenging({ bearer }, { identitytoken: 'refresh-me' });
    await client.findManifest('latest');
    expect(forms).toEqual([
      {
        method: 'POST',
        grant_type: 'refresh_token',
        refresh_token: 'refresh-me',
        client_id: 'manifold',
        service: 'acr',
        scope: 'repository:acme/app:pull',
      },
    ]);
  });
});

describe('a refresh token', () => {
  it.each(['a+b/c==', "it's me: 100 %"])('%j shows in no message, be it as a form holds it', async token => {
    const service = await opened(
      serve(async (request, response) => {
        response.writeHead(400).end(`cannot read ${await readBody(request)}`);
      }),
    );
    const registry = await opened(startRegistry({ bearer: { realm: service.url, service: 'acr' } }));
    const env = { DOCKER_CONFIG: login(registry.host, { identitytoken: token }) };
    const clients = new Registries({ env, transport: transport(), onSecret: keepSecret });
    const client = clients.repository({ registry: registry.host, path: 'acme/app' });
    const { message } = await failureOf(() => client.findManifest('latest'));
    expect(message).toContain('grant_type=refresh_token&refresh_token=***&client_id');
  });
});

describe('the address of a token service', () => {
  /** A registry with TLS whose challenge names this realm. */
  async function secure(realm: string) {
    const authority = newAuthority('test authority');
    const { privateKey, certificate } = newServer('127.0.0.1', authority);
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    const server = createTlsServer({ key, cert: pem(certificate) }, (_, response) => {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end();
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/v2/`);
    const authenticator = new Authenticator({
      registry: url.host,
      endpoint: { url, ca: pem(authority.certificate) },
      transport: transport(),
      findCredential: async () => ({ kind: 'password', username: 'ci', password: PASSWORD }),
      onSecret: () => {},
    });
    const ca = pem(authority.certificate);
    return () => authenticator.send({ method: 'GET', url, ca }, 'acme/app', 'pull');
  }

  it('without TLS gets no password from the client of a registry with TLS', async () => {
    const asked: string[] = [];
    const service = await opened(
      serve((request, response) => {
        asked.push(request.url ?? '');
        sendJson(response, 200, { token: 't' });
      }),
    );
    const error = await failureOf(await secure(service.url));
    expect(error.code).toBe('registry-unauthorized');
    expect(error.message).toContain(service.url);
    expect(asked).toEqual([]);
  });

  it.each(['', 'token', '/token', 'ftp://127.0.0.1/', 'file:///etc/passwd', 'javascript:alert(1)'])(
    '%j is refused',
    async realm => {
      expect((await failureOf(await secure(realm))).code).toBe('registry-unauthorized');
    },
  );

  it('keeps the query that it came with', async () => {
    const asked: URL[] = [];
    const service = await opened(
      serve((request, response) => {
        asked.push(new URL(request.url ?? '', 'http://service'));
        sendJson(response, 200, { token: tokenFor('acme/app') });
      }),
    );
    const { client } = await challenging({
      bearer: { realm: `${service.url}/token?tenant=acme`, service: 'the service' },
    });
    await client.findManifest('latest');
    expect(Object.fromEntries(asked[0]?.searchParams ?? [])).toEqual({
      tenant: 'acme',
      service: 'the service',
      scope: 'repository:acme/app:pull',
    });
  });
});
