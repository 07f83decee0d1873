import type { KeyObject } from 'node:crypto';
import type { X509Certificate } from '@sigstore/core';
import { type SignedEntity, type TrustMaterial, VerificationError, Verifier } from '@sigstore/verify';
import { Flaw, saidBy } from './flaw.ts';

/** A signature that the library refused. */
export interface Refused {
  readonly entity: SignedEntity;
  /** That it is made with: of the certificate, or of those given. */
  readonly key: KeyObject;
  readonly isLogNeeded: boolean;
  readonly material: TrustMaterial;
  /** What the library threw. */
  readonly refusal: unknown;
}

/**
 * Finds out why the library refused a signature. It stops at the first fault, in an order of its own, and several faults
 * have one code. So each part is shown to it once more without the others. Whether a signature is valid was decided by
 * the whole; this only says what is wrong with it.
 */
export function diagnose(refused: Refused): Flaw {
  const { entity, refusal } = refused;
  const certificate = entity.key.$case === 'certificate' ? entity.key.certificate : undefined;
  return (
    badSignature(refused) ??
    (certificate && distrust(refused, certificate)) ??
    badLogging(refused) ??
    badStamp(refused) ??
    (certificate && wrongTime(refused, certificate)) ??
    new Flaw('untrusted', `it was refused: ${saidBy(refusal)}`, refusal)
  );
}

function badSignature({ entity, key }: Refused): Flaw | undefined {
  if (entity.signature.verifySignature(key)) return undefined;
  return new Flaw('bad-signature', 'its key did not make it over this content');
}

/** A certificate of a trusted authority was trusted at least when its time began. */
function distrust(refused: Refused, certificate: X509Certificate): Flaw | undefined {
  const error = refusalOfCertificate(refused, [certainly(certificate.notBefore)]);
  if (error === undefined) return undefined;
  const isAboutLog = error instanceof VerificationError && error.message.includes('SCT');
  const reason = isAboutLog
    ? 'no certificate log of the trusted root has seen its certificate'
    : 'no certificate authority of the trusted root vouches for its certificate';
  return new Flaw('untrusted', reason, error);
}

function badLogging(refused: Refused): Flaw | undefined {
  const { tlogEntries } = refused.entity;
  if (refused.isLogNeeded && tlogEntries.length === 0)
    return new Flaw('no-log-entry', 'no transparency log has it');
  const error = refusalOfWitnesses(refused, { tlogEntries, timestamps: [] });
  if (error === undefined) return undefined;
  const reason = error instanceof VerificationError ? REASONS[error.code] : undefined;
  return new Flaw(
    'bad-log-entry',
    reason === undefined ? 'its log entry cannot be read' : `its log entry ${reason} (${saidBy(error)})`,
    error,
  );
}

const REASONS: Readonly<Partial<Record<string, string>>> = {
  TLOG_INCLUSION_PROMISE_ERROR: 'is promised by no log of the trusted root',
  TLOG_INCLUSION_PROOF_ERROR: 'is not proved to stand in a log of the trusted root',
  TLOG_MISSING_INCLUSION_ERROR: 'comes without a proof',
  TLOG_BODY_ERROR: 'is about something else',
  TLOG_ERROR: 'does not hold',
};

function badStamp(refused: Refused): Flaw | undefined {
  const { timestamps } = refused.entity;
  const stamps = timestamps.filter(({ $case }) => $case === 'timestamp-authority');
  const error = refusalOfWitnesses(refused, { tlogEntries: [], timestamps: stamps });
  if (error === undefined) return undefined;
  const reason = 'its time stamp is of no authority of the trusted root, or about something else';
  return new Flaw('bad-timestamp', reason, error);
}

function wrongTime(refused: Refused, certificate: X509Certificate): Flaw | undefined {
  const { timestamps } = refused.entity;
  const times = timestamps.flatMap(timeOf);
  if (times.length === 0)
    return new Flaw('no-timestamp', 'nothing that can be trusted tells when it was made');
  const error = refusalOfCertificate(refused, timestamps);
  if (error === undefined) return undefined;
  const outside = times.find(time => !certificate.validForDate(time));
  if (outside === undefined) {
    const reason =
      'the trusted root did not vouch for its certificate any more, or not yet, when it was made';
    return new Flaw('untrusted', reason, error);
  }
  const { notBefore, notAfter } = certificate;
  return new Flaw(
    'outside-validity',
    `its certificate was valid from ${seconds(notBefore)} until ${seconds(notAfter)}, and it was made at ${seconds(outside)}`,
    error,
  );
}

type Timestamp = SignedEntity['timestamps'][number];

/** What the library takes for a time: a stamp, or an entry that a log has promised at a time. */
export function timeOf(timestamp: Timestamp): Date[] {
  if (timestamp.$case === 'timestamp-authority') return [timestamp.timestamp.signingTime];
  const { inclusionPromise, integratedTime } = timestamp.tlogEntry;
  return inclusionPromise === undefined ? [] : [new Date(Number(integratedTime) * 1000)];
}

/** A time that the library believes where it is shown no log entries beside it. */
function certainly(time: Date): Timestamp {
  const none = Buffer.alloc(0);
  const tlogEntry = {
    logIndex: '0',
    logId: { keyId: none },
    kindVersion: { kind: '', version: '' },
    integratedTime: String(time.getTime() / 1000),
    inclusionPromise: { signedEntryTimestamp: none },
    inclusionProof: undefined,
    canonicalizedBody: none,
  };
  return { $case: 'transparency-log', tlogEntry };
}

/** What stands for a signature where other parts are looked at: all of the real one, and it is right. */
function rightly({ entity: { signature } }: Refused): SignedEntity['signature'] {
  return {
    signature: signature.signature,
    compareSignature: bytes => signature.compareSignature(bytes),
    compareDigest: digest => signature.compareDigest(digest),
    compareSignedDigest: digest => signature.compareSignedDigest(digest),
    verifySignature: () => true,
  };
}

const NOTHING_NEEDED = { tlogThreshold: 0, timestampThreshold: 0, ctlogThreshold: 0 };

function refusalOfCertificate(refused: Refused, timestamps: Timestamp[]): unknown {
  const verifier = new Verifier(refused.material, { ...NOTHING_NEEDED, ctlogThreshold: 1 });
  const { key } = refused.entity;
  return refusalOf(() => verifier.verify({ signature: rightly(refused), key, tlogEntries: [], timestamps }));
}

function refusalOfWitnesses(
  refused: Refused,
  witnesses: Pick<SignedEntity, 'tlogEntries' | 'timestamps'>,
): unknown {
  const publicKey = () => ({ publicKey: refused.key, validFor: () => true });
  const verifier = new Verifier({ ...refused.material, publicKey }, NOTHING_NEEDED);
  const key = { $case: 'public-key', hint: '' } as const;
  return refusalOf(() => verifier.verify({ signature: rightly(refused), key, ...witnesses }));
}

function refusalOf(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error ?? new Error('refused');
  }
}

/** To the second, as certificates say it. */
function seconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
