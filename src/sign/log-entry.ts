import type { TransparencyLogEntry } from '@sigstore/bundle';
import { TransparencyLogEntry as EntryMessage } from '@sigstore/protobuf-specs';
import { messageOf, oneLine } from '../errors.ts';
import type { HttpResponse, Transport } from '../http/transport.ts';
import { askService, wrongAnswer } from './failure.ts';
import type { Signature } from './signer.ts';
import { preAuthenticationEncoding } from './statement.ts';

/** What is signed. */
export interface Content {
  readonly payload: Buffer;
  /** Of a DSSE envelope, whose signature is made over type and payload; undefined: it is made over the payload alone. */
  readonly payloadType: string | undefined;
}

export interface SignedContent extends Content {
  readonly signature: Signature;
}

/** The bytes that a signature is made over. */
export function signedBytes({ payload, payloadType }: Content): Buffer {
  return payloadType === undefined ? payload : preAuthenticationEncoding(payloadType, payload);
}

/** As messages name a log. */
export const REKOR = 'The transparency log Rekor';

/**
 * Reads an entry in its protobuf JSON form (sigstore_rekor.proto, TransparencyLogEntry), which must be about this signature.
 * @param url where it came from
 * @throws ManifoldError `signing-failed`
 */
export function readEntry(json: () => unknown, { signature }: SignedContent, url: URL): TransparencyLogEntry {
  let entry: EntryMessage;
  try {
    entry = EntryMessage.fromJSON(json());
  } catch (error) {
    throw wrongAnswer(REKOR, url, `gave an illegible entry: ${oneLine(messageOf(error))}`, error);
  }
  const { logId, kindVersion, canonicalizedBody } = entry;
  if (logId === undefined || kindVersion === undefined || entry.inclusionProof === undefined)
    throw wrongAnswer(REKOR, url, 'gave an entry that lacks the proof of its inclusion');
  // Every kind of entry holds the signature like this; the verification looks at all of it.
  if (!canonicalizedBody.includes(signature.bytes.toString('base64')))
    throw wrongAnswer(REKOR, url, 'gave the entry of another signature');
  return { ...entry, logId, kindVersion };
}

/** Proposes an entry to a log. */
export function postEntry(url: URL, body: object, transport: Transport): Promise<HttpResponse> {
  const headers = { 'content-type': 'application/json', accept: 'application/json' };
  const request = { method: 'POST', url, headers, body: Buffer.from(JSON.stringify(body)) } as const;
  return askService(REKOR, request, transport);
}
