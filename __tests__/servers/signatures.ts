import { createHash, type KeyObject, sign } from 'node:crypto';
import type { TrustedRoot } from '@sigstore/protobuf-specs';
import { digestOf } from '../../src/oci/digest.ts';
import type { LegacySignature } from '../../src/sign/legacy-signature.ts';
import { CertificateAuthority, type Certified } from './certification.ts';
import { type LoggedEntry, TransparencyLog } from './log.ts';
import { type SigstoreParts, trustedRoot } from './sigstore.ts';
import { TimestampAuthority } from './timestamp-authority.ts';
import { newKeys, pem } from './x509.ts';

/** Whom the certificates of these tests name. */
export const NAME = 'https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1';
export const ISSUER = 'https://token.actions.githubusercontent.com';

/** How a signature is made, where it is not as usual. */
export interface Making {
  readonly certified?: Partial<Certified>;
  /** Made by this key, without any certificate but the one that is given. */
  readonly keys?: { readonly privateKey: KeyObject; readonly publicKey: KeyObject } | undefined;
  /** DER. */
  readonly certificate?: Buffer;
  readonly hint?: string;
  readonly payloadType?: string;
  /** The signed document instead of the usual one. */
  readonly payload?: object | string;
  readonly isLogged?: boolean;
  /** Of the log. The entries of the second tell no time, and name hashes only. */
  readonly logVersion?: 1 | 2;
  /** When the log is said to have taken it. */
  readonly loggedAt?: Date;
  readonly stampedAt?: Date | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: a test changes any part of it
export type Json = any; // oxlint-disable-line typescript/no-explicit-any

/** A signature in the older format as it is read from a registry. */
export function readFrom(
  { payload, annotations }: ReturnType<Foundry['legacy']>,
  changes: Partial<LegacySignature> = {},
): LegacySignature {
  return {
    digest: digestOf(payload),
    payload,
    problem: undefined,
    signature: annotations['dev.cosignproject.cosign/signature'],
    certificate: annotations['dev.sigstore.cosign/certificate'],
    chain: annotations['dev.sigstore.cosign/chain'],
    logEntry: annotations['dev.sigstore.cosign/bundle'],
    timestamp: annotations['dev.sigstore.cosign/rfc3161timestamp'],
    ...changes,
  };
}

/** A Sigstore without its servers, to make signatures of any kind by hand. */
export interface Foundry extends SigstoreParts {
  readonly root: TrustedRoot;
  /** A bundle as cosign 3 makes it, as JSON. */
  bundle(digest: string, making?: Making): Json;
  /** The payload and the annotations of a layer as cosign 2 makes it. */
  legacy(digest: string, making?: Making): { payload: Buffer; annotations: Record<string, string> };
  /** Any body as the log would enter it, as it stands in a bundle. */
  entry(body: Json, at?: Date): Json;
}

export function newFoundry(): Foundry {
  const authority = new CertificateAuthority();
  const transparency = new TransparencyLog();
  transparency.host = 'log.test';
  const parts = { authority, transparency, clock: new TimestampAuthority() };
  return {
    ...parts,
    root: trustedRoot(parts, 'http://log.test'),
    bundle: (digest, making = {}) => JSON.parse(JSON.stringify(makeBundle(parts, digest, making))),
    legacy: (digest, making = {}) => makeLegacy(parts, digest, making),
    entry: (body, at) => entryInBundle(transparency.record(body, at), body.kind, body.apiVersion),
  };
}

const base64 = (data: Uint8Array | string): string => Buffer.from(data).toString('base64');

export function statementOf(digest: string): Json {
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ digest: { sha256: digest.replace('sha256:', '') }, annotations: { by: 'hand' } }],
    predicateType: 'https://sigstore.dev/cosign/sign/v1',
    predicate: {},
  };
}

/** A key, and the PEM that a log knows it by. */
function signerOf({ authority }: SigstoreParts, making: Making) {
  const { keys, certified } = making;
  if (keys !== undefined && making.certificate !== undefined)
    return { ...keys, certificate: making.certificate, text: pem(making.certificate) };
  if (keys !== undefined) {
    const text = keys.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    return { privateKey: keys.privateKey, certificate: undefined, text };
  }
  const { privateKey, publicKey } = newKeys();
  const notBefore = new Date(Date.now() - 60_000);
  const certificate = authority.certify({ publicKey, name: NAME, issuer: ISSUER, notBefore, ...certified });
  return { privateKey, certificate, text: pem(certificate) };
}

const signed = (data: Buffer, key: KeyObject): Buffer =>
  sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', data, key);

