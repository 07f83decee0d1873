import { describe, expect, it } from 'vitest';
import { sendJson, serve } from '../../lab/parts/http.ts';
import { failureOf, opened, registries, SHORT } from '../servers/clients.ts';
import { challenging, login, PASSWORD, protectedRegistry, tokenFor, USER } from '../servers/protected.ts';
import { startRegistry } from '../servers/registry.ts';

describe('a login that is refused', () => {
  it('by the token service is an error with the remedy and without the password', async () => {
    const { client } = await protectedRegistry({ user: { ...USER, password: 'another' } });
    const error = await failureOf(() => client.findManifest('latest'));
    expect(error.code).toBe('registry-unauthorized');
    expect(error.message).toContain('401');
    expect(error.hint).toContain('docker/login-action');
    expect(error.message).not.toContain(PASSWORD);
  });

  it('by missing rights is an error that names the repository', async () => {
    const rights = [{ repository: 'acme/app', actions: ['pull' as const] }];
    const { client } = await protectedRegistry({ user: { ...USER, rights } });
    const error = await failureOf(() => client.putBlob(Buffer.from('x')));
    expect(error.code).toBe('registry-unauthorized');
    expect(error.hint).toContain('/acme/app');
  });

  it('for want of any is an error that says to log in', async () => {
    const { client } = await protectedRegistry({ loggedIn: false });
    const error = await failureOf(() => client.findManifest('latest'));
    expect(error.code).toBe('registry-unauthorized');
    expect(error.hint).toMatch(/docker\/login-action/);
  });

  it.each([
    [429, 'registry-rate-limited'],
    [503, 'registry-unavailable'],
    [400, 'registry-refused'],
  ])('is told apart from a token service that answers %d', async (status, code) => {
    const service = await opened(serve((_, response) => sendJson(response, status, { message: 'no' })));
    const { client } = await challenging({ bearer: { realm: service.url, service: 's' } }, undefined, SHORT);
    expect((await failureOf(() => client.findManifest('latest'))).code).toBe(code);
  });

  it('is not a token service that fails for a moment', async () => {
    let tries = 0;
    const service = await opened(
      serve((_, response) => sendJson(response, ++tries < 3 ? 503 : 200, { token: tokenFor('acme/app') })),
    );
    const { client } = await challenging({ bearer: { realm: service.url, service: 's' } });
    expect(await client.findManifest('latest')).toBeUndefined();
    expect(tries).toBe(3);
  });

  it.each([
    ['{}'],
    ['{"token":""}'],
    ['<html>tok-secret'],
    ['"tok-secret"'],
    ['{"token":["tok-secret"]}'],
    ['tok-secret'],
  ])('is not a token service that answers %s; the answer is not shown', async body => {
    const service = await opened(serve((_, response) => void response.end(body)));
    const { client } = await challenging({ bearer: { realm: service.url, service: 's' } });
    const error = await failureOf(() => client.findManifest('latest'));
    expect(error.code).toBe('registry-unauthorized');
    expect(`${error.message} ${String(error.cause)}`).not.toContain('secret');
  });
});

describe('Basic authentication', () => {
  it('sends the login when the registry asks for it, and from then on', async () => {
    const { registry, client } = await challenging(
      { basic: { ci: 'word' } },
      { auth: Buffer.from('ci:word').toString('base64') },
    );
    await client.findManifest('a');
    await client.findManifest('b');
    expect(registry.log.map(({ status }) => status)).toEqual([401, 404, 404]);
  });

  it('with a wrong password is refused after one try', async () => {
    const { registry, client } = await challenging(
      { basic: { ci: 'word' } },
      { auth: Buffer.from('ci:no').toString('base64') },
    );
    const error = await failureOf(() => client.findManifest('a'));
    expect(error.code).toBe('registry-unauthorized');
    expect(registry.log).toHaveLength(2);
  });
});

describe('what is secret', () => {
  it('is told to whoever masks the log before it is used: password, pair and token', async () => {
    const { registry, client, secrets } = await protectedRegistry();
    await client.findManifest('latest');
    const sent = registry.log.at(-1)?.headers.authorization?.split(' ')[1];
    expect(sent).toBeTruthy();
    expect(secrets).toEqual(
      expect.arrayContaining([PASSWORD, Buffer.from(`ci:${PASSWORD}`).toString('base64'), sent]),
    );
  });

  it('is told for Basic and for refresh tokens too', async () => {
    const registry = await opened(startRegistry({ basic: { ci: 'word' } }));
    const secrets: string[] = [];
    const env = { DOCKER_CONFIG: login(registry.host, { auth: Buffer.from('ci:word').toString('base64') }) };
    await registries({ env, secrets }).repository({ registry: registry.host, path: 'a' }).findManifest('t');
    expect(secrets).toEqual(expect.arrayContaining(['word', Buffer.from('ci:word').toString('base64')]));
    const refreshed: string[] = [];
    const other = { DOCKER_CONFIG: login(registry.host, { identitytoken: 'refresh-me' }) };
    await failureOf(() =>
      registries({ env: other, secrets: refreshed })
        .repository({ registry: registry.host, path: 'a' })
        .findManifest('t'),
    );
    expect(refreshed).toContain('refresh-me');
  });

  it('goes nowhere before somebody asks for it', async () => {
    const { registry, client } = await challenging({});
    await client.findManifest('latest');
    await client.putBlob(Buffer.from('x'));
    expect(registry.log.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  });

  it('of one registry does not go to another', async () => {
    const [mine, other] = [
      await opened(startRegistry({ basic: { ci: PASSWORD } })),
      await opened(startRegistry({ basic: { ci: PASSWORD } })),
    ];
    const clients = registries({ env: { DOCKER_CONFIG: login(mine.host) } });
    await clients.repository({ registry: mine.host, path: 'a' }).findManifest('t');
    await failureOf(() => clients.repository({ registry: other.host, path: 'a' }).findManifest('t'));
    expect(other.log.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it('does not go along with an upload to the storage of another host', async () => {
    const arrived: (string | undefined)[] = [];
    const storage = await opened(
      serve((request, response) => {
        arrived.push(request.headers.authorization);
        request.resume();
        response.writeHead(201).end();
      }),
    );
    const options = { basic: { ci: 'word' }, location: () => `${storage.url}/upload` };
    const { registry, client } = await challenging(options, {
      auth: Buffer.from('ci:word').toString('base64'),
    });
    await client.putBlob(Buffer.from('x'));
    expect(registry.log.at(-1)?.headers.authorization).toMatch(/^Basic /);
    expect(arrived).toEqual([undefined]);
  });

  it('does not follow the token service when it redirects elsewhere', async () => {
    const arrived: (string | undefined)[] = [];
    const elsewhere = await opened(
      serve((request, response) => {
        arrived.push(request.headers.authorization);
        sendJson(response, 200, { token: tokenFor('acme/app') });
      }),
    );
    const service = await opened(
      serve((_, response) => void response.writeHead(302, { location: elsewhere.url }).end()),
    );
    const { client } = await challenging({ bearer: { realm: service.url, service: 's' } });
    await client.findManifest('latest');
    expect(arrived).toEqual([undefined]);
  });
});
