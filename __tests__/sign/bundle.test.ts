import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { descriptorOf, manifestContent } from '../../src/oci/manifest.ts';
import { uploadBundle } from '../../src/sign/bundle.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { clientOf, failureOf, opened } from '../servers/clients.ts';
import { made, pushImage, TYPES } from '../servers/images.ts';
import { acceptedBy, type BundleJson, base64, DIGEST, setUp, tampered } from '../servers/keyless.ts';
import { startRegistry } from '../servers/registry.ts';
import { startSigstore } from '../servers/sigstore.ts';

describe('a signature that is not valid', () => {
  it('for this digest is refused', async () => {
    const { create, accept } = await setUp();
    const bundle = await (await create()).bundle(DIGEST);
    const error = await failureOf(() => accept(bundle, digestOf(Buffer.from('another image'))));
    expect(error.code).toBe('signature-unverified');
    expect(error.message).toContain('another image than the one');
  });

  it('for a root that does not know its authority is refused', async () => {
    const { create } = await setUp();
    const other = await opened(startSigstore());
    const bundle = await (await create()).bundle(DIGEST);
    const foreign = acceptedBy(new SignatureVerifier({ root: other.root, keys: [] }));
    expect((await failureOf(() => foreign(bundle, DIGEST))).message).toMatch(/^untrusted: /);
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
    const { create, accept } = await setUp();
    const bundle = tampered(await (await create()).bundle(DIGEST), change);
    const error = await failureOf(() => accept(bundle, DIGEST));
    expect(error.code).toBe('signature-unverified');
  });

  it.each([
    '',
    '{}',
    'null',
    '[]',
    '"bundle"',
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}',
  ])('because %j is no bundle is refused', async text => {
    const { accept } = await setUp();
    expect((await failureOf(() => accept(Buffer.from(text), DIGEST))).message).toMatch(/^illegible: /);
  });

  it('because it is about bytes and states nothing is refused', async () => {
    const { create, accept } = await setUp();
    const bundle = tampered(await (await create()).bundle(DIGEST), document => {
      delete document.dsseEnvelope;
      const digest = createHash('sha256').update('x').digest('base64');
      document.messageSignature = {
        messageDigest: { algorithm: 'SHA2_256', digest },
        signature: base64('x'),
      };
    });
    const error = await failureOf(() => accept(bundle, DIGEST));
    expect(error.code).toBe('signature-unverified');
    expect(error.message).toContain('no statement');
  });
});

it('an attached bundle looks as cosign 3 writes it', async () => {
  const { create } = await setUp();
  const registry = await opened(startRegistry({ referrers: 'api' }));
  const contents = registry.repository('acme/app');
  const { root } = pushImage(contents);
  const image = descriptorOf(manifestContent(root.bytes, TYPES.index));
  const bundle = await (await create()).bundle(image.digest);
  const { referrer, attach } = await uploadBundle(clientOf(registry), image, bundle);
  expect(contents.manifests.has(referrer.digest)).toBe(false);
  await attach();
  const stored = contents.manifests.get(referrer.digest)?.bytes.toString() ?? '';
  const type = 'application/vnd.dev.sigstore.bundle.v0.3+json';
  expect(JSON.parse(stored)).toEqual({
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    artifactType: type,
    config: made('application/vnd.oci.empty.v1+json', '{}').descriptor,
    layers: [made(type, bundle.toString()).descriptor],
    subject: { mediaType: image.mediaType, digest: image.digest, size: image.size },
    annotations: {
      'dev.sigstore.bundle.content': 'dsse-envelope',
      'dev.sigstore.bundle.predicateType': 'https://sigstore.dev/cosign/sign/v1',
    },
  });
});
