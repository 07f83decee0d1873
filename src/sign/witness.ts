import type { TransparencyLogEntry } from '@sigstore/bundle';
import type { Transport } from '../http/transport.ts';
import type { SignedContent } from './log-entry.ts';
import { logSignature } from './rekor.ts';
import type { Witnesses } from './services.ts';
import { requestTimestamp } from './timestamp.ts';

/** What the witnesses of a signature say of it. */
export interface Testimony {
  readonly entries: readonly TransparencyLogEntry[];
  /** Each a TimeStampResp (RFC 3161, section 2.4.2) in DER. */
  readonly timestamps: readonly Buffer[];
}

/**
 * Asks all witnesses at once.
 * @throws ManifoldError `signing-failed`, `service-unreachable`
 */
export async function witness(
  content: SignedContent,
  { logs, timestampAuthorities }: Witnesses,
  transport: Transport,
): Promise<Testimony> {
  const [entries, timestamps] = await Promise.all([
    Promise.all(logs.map(log => logSignature(log, content, transport))),
    Promise.all(
      timestampAuthorities.map(authority => requestTimestamp(authority, content.signature.bytes, transport)),
    ),
  ]);
  return { entries, timestamps };
}
