import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { Keyless } from '../../src/sign/keyless.ts';
import { failureOf, transport } from '../servers/clients.ts';
import { DIGEST, makerOf, setUp as startKeyless } from '../servers/keyless.ts';
import { pem } from '../servers/x509.ts';

const RELEASE = 'https://github.com/acme/widget/.github/workflows/release.yml@refs/heads/main';
const OTHER = 'https://github.com/acme/widget/other/.github/workflows/release.yml@refs/heads/main';
const OTHER_CLAIM = 'acme/widget/other/.github/workflows/release.yml@refs/heads/main';

/** A Fulcio whose certificates live so many seconds, and name these, the last again and again. It refuses for `no`. */
async function setUp(seconds: readonly number[], names: readonly string[] = [RELEASE]) {
  const set = await startKeyless();
  const { sigstore, issuer } = set;
  let given = 0;
  const nth = <T>(values: readonly T[]): T => values[Math.min(given, values.length - 1)] as T;
  sigstore.on('/api/v2/signingCert', (body, response) => {
    const request = body as unknown as { publicKeyRequest: { publicKey: { content: string } } };
    if (nth(names) === 'no') {
      given++;
      return sendJson(response, 400, { message: 'not now' });
    }
    const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000);
    const certificate = sigstore.authority.certify({
      publicKey: createPublicKey(request.publicKeyRequest.publicKey.content),
      name: nth(names),
      issuer: issuer.url,
      notBefore,
      notAfter: new Date(notBefore.getTime() + nth(seconds) * 1000),
    });
    given++;
    sendJson(response, 200, {
      signedCertificateEmbeddedSct: { chain: { certificates: [pem(certificate)] } },
    });
  });
  const certificates = () => sigstore.log.filter(path => path === '/api/v2/signingCert').length;
  return { ...set, certificates };
}

describe('a certificate', () => {
  it('that is over is renewed, once for all that wait, by a token of its own', async () => {
    const { create, accept, certificates, issuer } = await setUp([0, 600]);
    const maker = await create();
    const digests = Array.from({ length: 5 }, (_, n) => digestOf(Buffer.from(`image ${n}`)));
    const bundles = await Promise.all(digests.map(digest => maker.bundle(digest)));
    for (const [position, digest] of digests.entries())
      expect(accept(bundles[position] as Buffer, digest).name).toBe(RELEASE);
    expect(certificates()).toBe(2);
    expect(issuer.given).toHaveLength(2);
  });

  it('that lives long enough is not', async () => {
    const { create, certificates } = await setUp([600]);
    const maker = await create();
    await maker.bundle(DIGEST);
    await maker.bundle(DIGEST);
    expect(certificates()).toBe(1);
  });

  it('is used for half of its life, however long a request may be tried', async () => {
    const { options, sigstore, certificates } = await setUp([600]);
    const patient = transport({ retry: { budget: 3_600_000, base: 1, longest: 1 } });
    const keyless = new Keyless({ ...options, transport: patient });
    const maker = makerOf(await keyless.createSigner(await keyless.identify()), sigstore, patient);
    await maker.bundle(DIGEST);
    expect(certificates()).toBe(1);
  });

  it('for somebody else does not take the place of the one that ran out', async () => {
    const { create, sigstore, issuer, options } = await setUp([0, 600], [RELEASE, OTHER]);
    const maker = await create();
    // The second token is of the other workflow too, so that its certificate fits it.
    Object.assign(options.env, issuer.jobEnvironment({ job_workflow_ref: OTHER_CLAIM }));
    const error = await failureOf(() => maker.bundle(DIGEST));
    expect(error.code).toBe('signing-failed');
    expect(error.message).toContain(OTHER);
    expect(sigstore.log).not.toContain('/api/v1/log/entries');
  });

  it('that could not be renewed is asked for again by the next signature', async () => {
    const { create, accept } = await setUp([0, 600, 600], [RELEASE, 'no', RELEASE]);
    const maker = await create();
    expect((await failureOf(() => maker.bundle(DIGEST))).message).toContain('not now');
    expect(accept(await maker.bundle(DIGEST), DIGEST).name).toBe(RELEASE);
  });
});
