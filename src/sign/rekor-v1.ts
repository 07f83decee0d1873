import { createHash } from 'node:crypto';
import type { TransparencyLogEntry } from '@sigstore/bundle';
import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import { baseUrl, followUrl } from '../http/url.ts';
import { serviceFailure } from './failure.ts';
import { postEntry, readEntry, type SignedContent } from './log-entry.ts';

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
    response = await transport.request({
      method: 'GET',
      url: followUrl(location, response.url),
      headers: { accept: 'application/json' },
    });
  }
  if (response.status !== 200 && response.status !== 201)
    throw serviceFailure('The transparency log Rekor', response);
  const [logged] = Object.values(
    parseDocument(answerVersion1, response.body, 'the answer of Rekor', { code: 'signing-failed' }),
  );
  if (logged === undefined) throw new ManifoldError('signing-failed', 'Rekor answered without an entry.');
  return fromVersion1(logged, entry.kind);
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

function fromVersion1(logged: v.InferOutput<typeof entryVersion1>, kind: string): TransparencyLogEntry {
  const { signedEntryTimestamp, inclusionProof: proof } = logged.verification;
  const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');
  return readEntry(() => ({
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
  }));
}
