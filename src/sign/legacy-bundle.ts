import { X509Certificate } from 'node:crypto';
import type { Bundle, TransparencyLogEntry } from '@sigstore/bundle';
import { HashAlgorithm } from '@sigstore/protobuf-specs';
import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { digestOf, hexOf } from '../oci/digest.ts';
import { Flaw, orFlaw } from './flaw.ts';
import type { LegacySignature } from './legacy-signature.ts';

type Material = Bundle['verificationMaterial'];

const whole = v.pipe(v.number(), v.safeInteger());
const logged = v.object({
  SignedEntryTimestamp: v.string(),
  Payload: v.object({ body: v.string(), integratedTime: whole, logIndex: whole, logID: v.string() }),
});
const entryBody = v.object({ kind: v.string(), apiVersion: v.string() });
const stamped = v.object({ SignedRFC3161Timestamp: v.string() });

/**
 * Turns a signature in the older format into a bundle, for what verifies bundles. The chain is left out: who vouches for
 * the certificate stands in the trusted root.
 * @param payload what it is made over
 * @throws Flaw `illegible`, `bad-log-entry`, `bad-timestamp` for what cannot be read
 */
export function toBundle(signature: LegacySignature, payload: Uint8Array): Bundle {
  const bytes = base64(signature.signature ?? '');
  if (bytes.length === 0) throw new Flaw('illegible', 'it holds no signature');
  const { logEntry, timestamp } = signature;
  const messageDigest = { algorithm: HashAlgorithm.SHA2_256, digest: hex(hexOf(digestOf(payload))) };
  return {
    mediaType: '',
    verificationMaterial: {
      content: materialOf(signature),
      tlogEntries: logEntry === undefined ? [] : [readEntry(logEntry)],
      timestampVerificationData: {
        rfc3161Timestamps: timestamp === undefined ? [] : [{ signedTimestamp: readStamp(timestamp) }],
      },
    },
    content: { $case: 'messageSignature', messageSignature: { messageDigest, signature: bytes } },
  };
}

/**
 * What a signature is checked by: the first certificate, or else a key that it does not name.
 * @throws Flaw `illegible`
 */
export function materialOf({ certificate }: LegacySignature): Material['content'] {
  if (certificate === undefined) return { $case: 'publicKey', publicKey: { hint: '' } };
  const { raw } = orFlaw(
    'illegible',
    'its certificate cannot be read',
    () => new X509Certificate(certificate),
  );
  return { $case: 'certificate', certificate: { rawBytes: raw } };
}

/** An entry of Rekor v1 with the log's promise, which stands for a proof in this format. */
function readEntry(text: string): TransparencyLogEntry {
  return orFlaw('bad-log-entry', 'its log entry cannot be read', () => {
    const { SignedEntryTimestamp, Payload } = parseDocument(logged, Buffer.from(text), 'the log entry');
    const canonicalizedBody = base64(Payload.body);
    const { kind, apiVersion } = parseDocument(entryBody, canonicalizedBody, 'the body of the log entry');
    return {
      logIndex: String(Payload.logIndex),
      logId: { keyId: hex(Payload.logID) },
      kindVersion: { kind, version: apiVersion },
      integratedTime: String(Payload.integratedTime),
      inclusionPromise: { signedEntryTimestamp: base64(SignedEntryTimestamp) },
      inclusionProof: undefined,
      canonicalizedBody,
    };
  });
}

function readStamp(text: string): Buffer {
  return orFlaw('bad-timestamp', 'its time stamp cannot be read', () =>
    base64(parseDocument(stamped, Buffer.from(text), 'the time stamp').SignedRFC3161Timestamp),
  );
}

const base64 = (text: string): Buffer => Buffer.from(text, 'base64');
const hex = (text: string): Buffer => Buffer.from(text, 'hex');
