import { describe } from 'vitest';
import { payloadOf, statementOf } from '../servers/signatures.ts';
import { proveRows, type Row } from './negative.ts';
import {
  annotated,
  another,
  base64,
  borrowed,
  CERTIFICATE,
  materialOf,
  SIGNATURE,
} from './negative-changes.ts';

/* What was signed, and what holds the signature: changed after it was made, or of another image. */

describe('what is signed', () => {
  const forged: Pick<Row, 'outcome' | 'says'> = {
    outcome: 'bad-signature',
    says: 'its key did not make it over this content',
  };
  proveRows({
    'is another image, whose signature was moved here': {
      outcome: 'wrong-subject',
      of: 'amd64',
      says: 'it is about another image than the one that it is attached to',
    },
    'was another image, and became this one': {
      ...forged,
      by: ['identity'],
      of: 'amd64',
      bundle: ({ dsseEnvelope }, { arm64 }) => {
        dsseEnvelope.payload = base64(JSON.stringify(statementOf(arm64)));
      },
      legacy: (legacy, { arm64 }) => ({ ...legacy, payload: Buffer.from(JSON.stringify(payloadOf(arm64))) }),
    },
    'was another image, and became this one, signed by a key that is not named': {
      by: ['key'],
      of: 'amd64',
      outcome: 'untrusted',
      says: 'none of the keys that were given made it over this content',
      legacy: (legacy, { arm64 }) => ({ ...legacy, payload: Buffer.from(JSON.stringify(payloadOf(arm64))) }),
    },
    'was another image, and became this one, signed by a key that is named': {
      ...forged,
      by: ['key'],
      of: 'amd64',
      bundle: ({ dsseEnvelope }, { arm64 }) => {
        dsseEnvelope.payload = base64(JSON.stringify(statementOf(arm64)));
      },
    },
    'is an attestation, and not that the image was released': {
      outcome: 'wrong-predicate',
      formats: ['bundle'],
      making: {
        payload: {
          ...statementOf(`sha256:${'0'.repeat(64)}`),
          predicateType: 'https://slsa.dev/provenance/v1',
        },
      },
      says: 'it states https://slsa.dev/provenance/v1: an attestation about an image is no signature of it',
    },
    'is no in-toto statement': {
      outcome: 'wrong-predicate',
      formats: ['bundle'],
      making: { payloadType: 'text/plain' },
      says: 'its payload is text/plain, and no in-toto statement',
    },
    'is no simple signing of cosign’s': {
      outcome: 'wrong-predicate',
      formats: ['legacy'],
      making: {
        payload: { critical: { ...payloadOf('sha256:').critical, type: 'atomic container signature' } },
      },
      says: "its payload is of the type atomic container signature, which is not cosign's",
    },
  });
});

describe('what holds the signature', () => {
  proveRows({
    'with another signature': {
      outcome: 'bad-signature',
      by: ['identity'],
      bundle: (bundle, bench) => {
        bundle.dsseEnvelope.signatures = another(bench).bundle.dsseEnvelope.signatures;
      },
      legacy: (legacy, bench) => annotated(legacy, borrowed(another(bench).legacy, SIGNATURE)),
      says: 'its key did not make it over this content',
    },
    'with the certificate of another signature': {
      outcome: 'bad-signature',
      by: ['identity'],
      bundle: (bundle, bench) => {
        materialOf(bundle).certificate = materialOf(another(bench).bundle).certificate;
      },
      legacy: (legacy, bench) => annotated(legacy, borrowed(another(bench).legacy, CERTIFICATE)),
      says: 'its key did not make it over this content',
    },
    'with another payload type': {
      outcome: 'bad-signature',
      bundle: ({ dsseEnvelope }) => {
        dsseEnvelope.payloadType = 'application/vnd.in-toto+jsonx';
      },
      says: 'its key did not make it over this content',
    },
    'of an unknown version': {
      outcome: 'illegible',
      bundle: bundle => {
        bundle.mediaType = 'application/vnd.dev.sigstore.bundle.v0.4+json';
      },
      says: 'it is no bundle of a version that is known here, but application/vnd.dev.sigstore.bundle.v0.4+json',
    },
    'without an envelope': {
      outcome: 'illegible',
      bundle: bundle => {
        bundle.dsseEnvelope = undefined;
      },
      says: 'it is no Sigstore bundle: wrong or missing are content',
    },
    'without a signature': {
      outcome: 'illegible',
      legacy: legacy => annotated(legacy, { [SIGNATURE]: undefined }),
      says: 'it holds no signature',
    },
    'whose certificate is garbled': {
      outcome: 'illegible',
      by: ['identity'],
      bundle: bundle => {
        materialOf(bundle).certificate.rawBytes = base64('nonsense');
      },
      legacy: legacy => annotated(legacy, { [CERTIFICATE]: 'nonsense' }),
      says: 'its certificate cannot be read',
    },
  });
});
