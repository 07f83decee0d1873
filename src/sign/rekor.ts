import type { KeyObject } from 'node:crypto';
import type { TransparencyLogEntry } from '@sigstore/bundle';
import { ManifoldError } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import type { SignatureFormat } from './finding.ts';
import type { SignedContent } from './log-entry.ts';
import { logInVersion1 } from './rekor-v1.ts';
import { KEY_DETAILS, keyKind, logInVersion2 } from './rekor-v2.ts';
import type { TransparencyLog } from './services.ts';

/**
 * Enters a signature into a transparency log and brings back the proof.
 * @throws ManifoldError `signing-failed`, `signing-config`, `service-unreachable`
 */
export function logSignature(
  log: TransparencyLog,
  content: SignedContent,
  transport: Transport,
): Promise<TransparencyLogEntry> {
  return log.version === 2
    ? logInVersion2(log.url, content, transport)
    : logInVersion1(log.url, content, transport);
}

/**
 * Makes sure that a log can take what a key signs, before anything is signed with it. RSA always gives the same signature,
 * and a log of version 2 takes it once: after a lost answer no re-run would get on. Ed25519 signs the payload itself, and the
 * entry for a bare payload holds its hash only.
 * @throws ManifoldError `key-unusable`
 */
export function requireLoggable(key: KeyObject, { version }: TransparencyLog, format: SignatureFormat): void {
  const kind = keyKind(key);
  const isTaken = version === 2 ? kind in KEY_DETAILS : kind !== 'ed25519' || format === 'bundle';
  if (isTaken) return;
  const log = version === 2 ? 'A transparency log of version 2' : 'A legacy signature in a transparency log';
  throw new ManifoldError('key-unusable', `${log} does not go with a key of the kind ${kind}.`, {
    hint: 'Use a key of the kind ECDSA P-256, as "cosign generate-key-pair" makes it, or describe no Sigstore of your own: then the key signs and nothing is logged.',
  });
}
