import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import type { SignatureFault } from '../../src/sign/finding.ts';
import type { LegacySignature } from '../../src/sign/legacy-signature.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import {
  ISSUER,
  type Json,
  type Making,
  NAME,
  newFoundry,
  payloadOf,
  readFrom,
} from '../servers/signatures.ts';
import { newKeys, pem } from '../servers/x509.ts';

const foundry = newFoundry();
const stranger = newFoundry();
const DIGEST = digestOf(Buffer.from('an image'));
const OTHER = digestOf(Buffer.from('another image'));

const verifier = new SignatureVerifier({ root: foundry.root, keys: [] });
const signed = (making: Making = {}): LegacySignature => readFrom(foundry.legacy(DIGEST, making));
const SIGNATORY = { kind: 'certificate', identity: { name: NAME, issuer: ISSUER } };
const ago = (seconds: number): Date => new Date(Date.now() - seconds * 1000);

/** The annotation with the log entry, with something changed. */
function withEntry(change: (bundle: Json) => void, signature = signed()): LegacySignature {
  const bundle = JSON.parse(signature.logEntry ?? '');
  change(bundle);
  return { ...signature, logEntry: JSON.stringify(bundle) };
}

/** The same signature in the log, under the name of another key. */
function withSubstitutedKey(): LegacySignature {
  const signature = signed();
  const { Payload: found } = JSON.parse(signature.logEntry ?? '');
  const body = JSON.parse(Buffer.from(found.body, 'base64').toString());
  const other = newKeys().publicKey.export({ type: 'spki', format: 'pem' }).toString();
  body.spec.signature.publicKey.content = Buffer.from(other).toString('base64');
  const { verification, ...Payload } = foundry.transparency.record(body);
  const SignedEntryTimestamp = verification.signedEntryTimestamp;
  return { ...signature, logEntry: JSON.stringify({ SignedEntryTimestamp, Payload }) };
}

describe('a legacy signature with a certificate', () => {
  it.each<[string, LegacySignature]>([
    ['a log promises it', signed()],
    ['a log and a clock have seen it', signed({ stampedAt: new Date() })],
    ['it comes without the chain of its certificate', { ...signed(), chain: undefined }],
    ['more certificates follow its own', withFollowers()],
  ])('is valid where %s', (_, signature) => {
    const finding = verifier.legacy(signature, DIGEST);
    expect(finding).toMatchObject({
      format: 'legacy',
      digest: signature.digest,
      fault: undefined,
      reason: '',
      signatory: SIGNATORY,
    });
    expect(finding.annotations).toEqual({ by: 'hand' });
  });

  function withFollowers(): LegacySignature {
    const signature = signed();
    return {
      ...signature,
      certificate: `${signature.certificate}${pem(foundry.authority.root.certificate)}`,
    };
  }

  it('may have no annotations', () => {
    const payload = { ...payloadOf(DIGEST), optional: null };
    expect(verifier.legacy(signed({ payload }), DIGEST)).toMatchObject({ fault: undefined, annotations: {} });
  });
});

describe('a legacy signature with a certificate is refused, and it is said why', () => {
  it.each<[string, SignatureFault, string, LegacySignature]>([
    [
      'another payload',
      'bad-signature',
      'over this content',
      { ...signed(), payload: Buffer.from(JSON.stringify(payloadOf(OTHER))) },
    ],
    [
      'another signature',
      'bad-signature',
      'over this content',
      { ...signed(), signature: signed().signature },
    ],
    [
      'another certificate',
      'bad-signature',
      'over this content',
      { ...signed(), certificate: signed().certificate },
    ],
    ['another Sigstore', 'untrusted', 'no certificate authority', readFrom(stranger.legacy(DIGEST))],
    [
      'a certificate that had run out',
      'outside-validity',
      'it was made at',
      signed({ certified: { notBefore: ago(900), notAfter: ago(300) }, loggedAt: new Date() }),
    ],
    [
      'no log entry',
      'no-log-entry',
      'no transparency log',
      signed({ isLogged: false, stampedAt: new Date() }),
    ],
    [
      'the log entry of another image',
      'bad-log-entry',
      'is about something else',
      { ...signed(), logEntry: readFrom(foundry.legacy(OTHER)).logEntry },
    ],
    [
      'the log entry of an unknown log',
      'bad-log-entry',
      'no log of the trusted root',
      { ...signed(), logEntry: readFrom(stranger.legacy(DIGEST)).logEntry },
    ],
    ['the log entry of another key', 'bad-log-entry', 'of another key', withSubstitutedKey()],
    ['a log entry that is none', 'bad-log-entry', 'cannot be read', { ...signed(), logEntry: 'nonsense' }],
    [
      'a log entry without a body',
      'bad-log-entry',
      'cannot be read',
      withEntry(({ Payload }) => {
        Payload.body = '';
      }),
    ],
    [
      'the time stamp of another signature',
      'bad-timestamp',
      'about something else',
      { ...signed(), timestamp: signed({ stampedAt: new Date() }).timestamp },
    ],
    ['a time stamp that is none', 'bad-timestamp', 'cannot be read', { ...signed(), timestamp: '{}' }],
    [
      'another kind of payload',
      'wrong-predicate',
      'atomic container signature',
      signed({
        payload: {
          ...payloadOf(DIGEST),
          critical: { ...payloadOf(DIGEST).critical, type: 'atomic container signature' },
        },
      }),
    ],
    ['another image', 'wrong-subject', 'another image', signed({ payload: payloadOf(OTHER) })],
    ['a payload that is none', 'illegible', 'is no JSON', signed({ payload: 'nonsense' })],
    ['no signature', 'illegible', 'no signature', { ...signed(), signature: undefined }],
    [
      'a certificate that is none',
      'illegible',
      'certificate cannot be read',
      { ...signed(), certificate: '-' },
    ],
    [
      'what could not be read',
      'illegible',
      'for a reason',
      { ...signed(), payload: undefined, problem: 'for a reason' },
    ],
  ])('%s', (_, fault, reason, signature) => {
    expect(verifier.legacy(signature, DIGEST)).toMatchObject({
      fault,
      reason: expect.stringContaining(reason),
    });
  });

  it('shows whom the certificate claims to name, whatever is wrong', () => {
    const { signatory } = verifier.legacy({ ...signed(), logEntry: 'nonsense' }, DIGEST);
    expect(signatory).toMatchObject(SIGNATORY);
  });
});
