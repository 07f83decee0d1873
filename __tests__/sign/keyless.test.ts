import { describe, expect, it } from 'vitest';
import { startFaultProxy } from '../../lab/parts/fault-proxy.ts';
import { sendJson } from '../../lab/parts/http.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { Keyless } from '../../src/sign/keyless.ts';
import { SignatureMaker } from '../../src/sign/maker.ts';
import { failureOf, opened } from '../servers/clients.ts';
import { type BundleJson, DIGEST, setUp } from '../servers/keyless.ts';

describe('a keyless signature', () => {
  it('verifies, and says who made it', async () => {
    const { issuer, create, accept } = await setUp();
    const signer = await create();
    const identity = {
      name: 'https://github.com/acme/widget/.github/workflows/release.yml@refs/heads/main',
      issuer: issuer.url,
    };
    expect(accept(await signer.bundle(DIGEST), DIGEST)).toEqual(identity);
    expect(signer.signatory).toMatchObject({ kind: 'certificate', identity });
  });

  it('costs one token and one certificate, however many there are', async () => {
    const { issuer, sigstore, create, accept } = await setUp();
    const signer = await create();
    const digests = Array.from({ length: 10 }, (_, number) => digestOf(Buffer.from(`image ${number}`)));
    const bundles = await Promise.all(digests.map(digest => signer.bundle(digest)));
    for (const [position, digest] of digests.entries()) accept(bundles[position] as Buffer, digest);
    expect(issuer.given).toHaveLength(1);
    expect(issuer.given[0]?.audience).toBe('sigstore');
    expect(sigstore.log.filter(path => path.includes('signingCert'))).toHaveLength(1);
    expect(sigstore.log.filter(path => path.includes('entries'))).toHaveLength(10);
  });

  it('is a bundle of version 0.3 with a single certificate', async () => {
    const { create } = await setUp();
    const document = JSON.parse((await (await create()).bundle(DIGEST)).toString());
    expect(document.mediaType).toBe('application/vnd.dev.sigstore.bundle.v0.3+json');
    expect(Object.keys(document.verificationMaterial)).toContain('certificate');
    expect(document.verificationMaterial.tlogEntries).toHaveLength(1);
  });

  it('gets through faults that pass', async () => {
    const { issuer, sigstore, options, accept } = await setUp();
    const proxy = await opened(startFaultProxy({ target: sigstore.url }));
    proxy.fail({ on: n => n % 2 === 1, action: { status: 503 } });
    const front = await opened(startFaultProxy({ target: issuer.url }));
    front.fail({ on: 1, action: { status: 429, headers: { 'retry-after': '0' } } });
    front.fail({ on: 1, action: { reset: 'before' } });
    const url = new URL(proxy.url);
    const keyless = new Keyless({ ...options, authority: url, env: issuer.jobEnvironment({}, front.url) });
    const witnesses = { logs: [{ url, version: 1 as const }], timestampAuthorities: [] };
    const signer = new SignatureMaker({
      signer: await keyless.createSigner(await keyless.identify()),
      witnessesOf: () => witnesses,
      annotations: {},
      transport: options.transport,
    });
    expect(accept(await signer.bundle(DIGEST), DIGEST).issuer).toBe(issuer.url);
  });

  it('hands the token to whoever masks the log', async () => {
    const { secrets, create } = await setUp();
    await create();
    expect(secrets).toHaveLength(1);
    expect(secrets[0]).toMatch(/^ey[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  it('takes a new token where the first has grown old meanwhile', async () => {
    const { options, issuer } = await setUp();
    const keyless = new Keyless(options);
    const token = await keyless.identify();
    await keyless.createSigner({ ...token, received: token.received - 121_000 });
    expect(issuer.given).toHaveLength(2);
    await keyless.createSigner(token);
    expect(issuer.given).toHaveLength(2);
  });

  it('is made with a key that is made for it alone', async () => {
    const { create } = await setUp();
    const [one, two] = [await create(), await create()];
    const [first, second] = (await Promise.all([one.bundle(DIGEST), two.bundle(DIGEST)])).map(bundle =>
      JSON.parse(bundle.toString()),
    );
    const rawOf = (bundle: BundleJson): string => bundle.verificationMaterial.certificate.rawBytes;
    expect(rawOf(first)).not.toBe(rawOf(second));
  });
});

describe('a Sigstore that does not sign', () => {
  it.each([
    ['/api/v2/signingCert', 'Fulcio'],
    ['/api/v1/log/entries', 'Rekor'],
  ])('at %s is an error that names the service and what it said', async (path, name) => {
    const { sigstore, create } = await setUp();
    sigstore.on(path, (_, response) => sendJson(response, 400, { message: 'not today' }));
    const error = await failureOf(async () => (await create()).bundle(DIGEST));
    expect(error.code).toBe('signing-failed');
    expect(error.message).toContain(name);
    expect(error.message).toContain('400');
    expect(error.message).toContain('not today');
    expect(error.hint).toContain('No tag was moved');
  });

  it.each([
    '',
    '{}',
    'null',
    '{"signedCertificateEmbeddedSct":{"chain":{"certificates":[]}}}',
    '{"signedCertificateEmbeddedSct":{"chain":{"certificates":["x"]}}}',
  ])('because Fulcio answers %j is an error', async body => {
    const { sigstore, create } = await setUp();
    sigstore.on('/api/v2/signingCert', (_, response) => void response.end(body));
    expect((await failureOf(create)).code).toBe('signing-failed');
  });

  it.each(['', '{}', 'null', '{"uuid":{}}', '[]'])('because Rekor answers %j is an error', async body => {
    const { sigstore, create } = await setUp();
    sigstore.on('/api/v1/log/entries', (_, response) => void response.end(body));
    expect((await failureOf(async () => (await create()).bundle(DIGEST))).code).toBe('signing-failed');
  });

  it('never gets its token into an error, also where Fulcio sends back what it was sent', async () => {
    const { sigstore, secrets, create } = await setUp();
    sigstore.on('/api/v2/signingCert', (body, response) => sendJson(response, 400, body));
    const error = await failureOf(create);
    const [token = ''] = secrets;
    expect(token).not.toBe('');
    // Cut short it would not be masked either.
    for (const part of token.split('.')) expect(error.message).not.toContain(part.slice(0, 20));
  });
});
