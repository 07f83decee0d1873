import { describe, expect, it } from 'vitest';
import { readBody, sendJson, serve } from '../../lab/parts/http.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { Registries, type RepositoryClient } from '../../src/registry/client.ts';
import { failureOf, opened, registries, transport } from '../servers/clients.ts';
import { login, PASSWORD, tokenFor } from '../servers/protected.ts';
import { startRegistry } from '../servers/registry.ts';
import { answer } from '../servers/repository.ts';
import { loggedIn } from './docker-config.ts';

describe('logins for parts of a registry', () => {
  /** What each repository of a registry with Basic authentication was asked with. */
  async function visited(logins: Record<string, string>, paths: readonly string[]) {
    const registry = await opened(startRegistry({ basic: { a: 'a', b: 'b', whole: 'whole' } }));
    const places = Object.entries(logins).map(([place, pair]) => [`${registry.host}${place}`, pair]);
    const folder = loggedIn({ [registry.host]: 'whole:whole', ...Object.fromEntries(places) });
    const clients = registries({ env: { DOCKER_CONFIG: folder } });
    for (const path of paths) await clients.repository({ registry: registry.host, path }).findManifest('t');
    return registry.log.map(({ path, headers }) => {
      const pair = Buffer.from(headers.authorization?.split(' ')[1] ?? '', 'base64').toString();
      return `${path.split('/').slice(2, -2).join('/')} ${pair.split(':')[0]}`;
    });
  }

  it('go to their repositories, the longest first, and to no other', async () => {
    const seen = await visited({ '/acme': 'a:a', '/acme/app': 'b:b' }, ['acme/app', 'acme/api', 'other/app']);
    expect(seen.filter(line => !line.endsWith(' '))).toEqual(['acme/app b', 'acme/api a', 'other/app whole']);
  });

  it('are not those of a neighbour whose name begins alike', async () => {
    const seen = await visited({ '/acme/app': 'a:a' }, ['acme/app-api', 'acme/ap', 'acme/app/deep']);
    expect(seen.filter(line => !line.endsWith(' '))).toEqual([
      'acme/app-api whole',
      'acme/ap whole',
      'acme/app/deep a',
    ]);
  });

  it('are asked for once for all repositories that they cover', async () => {
    const seen = await visited({ '/acme': 'a:a' }, ['acme/app', 'acme/api']);
    expect(seen).toEqual(['acme/app ', 'acme/app a', 'acme/api a']);
  });
});

it('is said to be there, also when reading a blob is the first that is refused', async () => {
  const registry = await opened(startRegistry({ basic: { a: 'a' } }));
  const refusal = answer(403, 'DENIED');
  registry.on({
    path: /blobs/,
    answer: (request, response) => (request.headers.authorization ? refusal(request, response) : undefined),
  });
  const target = await opened(startRegistry());
  const clients = registries({ env: { DOCKER_CONFIG: loggedIn({ [registry.host]: 'a:a' }) } });
  const descriptor = { digest: digestOf(Buffer.from('x')), size: 1 };
  const [source, copy] = [registry, target].map(({ host }) =>
    clients.repository({ registry: host, path: 'acme/app' }),
  ) as [RepositoryClient, RepositoryClient];
  const error = await failureOf(() => copy.copyBlob(descriptor, source));
  expect(error.code).toBe('registry-forbidden');
  expect(error.hint).toMatch(/^The account may not/);
});

describe('a login that looks unlike others reaches the token service as it is', () => {
  it.each([
    ['Google: a key file', '_json_key', '{\n  "type": "service_account",\n  "private_key": "a:b"\n}\n'],
    ['Google: an access token', 'oauth2accesstoken', 'ya29.c.b0Aaek'],
    ['Azure: a refresh token', '00000000-0000-0000-0000-000000000000', 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln'],
    ['Harbor: a robot', 'robot$acme+ci', 'Rob0t$ecret'],
    ['Quay: a robot', 'acme+ci', 'ABC123'],
  ])('%s', async (_, username, password) => {
    const seen: (string | undefined)[] = [];
    const service = await opened(
      serve((request, response) => {
        const [scheme, pair = ''] = (request.headers.authorization ?? '').split(' ');
        seen.push(scheme, Buffer.from(pair, 'base64').toString());
        sendJson(response, 200, { token: tokenFor('acme/app') });
      }),
    );
    const registry = await opened(startRegistry({ bearer: { realm: service.url, service: 's' } }));
    const env = { DOCKER_CONFIG: loggedIn({ [registry.host]: `${username}:${password}` }) };
    await registries({ env }).repository({ registry: registry.host, path: 'acme/app' }).findManifest('t');
    expect(seen).toEqual(['Basic', `${username}:${password}`]);
  });

  it('a refresh token of the user <token>, in a store', async () => {
    const forms: string[] = [];
    const service = await opened(
      serve(async (request, response) => {
        forms.push((await readBody(request)).toString());
        sendJson(response, 200, { access_token: tokenFor('acme/app'), token: null, expires_in: null });
      }),
    );
    const registry = await opened(startRegistry({ bearer: { realm: service.url, service: 's' } }));
    const env = { DOCKER_CONFIG: login(registry.host, { identitytoken: 'refresh-me' }) };
    await registries({ env }).repository({ registry: registry.host, path: 'acme/app' }).findManifest('t');
    expect(new URLSearchParams(forms[0]).get('refresh_token')).toBe('refresh-me');
  });

  it('a name and password for Amazon, which knows Basic only', async () => {
    const registry = await opened(startRegistry({ basic: { AWS: 'the:password' } }));
    const env = { DOCKER_CONFIG: loggedIn({ [registry.host]: 'AWS:the:password' }) };
    const client = registries({ env }).repository({ registry: registry.host, path: 'acme/app' });
    await client.putBlob(Buffer.from('x'));
    expect(registry.log.at(-1)?.status).toBe(201);
  });
});

describe('a token service without TLS', () => {
  /** A registry here whose token service has a name that is not known to be this machine. */
  async function elsewhere(insecure: (host: string) => string) {
    const service = await opened(
      serve((_, response) => sendJson(response, 200, { token: tokenFor('acme/app') })),
    );
    const host = `0.0.0.0:${service.port}`;
    const registry = await opened(startRegistry({ bearer: { realm: `http://${host}/token`, service: 's' } }));
    const clients = new Registries({
      env: { PATH: process.env.PATH, DOCKER_CONFIG: loggedIn({ [registry.host]: `ci:${PASSWORD}` }) },
      transport: transport(),
      onSecret: () => {},
      insecure: new Set([insecure(host)]),
    });
    return clients.repository({ registry: registry.host, path: 'acme/app' });
  }

  it('gets a login where its host may be spoken to so', async () => {
    const client = await elsewhere(host => host);
    expect(await client.findManifest('t')).toBeUndefined();
  });

  it('gets none where it is another one that may', async () => {
    const client = await elsewhere(() => 'registry.example.com');
    expect((await failureOf(() => client.findManifest('t'))).code).toBe('registry-unauthorized');
  });
});

it('is said to be missing where a token service gives nothing to strangers', async () => {
  const service = await opened(serve((_, response) => sendJson(response, 401, { message: 'no' })));
  const registry = await opened(startRegistry({ bearer: { realm: service.url, service: 's' } }));
  const client = registries().repository({ registry: registry.host, path: 'acme/app' });
  const error = await failureOf(() => client.findManifest('t'));
  expect(error.code).toBe('registry-unauthorized');
  expect(error.hint).toContain(`Log in to ${registry.host}`);
});
