import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { type Json, newFoundry } from '../servers/signatures.ts';
import { newKeys, pem } from '../servers/x509.ts';

const foundry = newFoundry();
const DIGEST = digestOf(Buffer.from('an image'));
const AT = digestOf(Buffer.from('a referrer'));

const verifier = new SignatureVerifier({ root: foundry.root, keys: [] });

const bytesOf = (bundle: Json): Buffer => Buffer.from(JSON.stringify(bundle));
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const VALID = { fault: undefined, reason: '' };

describe('a log entry of any kind', () => {
  /** The kinds that logs have had for an envelope, each with what it says of it. */
  const KINDS: Readonly<Record<string, (signed: Signed) => Json>> = {
    'dsse 0.0.1': ({ hash, sig, pemText }) => ({
      payloadHash: { algorithm: 'sha256', value: hash.toString('hex') },
      signatures: [{ signature: sig, verifier: base64(pemText) }],
    }),
    'dsse 0.0.2': ({ hash, sig, verifier: named }) => ({
      dsseV002: {
        payloadHash: { algorithm: 'SHA2_256', digest: hash.toString('base64') },
        signatures: [{ content: sig, verifier: named }],
      },
    }),
    'intoto 0.0.2': ({ hash, sig, pemText }) => ({
      content: {
        envelope: { signatures: [{ sig: base64(sig), publicKey: base64(pemText) }] },
        payloadHash: { algorithm: 'sha256', value: hash.toString('hex') },
      },
    }),
  };

  interface Signed {
    readonly hash: Buffer;
    /** Base64. */
    readonly sig: string;
    readonly pemText: string;
    readonly verifier: Json;
  }

  /** A bundle whose entry is of this kind and names this key. */
  function entered(kindAndVersion: string, keyOf: (rawBytes: string) => [pem: string, named: Json]): Buffer {
    const [kind, apiVersion] = kindAndVersion.split(' ');
    const bundle = foundry.bundle(DIGEST);
    const { payload, signatures } = bundle.dsseEnvelope;
    const [pemText, named] = keyOf(bundle.verificationMaterial.certificate.rawBytes);
    const hash = createHash('sha256').update(Buffer.from(payload, 'base64')).digest();
    const spec = KINDS[kindAndVersion]?.({ hash, sig: signatures[0].sig, pemText, verifier: named });
    bundle.verificationMaterial.tlogEntries = [foundry.entry({ kind, apiVersion, spec })];
    return bytesOf(bundle);
  }

  it.each(Object.keys(KINDS))('is taken where it names the key: %s', kind => {
    const bytes = entered(kind, rawBytes => [
      pem(Buffer.from(rawBytes, 'base64')),
      { x509Certificate: { rawBytes } },
    ]);
    expect(verifier.bundle(bytes, DIGEST, AT)).toMatchObject(VALID);
  });

  it.each(Object.keys(KINDS))('is refused where it names another key: %s', kind => {
    const { publicKey } = newKeys();
    const rawBytes = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    const text = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const bytes = entered(kind, () => [text, { publicKey: { rawBytes } }]);
    expect(verifier.bundle(bytes, DIGEST, AT)).toMatchObject({
      fault: 'bad-log-entry',
      reason: expect.stringContaining('of another key'),
    });
  });

  it.each(Object.keys(KINDS))('is refused where it names none: %s', kind => {
    const bytes = entered(kind, () => ['', {}]);
    expect(verifier.bundle(bytes, DIGEST, AT)).toMatchObject({
      fault: 'bad-log-entry',
      reason: expect.stringContaining('names no key'),
    });
  });
});
