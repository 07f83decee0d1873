import { createHash, randomBytes } from 'node:crypto';
import { RFC3161Timestamp } from '@sigstore/core';
import { messageOf, oneLine } from '../errors.ts';
import type { HttpResponse, Transport } from '../http/transport.ts';
import { askService, serviceFailure, wrongAnswer } from './failure.ts';

const AUTHORITY = 'The timestamp authority';

/**
 * Has a timestamp authority witness a signature.
 * @returns the TimeStampResp of RFC 3161, section 2.4.2, as DER; whose it is, the verification finds out
 * @throws ManifoldError `signing-failed`, `service-unreachable`
 */
export async function requestTimestamp(
  authority: URL,
  signature: Buffer,
  transport: Transport,
): Promise<Buffer> {
  const digest = createHash('sha256').update(signature).digest();
  const headers = { 'content-type': 'application/timestamp-query', accept: 'application/timestamp-reply' };
  const body = timestampQuery(digest, randomBytes(8));
  const response = await askService(AUTHORITY, { method: 'POST', url: authority, headers, body }, transport);
  if (response.status !== 200 && response.status !== 201) throw serviceFailure(AUTHORITY, response);
  requireStampOf(digest, response);
  return response.body;
}

/** The hash that was stamped (section 2.4.2, `messageImprint`) must be ours, and the stamp granted. */
function requireStampOf(digest: Buffer, { body, url }: HttpResponse): void {
  let imprint: Buffer;
  let status: bigint;
  try {
    const stamp = RFC3161Timestamp.parse(Buffer.from(body));
    status = stamp.status;
    imprint = status > GRANTED_WITH_CHANGES ? EMPTY : stamp.tstInfo.messageImprintHashedMessage;
  } catch (error) {
    throw wrongAnswer(AUTHORITY, url, `gave no legible time stamp: ${oneLine(messageOf(error))}`, error);
  }
  if (status > GRANTED_WITH_CHANGES)
    throw wrongAnswer(AUTHORITY, url, `granted no time stamp, but answered with the status ${status}`);
  if (!digest.equals(imprint)) throw wrongAnswer(AUTHORITY, url, 'stamped something else than our signature');
}

/** PKIStatus `grantedWithMods`; all above is a refusal. */
const GRANTED_WITH_CHANGES = 1n;
const EMPTY = Buffer.alloc(0);
const SHA256 = Buffer.from('0609608648016503040201', 'hex'); // OBJECT IDENTIFIER 2.16.840.1.101.3.4.2.1
const NULL = Buffer.from('0500', 'hex');
const VERSION_1 = Buffer.from('020101', 'hex');
const CERTIFICATES_WANTED = Buffer.from('0101ff', 'hex');

/** TimeStampReq of RFC 3161, section 2.4.1. All parts are shorter than 128 bytes, so that every length is one byte. */
function timestampQuery(digest: Buffer, nonce: Buffer): Buffer {
  const imprint = der(0x30, der(0x30, SHA256, NULL), der(0x04, digest));
  // An INTEGER is signed: the leading zero keeps the nonce positive, and its first byte must then have its top bit set.
  const positive = Buffer.concat([Buffer.from([0, (nonce[0] ?? 0) | 0x80]), nonce.subarray(1)]);
  return der(0x30, VERSION_1, imprint, der(0x02, positive), CERTIFICATES_WANTED);
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, content.length]), content]);
}
