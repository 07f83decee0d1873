import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { BundleVerifier } from '../../src/sign/verify.ts';
import { failureOf, opened } from '../servers/clients.ts';
import { type BundleJson, base64, DIGEST, setUp, tampered } from '../servers/keyless.ts';
import { startSigstore } from '../servers/sigstore.ts';

describe('a signature that is not valid', () => {
  it('for this digest is refused', async () => {
    const { create, verifier } = await setUp();
    const bundle = await (await create()).sign(DIGEST);
    const error = await failureOf(() => verifier.verify(bundle, digestOf(Buffer.from('another image'))));
    expect(error.code).toBe('signature-unverified');
    expect(error.message).toContain('another image than the one');
  });

  it('for a root that does not know its authority is refused', async () => {
    const { create } = await setUp();
    const other = await opened(startSigstore());
    const bundle = await (await create()).sign(DIGEST);
    expect((await failureOf(() => new BundleVerifier(other.root).verify(bundle, DIGEST))).code).toBe(
      'signature-unverified',
    );
  });

  it.each<[string, (document: BundleJson) => void]>([
    [
      'another signature',
      document => {
        document.dsseEnvelope.signatures[0].sig = base64('x');
      },
    ],
    [
      'another payload',
      document => {
        document.dsseEnvelope.payload = base64('{}');
      },
    ],
    [
      'another payload type',
      document => {
        document.dsseEnvelope.payloadType = 'text/plain';
      },
    ],
    [
      'no log entry',
      document => {
        document.verificationMaterial.tlogEntries = [];
      },
    ],
    [
      'no proof',
      document => {
        delete document.verificationMaterial.tlogEntries[0].inclusionProof;
      },
    ],
    [
      'another time',
      document => {
        document.verificationMaterial.tlogEntries[0].integratedTime = '5';
      },
    ],
    [
      'another log',
      document => {
        document.verificationMaterial.tlogEntries[0].logId.keyId = base64('x'.repeat(32));
      },
    ],
    [
      'another body',
      document => {
        document.verificationMaterial.tlogEntries[0].canonicalizedBody = base64('{}');
      },
    ],
    [
      'another checkpoint',
      document => {
        document.verificationMaterial.tlogEntries[0].inclusionProof.checkpoint.envelope =
          'a\n1\nAA==\n\n— a AAAAAAAA\n';
      },
    ],
    [
      'no certificate',
      document => {
        delete document.verificationMaterial.certificate;
      },
    ],
    [
      'an illegible certificate',
      document => {
        document.verificationMaterial.certificate.rawBytes = base64('x');
      },
    ],
    [
      'no content',
      document => {
        delete document.dsseEnvelope;
      },
    ],
  ])('because it has %s is refused', async (_, change) => {
    const { create, verifier } = await setUp();
    const bundle = tampered(await (await create()).sign(DIGEST), change);
    const error = await failureOf(() => verifier.verify(bundle, DIGEST));
    expect(['signature-unverified', 'invalid-document']).toContain(error.code);
  });

  it.each([
    '',
    '{}',
    'null',
    '[]',
    '"bundle"',
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}',
  ])('because %j is no bundle is refused', async text => {
    const { verifier } = await setUp();
    expect((await failureOf(() => verifier.verify(Buffer.from(text), DIGEST))).code).toBe('invalid-document');
  });

  it('because it is about bytes and states nothing is refused', async () => {
    const { create, verifier } = await setUp();
    const bundle = tampered(await (await create()).sign(DIGEST), document => {
      delete document.dsseEnvelope;
      const digest = createHash('sha256').update('x').digest('base64');
      document.messageSignature = {
        messageDigest: { algorithm: 'SHA2_256', digest },
        signature: base64('x'),
      };
    });
    const error = await failureOf(() => verifier.verify(bundle, DIGEST));
    expect(error.code).toBe('signature-unverified');
    expect(error.message).toContain('no statement');
  });
});
