import { describe } from 'vitest';
import { type Json, newFoundry } from '../servers/signatures.ts';
import { newKeys } from '../servers/x509.ts';
import { type Bench, type Legacy, MAKING, proveRows, type Row } from './negative.ts';
import {
  annotated,
  another,
  base64,
  borrowed,
  entryChanged,
  entryOf,
  LOG_ENTRY,
  materialOf,
  SIGNATURE,
  TIMESTAMP,
} from './negative-changes.ts';

/* Who has witnessed a signature: transparency logs, and timestamp authorities. */

const stranger = newFoundry();
const now = new Date();

/** One bit of what stands there as Base64. */
const flipped = (text: string): string => {
  const bytes = Buffer.from(text, 'base64');
  bytes[bytes.length - 10] = (bytes.at(-10) ?? 0) ^ 1;
  return bytes.toString('base64');
};

describe('the log entry', () => {
  const bad = (says: string): Pick<Row, 'outcome' | 'says'> => ({ outcome: 'bad-log-entry', says });
  const elsewhere = bad('its log entry is about something else');
  const unproved = bad('its log entry is not proved to stand in a log of the trusted root');
  const unpromised = bad('its log entry is promised by no log of the trusted root');
  /** Takes the entry of another signature. */
  const entryFrom = (other: (bench: Bench) => { bundle: Json; legacy: Legacy }) => ({
    bundle: (bundle: Json, bench: Bench) => {
      materialOf(bundle).tlogEntries = [entryOf(other(bench).bundle)];
    },
    legacy: (legacy: Legacy, bench: Bench) => annotated(legacy, borrowed(other(bench).legacy, LOG_ENTRY)),
  });
  proveRows({
    'is missing': {
      outcome: 'no-log-entry',
      making: { isLogged: false },
      says: 'no transparency log has it',
    },
    'is missing beside a time stamp': {
      outcome: 'no-log-entry',
      making: { isLogged: false, stampedAt: now },
      says: 'no transparency log has it',
    },
    'is of another artifact': {
      ...elsewhere,
      ...entryFrom(({ foundry, by, amd64 }) => ({
        bundle: foundry.bundle(amd64, MAKING[by]),
        legacy: foundry.legacy(amd64, MAKING[by]),
      })),
    },
    'is of another artifact, in a log that tells no time': {
      ...elsewhere,
      making: { logVersion: 2, stampedAt: now },
      bundle: (bundle, { foundry, by, amd64 }) => {
        const other = foundry.bundle(amd64, { ...MAKING[by], logVersion: 2 });
        materialOf(bundle).tlogEntries = [entryOf(other)];
      },
    },
    'is of the same signature by another key': {
      ...bad('its log entry is about the signature of another key'),
      bundle: (bundle, { foundry }) => {
        const body = JSON.parse(Buffer.from(entryOf(bundle).canonicalizedBody, 'base64').toString());
        const pem = newKeys().publicKey.export({ type: 'spki', format: 'pem' }).toString();
        body.spec.signatures[0].verifier = base64(pem);
        materialOf(bundle).tlogEntries = [foundry.entry(body)];
      },
    },
    'is of another signature of this image': { ...elsewhere, ...entryFrom(bench => another(bench)) },
    'is of another log': {
      ...unpromised,
      ...entryFrom(({ by, arm64 }) => ({
        bundle: stranger.bundle(arm64, MAKING[by]),
        legacy: stranger.legacy(arm64, MAKING[by]),
      })),
    },
    'has another promise': {
      ...unpromised,
      bundle: (bundle, bench) => {
        entryOf(bundle).inclusionPromise = entryOf(another(bench).bundle).inclusionPromise;
      },
      legacy: (legacy, bench) =>
        entryChanged(legacy, entry => {
          const other = JSON.parse(another(bench).legacy.annotations[LOG_ENTRY] ?? '');
          entry.SignedEntryTimestamp = other.SignedEntryTimestamp;
        }),
    },
    'was made at another time than the log says': {
      ...unpromised,
      bundle: bundle => {
        entryOf(bundle).integratedTime = String(Number(entryOf(bundle).integratedTime) - 1);
      },
      legacy: legacy => entryChanged(legacy, ({ Payload }) => Payload.integratedTime--),
    },
    'has an altered checkpoint': {
      ...unproved,
      bundle: bundle => {
        const { checkpoint } = entryOf(bundle).inclusionProof;
        checkpoint.envelope = checkpoint.envelope.replace('\n2\n', '\n3\n');
      },
    },
    'has a checkpoint whose signature was altered': {
      ...unproved,
      bundle: bundle => {
        const { checkpoint } = entryOf(bundle).inclusionProof;
        const line = /(?<=\n\u2014 \S+ )\S+/;
        checkpoint.envelope = checkpoint.envelope.replace(line, flipped);
      },
    },
    'has proof and checkpoint of a tree that nobody knows': {
      ...unproved,
      making: { logVersion: 2, stampedAt: now },
      bundle: bundle => {
        const body = JSON.parse(Buffer.from(entryOf(bundle).canonicalizedBody, 'base64').toString());
        entryOf(bundle).inclusionProof = stranger.entry(body).inclusionProof;
      },
    },
    'has the checkpoint of another log': {
      ...unproved,
      bundle: (bundle, { arm64, by }) => {
        const { checkpoint } = entryOf(stranger.bundle(arm64, MAKING[by])).inclusionProof;
        entryOf(bundle).inclusionProof.checkpoint = checkpoint;
      },
    },
    'has an altered inclusion proof': {
      ...unproved,
      bundle: bundle => {
        entryOf(bundle).inclusionProof.hashes = [base64('x'.repeat(32))];
      },
    },
    'has the inclusion proof of another entry': {
      ...unproved,
      bundle: (bundle, bench) => {
        entryOf(bundle).inclusionProof = entryOf(another(bench).bundle).inclusionProof;
      },
    },
    'has another place in the inclusion proof': {
      ...unproved,
      bundle: bundle => {
        entryOf(bundle).inclusionProof.logIndex = '0';
      },
    },
    'has no inclusion proof': {
      ...bad('its log entry comes without the proof that the log holds it'),
      bundle: bundle => {
        entryOf(bundle).inclusionProof = undefined;
      },
    },
  });
});

