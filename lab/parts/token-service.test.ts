import { afterEach, beforeEach, expect, test } from 'vitest';
import { readClaims } from './jwt.ts';
import { startTokenService, type TokenService } from './token-service.ts';

let service: TokenService;

beforeEach(async () => {
  service = await startTokenService({
    users: {
      writer: { password: 'w:w', rights: [{ repository: 'acme/*', actions: ['pull', 'push'] }] },
      reader: { password: 'r', rights: [{ repository: '*', actions: ['pull'] }] },
    },
    lifetime: 60,
  });
});
afterEach(() => service.close());

function ask(scopes: readonly string[], credentials?: string): Promise<Response> {
  const query = new URLSearchParams({ service: service.service });
  for (const scope of scopes) query.append('scope', scope);
  const authorization = `Basic ${Buffer.from(credentials ?? '').toString('base64')}`;
  return fetch(`${service.realm}?${query}`, credentials === undefined ? {} : { headers: { authorization } });
}

async function access(response: Response): Promise<unknown> {
  const { token, expires_in } = (await response.json()) as { token: string; expires_in: number };
  expect(expires_in).toBe(60);
  return readClaims(token).access;
}

test('the access list is what was asked for and may be had', async () => {
  const scopes = ['repository:acme/app:pull,push', 'repository:other/app:pull,push'];
  expect(await access(await ask(scopes, 'writer:w:w'))).toEqual([
    { type: 'repository', name: 'acme/app', actions: ['pull', 'push'] },
  ]);
  expect(await access(await ask(scopes, 'reader:r'))).toEqual([
    { type: 'repository', name: 'acme/app', actions: ['pull'] },
    { type: 'repository', name: 'other/app', actions: ['pull'] },
  ]);
});

test('a wrong password and an unknown user are refused', async () => {
  expect((await ask(['repository:acme/app:pull'], 'writer:wrong')).status).toBe(401);
  expect((await ask(['repository:acme/app:pull'], 'nobody:w')).status).toBe(401);
  expect((await ask(['repository:acme/app:pull'])).status).toBe(401);
  expect(service.requests.map(request => request.status)).toEqual([401, 401, 401]);
});

test('OAuth 2 password grants are served by POST', async () => {
  const body = new URLSearchParams({
    grant_type: 'password',
    service: service.service,
    scope: 'repository:acme/app:push repository:127.0.0.1:5000/x:pull',
    username: 'writer',
    password: 'w:w',
  });
  expect(await access(await fetch(service.realm, { method: 'POST', body }))).toEqual([
    { type: 'repository', name: 'acme/app', actions: ['push'] },
  ]);
});

test('anonymous callers have the rights that they were given', async () => {
  await service.close();
  service = await startTokenService({
    users: {},
    anonymous: [{ repository: 'public/app', actions: ['pull'] }],
    lifetime: 60,
  });
  const scopes = ['repository:public/app:pull,push', 'repository:acme/app:pull'];
  expect(await access(await ask(scopes))).toEqual([
    { type: 'repository', name: 'public/app', actions: ['pull'] },
  ]);
});
