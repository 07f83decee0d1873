import { createHash, type X509Certificate } from 'node:crypto';
import type { TransparencyLogEntry } from '@sigstore/bundle';
import { TransparencyLogEntry as EntryMessage } from '@sigstore/protobuf-specs';
import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import { baseUrl, followUrl } from '../http/url.ts';
import { serviceFailure } from './failure.ts';
import type { TransparencyLog } from './services.ts';
import { preAuthenticationEncoding } from './statement.ts';

/** A DSSE envelope with one signature, and the certificate that it is checked by. */
export interface SignedEnvelope {
  readonly payloadType: string;
  readonly payload: Buffer;
  readonly signature: Buffer;
  readonly certificate: X509Certificate;
}

/**
 * Enters a signature into a transparency log and brings back the proof.
 * @throws ManifoldError `signing-failed`, `service-unreachable`
 */
export function logSignature(
  log: TransparencyLog,
  envelope: SignedEnvelope,
  transport: Transport,
): Promise<TransparencyLogEntry> {
  return log.version === 2
    ? logInVersion2(log.url, envelope, transport)
    : logInVersion1(log.url, envelope, transport);
}

/** rekor-tiles takes a DSSE envelope only as a hash of its pre-authentication encoding (rekor/v2/hashedrekord.proto). */
async function logInVersion2(
  base: URL,
  envelope: SignedEnvelope,
  transport: Transport,
): Promise<TransparencyLogEntry> {
  const encoded = preAuthenticationEncoding(envelope.payloadType, envelope.payload);
  const entry = {
    hashedRekordRequestV002: {
      digest: createHash('sha256').update(encoded).digest('base64'),
      signature: {
        content: envelope.signature.toString('base64'),
        verifier: {
          keyDetails: 'PKIX_ECDSA_P256_SHA_256',
          x509Certificate: { rawBytes: envelope.certificate.raw.toString('base64') },
        },
      },
    },
  };
  const response = await post(new URL('api/v2/log/entries', baseUrl(base)), entry, transport);
  if (response.status !== 200 && response.status !== 201)
    throw serviceFailure('The transparency log Rekor', response);
  return readEntry(() => JSON.parse(response.body.toString('utf8')));
}

/** Reads an entry in its protobuf JSON form (sigstore_rekor.proto, TransparencyLogEntry). */
function readEntry(json: () => unknown): TransparencyLogEntry {
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

/** Rekor v1 (rekor/openapi.yaml, createLogEntry), entry type `dsse` 0.0.1: what the public Sigstore runs. */
async function logInVersion1(
  base: URL,
  envelope: SignedEnvelope,
  transport: Transport,
): Promise<TransparencyLogEntry> {
  const { payloadType, payload, signature, certificate } = envelope;
  const dsse = {
    payloadType,
    payload: payload.toString('base64'),
    signatures: [{ sig: signature.toString('base64') }],
  };
  const verifiers = [Buffer.from(certificate.toString()).toString('base64')];
  const entry = {
    apiVersion: '0.0.1',
    kind: 'dsse',
    spec: { proposedContent: { envelope: JSON.stringify(dsse), verifiers } },
  };
  let response = await post(new URL('api/v1/log/entries', baseUrl(base)), entry, transport);
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
  return fromVersion1(logged);
}

function fromVersion1(logged: v.InferOutput<typeof entryVersion1>): TransparencyLogEntry {
  const { signedEntryTimestamp, inclusionProof: proof } = logged.verification;
  const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');
  return readEntry(() => ({
    logIndex: String(logged.logIndex),
    logId: { keyId: base64(logged.logID) },
    kindVersion: { kind: 'dsse', version: '0.0.1' },
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

function post(url: URL, body: object, transport: Transport) {
  const headers = { 'content-type': 'application/json', accept: 'application/json' };
  return transport.request({ method: 'POST', url, headers, body: Buffer.from(JSON.stringify(body)) });
}
