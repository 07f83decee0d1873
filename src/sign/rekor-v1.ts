import { createHash } from 'node:crypto';
import type { TransparencyLogEntry } from '@sigstore/bundle';
import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import type { HttpResponse, Transport } from '../http/transport.ts';
import { baseUrl, followUrl } from '../http/url.ts';
import { askService, GOES_ON, serviceFailure, wrongAnswer } from './failure.ts';
import { postEntry, REKOR, readEntry, type SignedContent } from './log-entry.ts';

const inclusionProof = v.object({
  logIndex: v.number(),
  rootHash: v.string(),
  treeSize: v.number(),
  hashes: v.array(v.string()),
  checkpoint: v.string(),
});
const entryVersion1 = v.object({
  body: v.string(),
  integratedTime: v.number(),
  logID: v.string(),
  logIndex: v.number(),
  verification: v.object({ signedEntryTimestamp: v.string(), inclusionProof }),
});
type LoggedEntry = v.InferOutput<typeof entryVersion1>;
const answerVersion1 = v.record(v.string(), entryVersion1);

/** Rekor v1 (rekor/openapi.yaml, createLogEntry): what the public Sigstore runs. */
export async function logInVersion1(
  base: URL,
  content: SignedContent,
  transport: Transport,
): Promise<TransparencyLogEntry> {
  const entry = proposedEntry(content);
  let response = await postEntry(new URL('api/v1/log/entries', baseUrl(base)), entry, transport);
  const { location } = response.headers;
  if (response.status === 409 && location !== undefined) {
    // An earlier try arrived although its answer did not: the entry is there, and is ours.
    const url = followUrl(location, response.url);
    const headers = { accept: 'application/json' };
    response = await askService(REKOR, { method: 'GET', url, headers }, transport);
  }
  if (response.status !== 200 && response.status !== 201) throw serviceFailure(REKOR, response);
  const logged = onlyEntry(response);
  return readEntry(() => fromVersion1(logged, entry.kind), content, response.url);
}

function onlyEntry({ body, url }: HttpResponse): LoggedEntry {
  const what = `the answer of Rekor (${url.origin})`;
  const reading = { code: 'signing-failed', hint: GOES_ON } as const;
  const [logged] = Object.values(parseDocument(answerVersion1, body, what, reading));
  if (logged === undefined) throw wrongAnswer(REKOR, url, 'gave no entry');
  return logged;
}

/** An entry of type `dsse` 0.0.1 for an envelope, else of type `hashedrekord` 0.0.1. */
function proposedEntry({ payload, payloadType, signature: { bytes, by } }: SignedContent) {
  const pem =
    by.kind === 'certificate'
      ? by.certificate.toString()
      : by.key.key.export({ format: 'pem', type: 'spki' });
  const verifier = Buffer.from(pem).toString('base64');
  const signature = bytes.toString('base64');
  if (payloadType === undefined) {
    const hash = { algorithm: 'sha256', value: createHash('sha256').update(payload).digest('hex') };
    const spec = { data: { hash }, signature: { content: signature, publicKey: { content: verifier } } };
    return { apiVersion: '0.0.1', kind: 'hashedrekord', spec };
  }
  const envelope = { payloadType, payload: payload.toString('base64'), signatures: [{ sig: signature }] };
  const spec = { proposedContent: { envelope: JSON.stringify(envelope), verifiers: [verifier] } };
  return { apiVersion: '0.0.1', kind: 'dsse', spec };
}

/** In the protobuf JSON form. */
function fromVersion1(logged: LoggedEntry, kind: string): object {
  const { signedEntryTimestamp, inclusionProof: proof } = logged.verification;
  const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');
  return {
    logIndex: String(logged.logIndex),
    logId: { keyId: base64(logged.logID) },
    kindVersion: { kind, version: '0.0.1' },
    integratedTime: String(logged.integratedTime),
    inclusionPromise: { signedEntryTimestamp },
    inclusionProof: {
      logIndex: String(proof.logIndex),
      rootHash: base64(proof.rootHash),
      treeSize: String(proof.treeSize),
      hashes: proof.hashes.map(base64),
      checkpoint: { envelope: proof.checkpoint },
    },
    canonicalizedBody: logged.body,
  };
}