function makeBundle(parts: SigstoreParts, digest: string, making: Making): Json {
  const { privateKey, certificate, text } = signerOf(parts, making);
  const { payloadType = 'application/vnd.in-toto+json', stampedAt } = making;
  const said = making.payload ?? statementOf(digest);
  const payload = Buffer.from(typeof said === 'string' ? said : JSON.stringify(said));
  const encoding = Buffer.concat([
    Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `),
    payload,
  ]);
  const signature = signed(encoding, privateKey);
  const envelope = { payload: base64(payload), payloadType, signatures: [{ sig: base64(signature) }] };
  const proposedContent = { envelope: JSON.stringify(envelope), verifiers: [base64(text)] };
  const enter = () =>
    making.logVersion === 2
      ? entryOfVersion2(parts, { encoding, signature, text })
      : entryInBundle(
          parts.transparency.enter({ kind: 'dsse', spec: { proposedContent } }, making.loggedAt),
          'dsse',
        );
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: {
      ...(certificate === undefined
        ? { publicKey: { hint: making.hint ?? hintOf(making) } }
        : { certificate: { rawBytes: base64(certificate) } }),
      tlogEntries: making.isLogged === false ? [] : [enter()],
      timestampVerificationData: { rfc3161Timestamps: stamps(parts, signature, stampedAt) },
    },
    dsseEnvelope: envelope,
  };
}

function hintOf({ keys }: Making): string {
  const der = keys?.publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256')
    .update(der ?? '')
    .digest('base64');
}

function stamps({ clock }: SigstoreParts, signature: Buffer, at: Date | undefined) {
  return at === undefined ? [] : [{ signedTimestamp: base64(clock.stamp(signature, at)) }];
}

/** An entry as it stands in a bundle. */
function entryInBundle(entry: LoggedEntry, kind: string, version = '0.0.1'): Json {
  const { signedEntryTimestamp, inclusionProof } = entry.verification;
  const fromHex = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');
  return {
    logIndex: String(entry.logIndex),
    logId: { keyId: fromHex(entry.logID) },
    kindVersion: { kind, version },
    integratedTime: String(entry.integratedTime),
    inclusionPromise: { signedEntryTimestamp },
    inclusionProof: {
      logIndex: String(inclusionProof.logIndex),
      rootHash: fromHex(inclusionProof.rootHash),
      treeSize: String(inclusionProof.treeSize),
      hashes: inclusionProof.hashes.map(fromHex),
      checkpoint: { envelope: inclusionProof.checkpoint },
    },
    canonicalizedBody: entry.body,
  };
}

/** rekor-tiles knows an envelope by the hash of its encoding, and promises nothing (rekor/v2/hashedrekord.proto). */
function entryOfVersion2(
  { transparency }: SigstoreParts,
  { encoding, signature, text }: { encoding: Buffer; signature: Buffer; text: string },
): Json {
  const rawBytes = text.replace(/-----.*?-----|\s/g, '');
  const named = text.includes('CERTIFICATE')
    ? { x509Certificate: { rawBytes } }
    : { publicKey: { rawBytes } };
  const verifier = { keyDetails: 'PKIX_ECDSA_P256_SHA_256', ...named };
  const data = { algorithm: 'SHA2_256', digest: createHash('sha256').update(encoding).digest('base64') };
  const hashedRekordV002 = { data, signature: { content: base64(signature), verifier } };
  const body = { apiVersion: '0.0.2', kind: 'hashedrekord', spec: { hashedRekordV002 } };
  const entry = entryInBundle(transparency.record(body), 'hashedrekord', '0.0.2');
  return { ...entry, integratedTime: '0', inclusionPromise: undefined };
}

export function payloadOf(digest: string): Json {
  return {
    critical: {
      identity: { 'docker-reference': 'ghcr.io/acme/app' },
      image: { 'docker-manifest-digest': digest },
      type: 'cosign container image signature',
    },
    optional: { by: 'hand' },
  };
}

function makeLegacy(parts: SigstoreParts, digest: string, making: Making) {
  const { privateKey, certificate, text } = signerOf(parts, making);
  const said = making.payload ?? payloadOf(digest);
  const payload = Buffer.from(typeof said === 'string' ? said : JSON.stringify(said));
  const signature = signed(payload, privateKey);
  const spec = {
    data: { hash: { algorithm: 'sha256', value: createHash('sha256').update(payload).digest('hex') } },
    signature: { content: base64(signature), publicKey: { content: base64(text) } },
  };
  const annotations: Record<string, string> = { 'dev.cosignproject.cosign/signature': base64(signature) };
  if (certificate !== undefined) {
    annotations['dev.sigstore.cosign/certificate'] = text;
    annotations['dev.sigstore.cosign/chain'] = pem(parts.authority.root.certificate);
  }
  if (making.isLogged !== false) {
    const { verification, ...Payload } = parts.transparency.enter(
      { kind: 'hashedrekord', spec },
      making.loggedAt,
    );
    const SignedEntryTimestamp = verification.signedEntryTimestamp;
    annotations['dev.sigstore.cosign/bundle'] = JSON.stringify({ SignedEntryTimestamp, Payload });
  }
  for (const { signedTimestamp } of stamps(parts, signature, making.stampedAt)) {
    const stamp = { SignedRFC3161Timestamp: signedTimestamp };
    annotations['dev.sigstore.cosign/rfc3161timestamp'] = JSON.stringify(stamp);
  }
  return { payload, annotations };
}