describe('the time stamp', () => {
  const bad: Pick<Row, 'outcome' | 'says'> = {
    outcome: 'bad-timestamp',
    says: 'its time stamp is of no authority of the trusted root, or about something else',
  };
  const stamp = (bundle: Json): Json => materialOf(bundle).timestampVerificationData.rfc3161Timestamps[0];
  const stamped = { logVersion: 2, stampedAt: now } as const;
  proveRows({
    // Nothing else tells the time: a log of version 2 does not. By a key alone none is needed.
    'was removed': {
      outcome: 'no-timestamp',
      by: ['identity'],
      making: stamped,
      bundle: bundle => {
        materialOf(bundle).timestampVerificationData.rfc3161Timestamps = [];
      },
      says: 'nothing that can be trusted tells when it was made',
    },
    'was altered': {
      ...bad,
      making: { stampedAt: now },
      bundle: bundle => {
        stamp(bundle).signedTimestamp = flipped(stamp(bundle).signedTimestamp);
      },
      legacy: legacy => {
        const { SignedRFC3161Timestamp: bytes } = JSON.parse(legacy.annotations[TIMESTAMP] ?? '');
        return annotated(legacy, { [TIMESTAMP]: JSON.stringify({ SignedRFC3161Timestamp: flipped(bytes) }) });
      },
    },
    'is of another signature': {
      ...bad,
      making: { stampedAt: now },
      bundle: (bundle, bench) => {
        stamp(bundle).signedTimestamp = stamp(another(bench, { stampedAt: now }).bundle).signedTimestamp;
      },
      legacy: (legacy, bench) =>
        annotated(legacy, borrowed(another(bench, { stampedAt: now }).legacy, TIMESTAMP)),
    },
    'is of another authority': {
      ...bad,
      making: { stampedAt: now },
      bundle: bundle => {
        const signature = Buffer.from(bundle.dsseEnvelope.signatures[0].sig, 'base64');
        stamp(bundle).signedTimestamp = stranger.clock.stamp(signature).toString('base64');
      },
      legacy: legacy => {
        const signature = Buffer.from(legacy.annotations[SIGNATURE] ?? '', 'base64');
        const SignedRFC3161Timestamp = stranger.clock.stamp(signature).toString('base64');
        return annotated(legacy, { [TIMESTAMP]: JSON.stringify({ SignedRFC3161Timestamp }) });
      },
    },
    'cannot be read': {
      outcome: 'bad-timestamp',
      making: { stampedAt: now },
      bundle: bundle => {
        stamp(bundle).signedTimestamp = base64('nonsense');
      },
      legacy: legacy => annotated(legacy, { [TIMESTAMP]: 'nonsense' }),
      says: 'its time stamp cannot be read',
    },
  });
});
