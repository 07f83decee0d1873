import { X509Certificate } from 'node:crypto';
import type { Bundle, TransparencyLogEntry } from '@sigstore/bundle';
import { HashAlgorithm } from '@sigstore/protobuf-specs';
import type { Layer } from './stored.ts';

const ANNOTATION = {
  signature: 'dev.cosignproject.cosign/signature',
  certificate: 'dev.sigstore.cosign/certificate',
  logEntry: 'dev.sigstore.cosign/bundle',
  timestamp: 'dev.sigstore.cosign/rfc3161timestamp',
} as const;

/** A layer with its annotations, in the form of a bundle (sigstore/cosign, specs/SIGNATURE_SPEC.md). */
export function legacyBundle({ annotations = {}, digest }: Layer): Bundle {
  const {
    [ANNOTATION.signature]: signature = '',
    [ANNOTATION.certificate]: certificate,
    [ANNOTATION.logEntry]: logEntry,
    [ANNOTATION.timestamp]: timestamp,
  }: Readonly<Record<string, string | undefined>> = annotations;
  const stamps = timestamp === undefined ? [] : [(JSON.parse(timestamp) as Stamp).SignedRFC3161Timestamp];
  return {
    mediaType: '',
    content: {
      $case: 'messageSignature',
      messageSignature: {
        messageDigest: {
          algorithm: HashAlgorithm.SHA2_256,
          digest: Buffer.from(digest.replace('sha256:', ''), 'hex'),
        },
        signature: Buffer.from(signature, 'base64'),
      },
    },
    verificationMaterial: {
      content:
        certificate === undefined
          ? { $case: 'publicKey', publicKey: { hint: '' } }
          : { $case: 'certificate', certificate: { rawBytes: new X509Certificate(certificate).raw } },
      tlogEntries: logEntry === undefined ? [] : [promisedEntry(JSON.parse(logEntry) as LogEntry)],
      timestampVerificationData: {
        rfc3161Timestamps: stamps.map(stamp => ({ signedTimestamp: Buffer.from(stamp, 'base64') })),
      },
    },
  };
}

interface Stamp {
  readonly SignedRFC3161Timestamp: string;
}

interface LogEntry {
  readonly SignedEntryTimestamp: string;
  readonly Payload: { body: string; integratedTime: number; logIndex: number; logID: string };
}

function promisedEntry({ SignedEntryTimestamp, Payload }: LogEntry): TransparencyLogEntry {
  const canonicalizedBody = Buffer.from(Payload.body, 'base64');
  const { kind, apiVersion } = JSON.parse(canonicalizedBody.toString()) as {
    kind: string;
    apiVersion: string;
  };
  return {
    logIndex: String(Payload.logIndex),
    logId: { keyId: Buffer.from(Payload.logID, 'hex') },
    kindVersion: { kind, version: apiVersion },
    integratedTime: String(Payload.integratedTime),
    inclusionPromise: { signedEntryTimestamp: Buffer.from(SignedEntryTimestamp, 'base64') },
    inclusionProof: undefined,
    canonicalizedBody,
  };
}
