import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import type { SignatureFault } from '../../src/sign/finding.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { ISSUER, type Json, type Making, NAME, newFoundry, statementOf } from '../servers/signatures.ts';

const foundry = newFoundry();
const stranger = newFoundry();
const DIGEST = digestOf(Buffer.from('an image'));
const OTHER = digestOf(Buffer.from('another image'));
const AT = digestOf(Buffer.from('a referrer'));

const verifier = new SignatureVerifier({ root: foundry.root, keys: [] });

const bytesOf = (bundle: Json): Buffer => Buffer.from(JSON.stringify(bundle));
const bundleOf = (making: Making = {}): Buffer => bytesOf(foundry.bundle(DIGEST, making));

const SIGNATORY = expect.objectContaining({ kind: 'certificate', identity: { name: NAME, issuer: ISSUER } });
const VALID = { fault: undefined, reason: '' };

describe('a bundle that states something else is no signature of the image', () => {
  const STATEMENT = statementOf(DIGEST);
  it.each<[string, SignatureFault, string, Making]>([
    [
      'an attestation',
      'wrong-predicate',
      'an attestation about an image is no signature of it',
      { payload: { ...STATEMENT, predicateType: 'https://slsa.dev/provenance/v1' } },
    ],
    [
      'another kind of payload',
      'wrong-predicate',
      'application/json, and no in-toto statement',
      { payloadType: 'application/json' },
    ],
    [
      'the older type of statement',
      'wrong-predicate',
      'Statement/v0.1',
      { payload: { ...STATEMENT, _type: 'https://in-toto.io/Statement/v0.1' } },
    ],
    [
      'another type of statement',
      'illegible',
      '_type',
      { payload: { ...STATEMENT, _type: 'https://in-toto.io/Statement/v2' } },
    ],
    ['another image', 'wrong-subject', 'another image', { payload: statementOf(OTHER) }],
    ['nothing of any image', 'wrong-subject', 'another image', { payload: { ...STATEMENT, subject: [] } }],
    [
      'another algorithm',
      'wrong-subject',
      'another image',
      { payload: { ...STATEMENT, subject: [{ digest: { sha512: DIGEST.slice(7) } }] } },
    ],
    [
      'no predicate type',
      'illegible',
      'predicateType',
      { payload: { ...STATEMENT, predicateType: undefined } },
    ],
    ['no JSON', 'illegible', 'is no JSON', { payload: 'nonsense' }],
  ])('%s', (_, fault, reason, making) => {
    const finding = verifier.bundle(bundleOf(making), DIGEST, AT);
    expect(finding).toMatchObject({ fault, reason: expect.stringContaining(reason), signatory: SIGNATORY });
  });

  it('although the image is one of several that it states it of', () => {
    const subject = [...statementOf(OTHER).subject, { name: 'no digest' }, ...STATEMENT.subject];
    const finding = verifier.bundle(bundleOf({ payload: { ...STATEMENT, subject } }), DIGEST, AT);
    expect(finding).toMatchObject({ ...VALID, annotations: { by: 'hand' } });
  });

  it('and its annotations are texts under any name', () => {
    const annotations = { a: 'b', constructor: 'c', number: 1, nothing: null, deep: {} };
    const subject = [{ ...STATEMENT.subject[0], annotations }];
    const finding = verifier.bundle(bundleOf({ payload: { ...STATEMENT, subject } }), DIGEST, AT);
    expect(finding.annotations).toEqual({ a: 'b', constructor: 'c' });
  });
});

describe('a statement', () => {
  const ATTESTATION = {
    ...statementOf(DIGEST),
    _type: 'https://in-toto.io/Statement/v0.1',
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: { buildDefinition: {} },
  };

  it('of any kind is verified and read', () => {
    const read = verifier.statement(bundleOf({ payload: ATTESTATION }));
    expect(read).toEqual({ ...VALID, signatory: SIGNATORY, statement: ATTESTATION });
  });

  it('is shown where it is not to be believed', () => {
    const read = verifier.statement(bytesOf(stranger.bundle(DIGEST, { payload: ATTESTATION })));
    expect(read).toMatchObject({ fault: 'untrusted', statement: ATTESTATION });
  });

  it('is not there in a signature over bytes', () => {
    const { dsseEnvelope, ...bundle } = foundry.bundle(DIGEST);
    const { sig: signature } = dsseEnvelope.signatures[0];
    bundle.messageSignature = { messageDigest: { algorithm: 'SHA2_256', digest: 'AAAA' }, signature };
    const read = verifier.statement(bytesOf(bundle));
    expect(read).toMatchObject({ fault: 'illegible', reason: expect.stringContaining('no statement') });
    expect(read.statement).toBeUndefined();
  });
});
