import { describe, expect, it } from 'vitest';
import { sendJson, serve } from '../../lab/parts/http.ts';
import { signWithSecret } from '../../lab/parts/jwt.ts';
import { startOidcIssuer } from '../../lab/parts/oidc-issuer.ts';
import { fetchIdentityToken, requireIdTokenPermission } from '../../src/sign/identity-token.ts';
import { FAST, failureOf, opened, transport } from '../servers/clients.ts';

const environment = (url: string) => ({
  ACTIONS_ID_TOKEN_REQUEST_URL: `${url}/token?api-version=2.0`,
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'bearer',
});

const ask = (server: { url: string }, retry = FAST, onSecret: (secret: string) => void = () => {}) =>
  fetchIdentityToken({
    env: environment(server.url),
    audience: 'sigstore',
    transport: transport({ retry }),
    onSecret,
  });

/** An issuer that answers with this. */
async function answering(status: number, body: string) {
  const secrets: string[] = [];
  const server = await opened(serve((_, response) => void response.writeHead(status).end(body)));
  const fetch = () => ask(server, { budget: 5, base: 1, longest: 1 }, secret => secrets.push(secret));
  return { secrets, fetch };
}

describe('the identity token of a job', () => {
  it('is asked for Sigstore, with the query that the runner gave', async () => {
    const issuer = await opened(startOidcIssuer());
    const secrets: string[] = [];
    const { token, subject, identity } = await fetchIdentityToken({
      env: issuer.jobEnvironment(),
      audience: 'sigstore',
      transport: transport(),
      onSecret: secret => secrets.push(secret),
    });
    expect(issuer.given).toHaveLength(1);
    expect(issuer.given[0]?.audience).toBe('sigstore');
    expect(subject).toBe('repo:acme/widget:ref:refs/heads/main');
    const name = 'https://github.com/acme/widget/.github/workflows/release.yml@refs/heads/main';
    expect(identity).toEqual({ name, issuer: issuer.url });
    expect(secrets).toEqual([token]);
  });

  it.each([
    [{ sub: 'me' }, 'me'],
    [{ sub: 'me', email: 'me@example.com' }, 'me@example.com'],
    [{ sub: 'me', email: 'me@example.com', email_verified: true }, 'me@example.com'],
  ])('with the claims %j is about %s', async (claims, subject) => {
    const { fetch } = await answering(
      200,
      JSON.stringify({ value: signWithSecret({ iss: 'i', ...claims }, 's') }),
    );
    expect((await fetch()).subject).toBe(subject);
  });

  it.each([
    {},
    { ACTIONS_ID_TOKEN_REQUEST_URL: 'https://x/' },
    { ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'x' },
    { ACTIONS_ID_TOKEN_REQUEST_URL: '', ACTIONS_ID_TOKEN_REQUEST_TOKEN: '' },
  ])(
    'is not to be had in a job without the permission: the error says which lines to add (%j)',
    async env => {
      const error = await failureOf(() => requireIdTokenPermission(env));
      expect(error.code).toBe('no-id-token');
      expect(error.hint).toContain('id-token: write');
      expect(error.hint).toContain('sign: none');
    },
  );

  it('with an address that is none is an error of ours', async () => {
    const env = { ACTIONS_ID_TOKEN_REQUEST_URL: 'nonsense', ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'x' };
    expect((await failureOf(() => requireIdTokenPermission(env))).code).toBe('no-id-token');
  });

  it.each([
    [401, 'no-id-token'],
    [403, 'no-id-token'],
    [429, 'signing-failed'],
    [500, 'signing-failed'],
  ])('that the issuer refuses with %d is %s, with its words', async (status, code) => {
    const { fetch } = await answering(status, '{"message":"not for you"}');
    const error = await failureOf(fetch);
    expect(error.code).toBe(code);
    expect(error.message).toContain('not for you');
  });

  it.each([
    '',
    '{}',
    '{"value":""}',
    '{"value":5}',
    '{"value":{"a":"sEcReT"}}',
    '"sEcReT.sEcReT"',
    'sEcReT',
    '[]',
  ])('that is missing in the answer %j is an error without the answer', async body => {
    const { fetch } = await answering(200, body);
    const error = await failureOf(fetch);
    expect(error.code).toBe('no-id-token');
    expect(`${error.message} ${String(error.cause)}`).not.toContain('sEcReT');
  });

  it.each([
    'sEcReT',
    'a.sEcReT.b',
    `a.${Buffer.from('sEcReT').toString('base64url')}.b`,
    `a.${Buffer.from('{"sub":["sEcReT"]}').toString('base64url')}.b`,
    `a.${Buffer.from('"sEcReT"').toString('base64url')}.b`,
  ])('that is illegible is masked and not shown: %s', async value => {
    const { secrets, fetch } = await answering(200, JSON.stringify({ value }));
    const error = await failureOf(fetch);
    expect(error.code).toBe('no-id-token');
    expect(`${error.message} ${String(error.cause)}`).not.toContain('sEcReT');
    expect(secrets).toEqual([value]);
  });

  it('comes in spite of a fault that passes', async () => {
    let tries = 0;
    const value = signWithSecret({ iss: 'i', sub: 'me' }, 's');
    const server = await opened(
      serve((_, response) => sendJson(response, ++tries < 3 ? 503 : 200, { value })),
    );
    expect((await ask(server)).subject).toBe('me');
  });
});
