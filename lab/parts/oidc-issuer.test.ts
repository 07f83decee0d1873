import { createPublicKey, type JsonWebKey, verify } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { readClaims } from './jwt.ts';
import { type OidcIssuer, startOidcIssuer } from './oidc-issuer.ts';

let issuer: OidcIssuer;
afterEach(() => issuer.close());

async function ask(environment: Record<string, string>, audience: string): Promise<Response> {
  return fetch(`${environment.ACTIONS_ID_TOKEN_REQUEST_URL}&audience=${audience}`, {
    headers: { authorization: `Bearer ${environment.ACTIONS_ID_TOKEN_REQUEST_TOKEN}` },
  });
}

test('a token verifies against the published keys and lives five minutes', async () => {
  issuer = await startOidcIssuer();
  const { value } = (await (await ask(issuer.jobEnvironment(), 'sigstore')).json()) as { value: string };
  const discovery = await (await fetch(`${issuer.url}/.well-known/openid-configuration`)).json();
  const { jwks_uri } = discovery as { jwks_uri: string };
  const { keys } = (await (await fetch(jwks_uri)).json()) as { keys: JsonWebKey[] };
  const [header, payload, signature] = value.split('.') as [string, string, string];
  const key = createPublicKey({ key: keys[0] as JsonWebKey, format: 'jwk' });
  expect(
    verify('sha256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url')),
  ).toBe(true);
  const claims = readClaims(value);
  expect(claims).toMatchObject({ iss: issuer.url, aud: 'sigstore', runner_environment: 'github-hosted' });
  expect(Number(claims.exp) - Number(claims.iat)).toBe(300);
  expect(issuer.given).toHaveLength(1);
});

test('each job has claims of its own, and what follows from them is derived', async () => {
  issuer = await startOidcIssuer({ claims: { repository: 'acme/gadget' } });
  const release = issuer.jobEnvironment({ ref: 'refs/tags/v1', sha: 'b'.repeat(40), run_attempt: '2' });
  await ask(release, 'sigstore');
  expect(issuer.given[0]?.claims).toMatchObject({
    sub: 'repo:acme/gadget:ref:refs/tags/v1',
    repository_owner: 'acme',
    ref_type: 'tag',
    job_workflow_ref: 'acme/gadget/.github/workflows/release.yml@refs/tags/v1',
    workflow_sha: 'b'.repeat(40),
    run_attempt: '2',
  });
});

test('subjects know environments, pull requests, colons and immutable names', async () => {
  issuer = await startOidcIssuer({ immutableSubject: true });
  issuer.issue('x', { environment: 'prod:eu' });
  issuer.issue('x', { event_name: 'pull_request' });
  expect(issuer.given.map(token => token.claims.sub)).toEqual([
    'repo:acme@4005/widget@1002003:environment:prod%3Aeu',
    'repo:acme@4005/widget@1002003:pull_request',
  ]);
});

test('without the request token there is no ID token', async () => {
  issuer = await startOidcIssuer();
  const environment = { ...issuer.jobEnvironment(), ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'guessed' };
  expect((await ask(environment, 'sigstore')).status).toBe(401);
  expect(issuer.given).toHaveLength(0);
  expect(issuer.refused).toBe(1);
});
