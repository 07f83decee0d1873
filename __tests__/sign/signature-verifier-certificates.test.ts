import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { ISSUER, type Json, type Making, NAME, newFoundry } from '../servers/signatures.ts';
import { newKeys } from '../servers/x509.ts';

const foundry = newFoundry();
const DIGEST = digestOf(Buffer.from('an image'));
const AT = digestOf(Buffer.from('a referrer'));

const verifier = new SignatureVerifier({ root: foundry.root, keys: [] });

const bytesOf = (bundle: Json): Buffer => Buffer.from(JSON.stringify(bundle));
const bundleOf = (making: Making = {}): Buffer => bytesOf(foundry.bundle(DIGEST, making));

/** Whole seconds, as certificates and logs tell them. */
const ago = (seconds: number): Date => new Date(Math.floor(Date.now() / 1000 - seconds) * 1000);

const SIGNATORY = expect.objectContaining({ kind: 'certificate', identity: { name: NAME, issuer: ISSUER } });
const VALID = { fault: undefined, reason: '' };

describe('a certificate that was seen before', () => {
  const keys = newKeys();
  const notBefore = ago(600);
  const notAfter = ago(300);
  const made = { publicKey: keys.publicKey, name: NAME, issuer: ISSUER, notBefore, notAfter };
  const certificate = foundry.authority.certify(made);
  const signedAt = (loggedAt: Date): Making => ({ keys, certificate, loggedAt });

  it('vouches for other signatures, too', () => {
    for (const time of [ago(500), ago(500), ago(400)]) {
      const bytes = bytesOf(foundry.bundle(DIGEST, signedAt(time)));
      expect(verifier.bundle(bytes, DIGEST, AT)).toMatchObject({ ...VALID, signatory: SIGNATORY });
    }
  });

  it('vouches for nothing outside its time', () => {
    expect(verifier.bundle(bundleOf(signedAt(ago(500))), DIGEST, AT)).toMatchObject(VALID);
    const { fault, reason } = verifier.bundle(bundleOf(signedAt(ago(200))), DIGEST, AT);
    expect(fault).toBe('outside-validity');
    expect(reason).toContain('it was made at');
  });

  it('vouches for no signature of another key', () => {
    expect(verifier.bundle(bundleOf(signedAt(ago(500))), DIGEST, AT)).toMatchObject(VALID);
    const stolen = { keys: newKeys(), certificate, loggedAt: ago(500) };
    expect(verifier.bundle(bundleOf(stolen), DIGEST, AT).fault).toBe('bad-signature');
  });

  it('vouches for no log entry of another key', () => {
    const bundle = foundry.bundle(DIGEST, signedAt(ago(500)));
    expect(verifier.bundle(bytesOf(bundle), DIGEST, AT)).toMatchObject(VALID);
    const [entry] = bundle.verificationMaterial.tlogEntries;
    const body = JSON.parse(Buffer.from(entry.canonicalizedBody, 'base64').toString());
    const other = newKeys().publicKey.export({ type: 'spki', format: 'pem' }).toString();
    body.spec.signatures[0].verifier = Buffer.from(other).toString('base64');
    bundle.verificationMaterial.tlogEntries = [foundry.entry(body, ago(500))];
    expect(verifier.bundle(bytesOf(bundle), DIGEST, AT).fault).toBe('bad-log-entry');
  });
});

describe('a certificate authority', () => {
  it('vouches for nothing that was made after its own time, although the certificate was valid then', () => {
    const validFor = { start: ago(9_000), end: ago(300) };
    const certificateAuthorities = foundry.root.certificateAuthorities.map(one => ({ ...one, validFor }));
    const root = { ...foundry.root, certificateAuthorities };
    const made = { certified: { notBefore: ago(600), notAfter: ago(-600) } };
    const judge = (loggedAt: Date) =>
      new SignatureVerifier({ root, keys: [] }).bundle(bundleOf({ ...made, loggedAt }), DIGEST, AT);
    expect(judge(ago(400))).toMatchObject(VALID);
    expect(judge(ago(100))).toMatchObject({
      fault: 'untrusted',
      reason: expect.stringContaining('when it was made'),
    });
  });
});
