import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { startOidcIssuer } from '../../lab/parts/oidc-issuer.ts';
import { Keyless } from '../../src/sign/keyless.ts';
import { chooseAuthority } from '../../src/sign/services.ts';
import { failureOf, opened, transport } from '../servers/clients.ts';
import { DIGEST, makerOf, setUp } from '../servers/keyless.ts';
import { startSigstore } from '../servers/sigstore.ts';

const CERTIFY = '/api/v2/signingCert';
const EXPIRED = '{"code":16,"message":"token expired"}';
/** As Fulcio itself says it (fulcio, pkg/server/error.go). */
const ILLEGAL = '{"code":3,"message":"There was an error processing the identity token"}';

async function started() {
  const set = await setUp();
  const requests = () => set.sigstore.log.filter(path => path === CERTIFY).length;
  return { ...set, requests };
}

describe('a token that Fulcio does not take', () => {
  it.each([
    [401, EXPIRED],
    [401, ''],
    [400, ILLEGAL],
  ])('(%d %s) gives place to a new one, once', async (status, text) => {
    const { sigstore, create, accept, issuer, requests } = await started();
    sigstore.on(CERTIFY, (_, response) => void response.writeHead(status).end(text), 1);
    const maker = await create();
    expect(accept(await maker.bundle(DIGEST), DIGEST).issuer).toBe(issuer.url);
    expect([issuer.given.length, requests()]).toEqual([2, 2]);
  });

  it('twice is an error that says what Fulcio said', async () => {
    const { sigstore, create, issuer, requests, secrets } = await started();
    sigstore.on(CERTIFY, (_, response) => void response.writeHead(401).end(EXPIRED));
    const error = await failureOf(create);
    expect(error.code).toBe('signing-failed');
    expect(error.message).toContain(`Fulcio (${sigstore.url}) answered 401: ${EXPIRED}`);
    expect(error.hint).toContain('it goes on from here');
    expect(error.hint).toContain(`of ${issuer.url} for the audience "sigstore"`);
    expect(error.hint).toContain('the input "oidc-audience"');
    expect([issuer.given.length, requests(), secrets.length]).toEqual([2, 2, 2]);
  });

  it.each([
    [400, '{"message":"The public key supplied in the request could not be parsed"}'],
    [403, EXPIRED],
    [404, ''],
  ])(
    'for another reason (%d %s) is not the token at fault, and no other is asked for',
    async (status, text) => {
      const { sigstore, create, issuer, requests } = await started();
      sigstore.on(CERTIFY, (_, response) => void response.writeHead(status).end(text));
      const { code, hint } = await failureOf(create);
      expect(code).toBe('signing-failed');
      // No token is at fault where nothing is at this address.
      expect(hint?.includes('oidc-audience')).toBe(status !== 404);
      expect([issuer.given.length, requests()]).toEqual([1, 1]);
    },
  );

  it('does not give place to that of another workflow', async () => {
    const { sigstore, options, issuer } = await started();
    const keyless = new Keyless(options);
    const token = await keyless.identify();
    const claims = { job_workflow_ref: 'acme/other/.github/workflows/x.yml@refs/heads/main' };
    Object.assign(options.env, issuer.jobEnvironment(claims));
    sigstore.on(CERTIFY, (_, response) => sendJson(response, 401, {}), 1);
    const error = await failureOf(() => keyless.createSigner(token));
    expect(error.code).toBe('signing-failed');
    expect(error.message).toContain('names https://github.com/acme/other/');
  });
});

/** An issuer whose tokens are good for so many seconds. */
async function lasting(lifetime: number) {
  const [issuer, sigstore] = await Promise.all([
    opened(startOidcIssuer({ lifetime })),
    opened(startSigstore()),
  ]);
  const by = transport();
  const options = {
    env: issuer.jobEnvironment(),
    authority: chooseAuthority(sigstore.config, new Date()),
    audience: 'sigstore',
    transport: by,
    onSecret: () => {},
  };
  return { issuer, sigstore, keyless: new Keyless(options), by };
}

describe('a token', () => {
  it.each([
    [300, 119, 1],
    [300, 121, 2],
    [60, 29, 1],
    [60, 31, 2],
    [0, 0, 2],
    [-60, 0, 2],
  ])('that is good for %d s is, after %d s, one of %d', async (lifetime, age, tokens) => {
    const { issuer, keyless } = await lasting(lifetime);
    const token = await keyless.identify();
    await keyless.createSigner({ ...token, received: token.received - age * 1000 });
    expect(issuer.given).toHaveLength(tokens);
  });

  it('that has expired already is left to Fulcio to judge: it may be our clock', async () => {
    const { sigstore, keyless, by } = await lasting(-60);
    const maker = makerOf(await keyless.createSigner(await keyless.identify()), sigstore, by);
    expect(await maker.bundle(DIGEST)).toBeInstanceOf(Buffer);
  });
});
