import { createHash, randomBytes } from 'node:crypto';
import type { Transport } from '../http/transport.ts';
import { serviceFailure } from './failure.ts';

/**
 * Has a timestamp authority witness a signature.
 * @returns the TimeStampResp of RFC 3161, section 2.4.2, as DER; the verification looks into it
 * @throws ManifoldError `signing-failed`, `service-unreachable`
 */
export async function requestTimestamp(
  authority: URL,
  signature: Buffer,
  transport: Transport,
): Promise<Buffer> {
  const response = await transport.request({
    method: 'POST',
    url: authority,
    headers: { 'content-type': 'application/timestamp-query', accept: 'application/timestamp-reply' },
    body: timestampQuery(createHash('sha256').update(signature).digest(), randomBytes(8)),
  });
  if (response.status !== 200 && response.status !== 201)
    throw serviceFailure('The timestamp authority', response);
  return response.body;
}

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
