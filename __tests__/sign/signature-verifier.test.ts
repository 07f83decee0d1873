import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import type { SignatureFault } from '../../src/sign/finding.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { claim } from '../servers/certification.ts';
import { ISSUER, type Json, type Making, NAME, newFoundry, statementOf } from '../servers/signatures.ts';
import { newKeys } from '../servers/x509.ts';

const foundry = newFoundry();
const stranger = newFoundry();
const DIGEST = digestOf(Buffer.from('an image'));
const OTHER = digestOf(Buffer.from('another image'));
const AT = digestOf(Buffer.from('a referrer'));

const verifier = new SignatureVerifier({ root: foundry.root, keys: [] });

const bytesOf = (bundle: Json): Buffer => Buffer.from(JSON.stringify(bundle));
const bundleOf = (making: Making = {}): Buffer => bytesOf(foundry.bundle(DIGEST, making));

/** A bundle with something changed. */
function changed(change: (bundle: Json) => void, making: Making = {}): Buffer {
  const bundle = foundry.bundle(DIGEST, making);
  change(bundle);
  return bytesOf(bundle);
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Whole seconds, as certificates and logs tell them. */
const ago = (seconds: number): Date => new Date(Math.floor(Date.now() / 1000 - seconds) * 1000);

const CLAIMS = {
  sourceRepository: undefined,
  sourceRevision: undefined,
  sourceRef: undefined,
  buildConfig: undefined,
  run: undefined,
};
const SIGNATORY = { kind: 'certificate', identity: { name: NAME, issuer: ISSUER }, claims: CLAIMS };
const VALID = { fault: undefined, reason: '' };

describe('a bundle with a certificate', () => {
  it.each<[string, Buffer]>([
    ['a log promises it', bundleOf()],
    ['a log and a clock have seen it', bundleOf({ stampedAt: new Date() })],
    ['a log that tells no time and a clock have seen it', bundleOf({ logVersion: 2, stampedAt: new Date() })],
    ...['.v0.3+json', '+json;version=0.3', '+json;version=0.2', '+json;version=0.1'].map(
      (version): [string, Buffer] => [
        `it is of the type ${version}`,
        changed(bundle => {
          bundle.mediaType = `application/vnd.dev.sigstore.bundle${version}`;
        }),
      ],
    ),
    [
      'it is of the first version and has a promise only',
      changed(bundle => {
        bundle.mediaType = 'application/vnd.dev.sigstore.bundle+json;version=0.1';
        bundle.verificationMaterial.tlogEntries[0].inclusionProof = undefined;
      }),
    ],
    [
      'its certificate stands in a chain, as in older ones',
      changed(({ verificationMaterial: material }) => {
        material.x509CertificateChain = { certificates: [material.certificate] };
        material.certificate = undefined;
      }),
    ],
  ])('is valid where %s', (_, bytes) => {
    expect(verifier.bundle(bytes, DIGEST, AT)).toEqual({
      ...VALID,
      format: 'bundle',
      digest: AT,
      signatory: SIGNATORY,
      annotations: { by: 'hand' },
      isExact: expect.any(Boolean),
    });
  });

  it('says of the run what its certificate says', () => {
    const extensions = [12, 13, 14, 18, 21].map(number => claim(number, `claim ${number}`));
    const { signatory } = verifier.bundle(bundleOf({ certified: { extensions } }), DIGEST, AT);
    expect(signatory).toEqual({
      ...SIGNATORY,
      claims: {
        sourceRepository: 'claim 12',
        sourceRevision: 'claim 13',
        sourceRef: 'claim 14',
        buildConfig: 'claim 18',
        run: 'claim 21',
      },
    });
  });
});

/** Takes the log entry of another bundle. */
function withEntryOf(other: Json): Buffer {
  return changed(bundle => {
    bundle.verificationMaterial.tlogEntries = other.verificationMaterial.tlogEntries;
  });
}

const entryOf = (bundle: Json): Json => bundle.verificationMaterial.tlogEntries[0];
const stampsOf = (bundle: Json): Json => bundle.verificationMaterial.timestampVerificationData;

/** The same signature under the name of another key. */
function withSubstitutedKey(): Buffer {
  const bundle = foundry.bundle(DIGEST);
  const body = JSON.parse(Buffer.from(entryOf(bundle).canonicalizedBody, 'base64').toString());
  body.spec.signatures[0].verifier = base64(
    newKeys().publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  );
  bundle.verificationMaterial.tlogEntries = [foundry.entry(body)];
  return bytesOf(bundle);
}

describe('a bundle with a certificate is refused, and it is said why', () => {
  it.each<[string, SignatureFault, string, Buffer]>([
    [
      'another payload',
      'bad-signature',
      'over this content',
      changed(bundle => {
        bundle.dsseEnvelope.payload = base64(JSON.stringify(statementOf(OTHER)));
      }),
    ],
    [
      'a signature by another key',
      'bad-signature',
      'over this content',
      changed(bundle => {
        bundle.dsseEnvelope.signatures = foundry.bundle(DIGEST).dsseEnvelope.signatures;
      }),
    ],
    [
      'the certificate of somebody else',
      'bad-signature',
      'over this content',
      changed(bundle => {
        bundle.verificationMaterial.certificate = foundry.bundle(DIGEST).verificationMaterial.certificate;
      }),
    ],
    [
      'another Sigstore',
      'untrusted',
      'no certificate authority of the trusted root',
      bytesOf(stranger.bundle(DIGEST)),
    ],
    [
      'a certificate that no log has seen',
      'untrusted',
      'no certificate log of the trusted root',
      bundleOf({ certified: { unlogged: true } }),
    ],
    [
      'a certificate without a name',
      'untrusted',
      'names no identity',
      bundleOf({ certified: { name: undefined } }),
    ],
    [
      'a certificate without an issuer',
      'untrusted',
      'no issuer',
      bundleOf({ certified: { issuer: undefined } }),
    ],
    [
      'a certificate that had run out',
      'outside-validity',
      `until ${ago(300).toISOString().slice(0, 15)}`,
      bundleOf({ certified: { notBefore: ago(900), notAfter: ago(300) }, loggedAt: new Date() }),
    ],
    [
      'a certificate that was not valid yet',
      'outside-validity',
      'it was made at ',
      bundleOf({ certified: { notBefore: ago(300) }, loggedAt: ago(600) }),
    ],
    [
      'a clock that tells another time than the log',
      'outside-validity',
      'it was made at ',
      bundleOf({ certified: { notBefore: ago(300) }, stampedAt: ago(600) }),
    ],
    [
      'no log entry',
      'no-log-entry',
      'no transparency log has it',
      bundleOf({ isLogged: false, stampedAt: new Date() }),
    ],
    [
      'neither log entry nor time stamp',
      'no-log-entry',
      'no transparency log',
      bundleOf({ isLogged: false }),
    ],
    [
      'the log entry of another image',
      'bad-log-entry',
      'is about something else',
      withEntryOf(foundry.bundle(OTHER)),
    ],
    [
      'the log entry of another signature of this image',
      'bad-log-entry',
      'is about something else',
      withEntryOf(foundry.bundle(DIGEST)),
    ],
    ['the log entry of another key', 'bad-log-entry', 'of another key', withSubstitutedKey()],
    [
      'an entry of an unknown log',
      'bad-log-entry',
      'is promised by no log of the trusted root',
      withEntryOf(stranger.bundle(DIGEST)),
    ],
    [
      'an unproved entry of an unknown log',
      'bad-log-entry',
      'is not proved to stand in a log of the trusted root',
      changed(
        bundle => {
          bundle.verificationMaterial.tlogEntries = stranger.bundle(DIGEST, {
            logVersion: 2,
          }).verificationMaterial.tlogEntries;
        },
        { stampedAt: new Date() },
      ),
    ],
    [
      'an altered checkpoint',
      'bad-log-entry',
      'is not proved',
      changed(bundle => {
        const { checkpoint } = entryOf(bundle).inclusionProof;
        checkpoint.envelope = checkpoint.envelope.replace('\n2\n', '\n3\n');
      }),
    ],
    [
      'no proof of the log entry',
      'bad-log-entry',
      'without the proof',
      changed(bundle => {
        entryOf(bundle).inclusionProof = undefined;
      }),
    ],
    [
      'an entry whose content is no JSON',
      'bad-log-entry',
      'its log entry',
      changed(bundle => {
        entryOf(bundle).canonicalizedBody = base64('null');
        entryOf(bundle).inclusionPromise = undefined;
      }),
    ],
    [
      'an entry that tells no time, without a time stamp',
      'no-timestamp',
      'tells when it was made',
      bundleOf({ logVersion: 2 }),
    ],
    [
      'no promise of a time, and no time stamp',
      'no-timestamp',
      'tells when it was made',
      changed(bundle => {
        entryOf(bundle).inclusionPromise = undefined;
      }),
    ],
    [
      'the time stamp of another signature',
      'bad-timestamp',
      'about something else',
      changed(
        bundle => {
          const other = foundry.bundle(DIGEST, { stampedAt: new Date() });
          bundle.verificationMaterial.timestampVerificationData = stampsOf(other);
        },
        { logVersion: 2 },
      ),
    ],
    [
      'the time stamp of an unknown clock',
      'bad-timestamp',
      'of no authority of the trusted root',
      changed(bundle => {
        const signature = Buffer.from(bundle.dsseEnvelope.signatures[0].sig, 'base64');
        const signedTimestamp = stranger.clock.stamp(signature).toString('base64');
        stampsOf(bundle).rfc3161Timestamps = [{ signedTimestamp }];
      }),
    ],
    [
      'a time stamp that is none',
      'bad-timestamp',
      'cannot be read',
      changed(bundle => {
        stampsOf(bundle).rfc3161Timestamps = [{ signedTimestamp: base64('nonsense') }];
      }),
    ],
    [
      'one time stamp twice',
      'bad-timestamp',
      'its time stamp',
      changed(
        bundle => {
          const { rfc3161Timestamps: stamps } = stampsOf(bundle);
          stamps.push(stamps[0]);
        },
        { stampedAt: new Date() },
      ),
    ],
    [
      'a certificate that is none',
      'illegible',
      'its certificate cannot be read',
      changed(bundle => {
        bundle.verificationMaterial.certificate.rawBytes = base64('nonsense');
      }),
    ],
    [
      'more log entries than anybody needs',
      'illegible',
      'it has 33 witnesses',
      changed(bundle => {
        bundle.verificationMaterial.tlogEntries = Array.from({ length: 33 }, () => entryOf(bundle));
      }),
    ],
    [
      'another version',
      'illegible',
      'bundle.v0.4+json',
      changed(bundle => {
        bundle.mediaType = 'application/vnd.dev.sigstore.bundle.v0.4+json';
      }),
    ],
    [
      'two signatures',
      'illegible',
      'dsseEnvelope.signatures',
      changed(({ dsseEnvelope: { signatures } }) => {
        signatures.push(signatures[0]);
      }),
    ],
  ])('%s', (_, fault, reason, bytes) => {
    const finding = verifier.bundle(bytes, DIGEST, AT);
    expect(finding).toMatchObject({ fault, reason: expect.stringContaining(reason) });
    expect(finding.reason).not.toMatch(/[.\n]$/);
  });

  it('shows whom the certificate of an untrusted one claims to name', () => {
    const { fault, signatory } = verifier.bundle(bytesOf(stranger.bundle(DIGEST)), DIGEST, AT);
    expect({ fault, signatory }).toEqual({ fault: 'untrusted', signatory: SIGNATORY });
  });

  it('and one without a trusted root is not trusted', () => {
    const rootless = new SignatureVerifier({ root: undefined, keys: [] });
    expect(rootless.bundle(bundleOf(), DIGEST, AT)).toMatchObject({
      fault: 'untrusted',
      reason: expect.stringContaining('no trusted root was given'),
      signatory: SIGNATORY,
    });
  });
});
