import type { TransparencyLogEntry } from '@sigstore/bundle';
import { TransparencyLogEntry as EntryMessage } from '@sigstore/protobuf-specs';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import type { HttpResponse, Transport } from '../http/transport.ts';
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

/** Reads an entry in its protobuf JSON form (sigstore_rekor.proto, TransparencyLogEntry). */
export function readEntry(json: () => unknown): TransparencyLogEntry {
  let entry: EntryMessage;
  try {
    entry = EntryMessage.fromJSON(json());
  } catch (error) {
    throw new ManifoldError(
      'signing-failed',
      `Rekor answered with an illegible entry: ${oneLine(messageOf(error))}.`,
      { cause: error },
    );
  }
  const { logId, kindVersion } = entry;
  if (logId !== undefined && kindVersion !== undefined && entry.inclusionProof !== undefined)
    return { ...entry, logId, kindVersion };
  throw new ManifoldError(
    'signing-failed',
    'Rekor answered with an entry that lacks the proof of its inclusion.',
  );
}

/** Proposes an entry to a log. */
export function postEntry(url: URL, body: object, transport: Transport): Promise<HttpResponse> {
  const headers = { 'content-type': 'application/json', accept: 'application/json' };
  return transport.request({ method: 'POST', url, headers, body: Buffer.from(JSON.stringify(body)) });
}
