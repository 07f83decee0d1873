import { createHash, type KeyObject, sign } from 'node:crypto';
import { newKeys } from './x509.ts';

/** What the log's API takes, by its kinds (rekor/openapi.yaml, `ProposedEntry`). */
export type ProposedEntry =
  | {
      readonly kind: 'dsse';
      readonly spec: {
        readonly proposedContent: { readonly envelope: string; readonly verifiers: readonly string[] };
      };
    }
  | { readonly kind: 'hashedrekord'; readonly spec: HashedRekord };

interface HashedRekord {
  readonly data: { readonly hash: { readonly algorithm: string; readonly value: string } };
  /** Base64: the signature, and a certificate or public key in PEM. */
  readonly signature: { readonly content: string; readonly publicKey: { readonly content: string } };
}

/** An entry as the log's API gives it. */
export interface LoggedEntry {
  readonly body: string;
  readonly integratedTime: number;
  readonly logID: string;
  readonly logIndex: number;
  readonly verification: { readonly signedEntryTimestamp: string; readonly inclusionProof: InclusionProof };
}

interface InclusionProof {
  readonly logIndex: number;
  readonly rootHash: string;
  readonly treeSize: number;
  readonly hashes: readonly string[];
  readonly checkpoint: string;
}

/** The key of a log, by which its words are known. */
export class LogKey {
  readonly privateKey: KeyObject;
  readonly spki: Buffer;
  readonly id: Buffer;

  constructor() {
    const { privateKey, publicKey } = newKeys();
    this.privateKey = privateKey;
    this.spki = publicKey.export({ type: 'spki', format: 'der' });
    this.id = sha256(this.spki);
  }

  sign(data: Buffer): Buffer {
    return sign('sha256', data, this.privateKey);
  }
}

/** Rekor v1, whose promises and proofs really verify. */
export class TransparencyLog {
  readonly key = new LogKey();
  /** Names the log in its checkpoints. */
  host = '';
  /** Milliseconds from when an entry comes until it is said to have come. */
  lag = 1000;
  #entries = 1;

  /** @param at when the entry is said to have come, in whole seconds */
  enter(proposed: ProposedEntry, at?: Date): LoggedEntry {
    const { kind, spec } = proposed;
    const body = kind === 'dsse' ? ofEnvelope(spec.proposedContent) : ofHash(spec);
    return this.record({ apiVersion: '0.0.1', kind, spec: body }, at);
  }

  /** Enters any body, as a log would that takes everything. */
  record(body: object, at = new Date(Date.now() + this.lag)): LoggedEntry {
    const canonical = Buffer.from(JSON.stringify(body));
    // In the order of the canonical form of JSON (RFC 8785).
    const entry = {
      body: canonical.toString('base64'),
      integratedTime: Math.floor(at.getTime() / 1000),
      logID: this.key.id.toString('hex'),
      logIndex: this.#entries++,
    };
    const signedEntryTimestamp = this.key.sign(Buffer.from(JSON.stringify(entry))).toString('base64');
    return { ...entry, verification: { signedEntryTimestamp, inclusionProof: this.#proof(canonical) } };
  }

  /** Every entry is the second of a tree of its own: what is proved is that the parts fit, not how trees grow (RFC 6962, 2.1). */
  #proof(content: Buffer): InclusionProof {
    const hash = (prefix: number, ...parts: Buffer[]) =>
      sha256(Buffer.concat([Buffer.from([prefix]), ...parts]));
    const sibling = hash(0, Buffer.from('another entry'));
    const root = hash(1, sibling, hash(0, content));
    // By the number of its tree a verifier knows that the checkpoint is one of version 1 (sigstore-go, hasRekorV1STH).
    const note = `${this.host} - 1\n2\n${root.toString('base64')}\n`;
    const line = Buffer.concat([this.key.id.subarray(0, 4), this.key.sign(Buffer.from(note))]);
    const checkpoint = `${note}\n— ${this.host} ${line.toString('base64')}\n`;
    const hashes = [sibling.toString('hex')];
    return { logIndex: 1, rootHash: root.toString('hex'), treeSize: 2, hashes, checkpoint };
  }
}

interface Envelope {
  readonly payload: string;
  readonly signatures: readonly { readonly sig: string }[];
}

function ofEnvelope({ envelope, verifiers }: { envelope: string; verifiers: readonly string[] }): object {
  const { payload, signatures } = JSON.parse(envelope) as Envelope;
  const hash = (bytes: Buffer) => ({ algorithm: 'sha256', value: sha256(bytes).toString('hex') });
  return {
    envelopeHash: hash(Buffer.from(envelope)),
    payloadHash: hash(Buffer.from(payload, 'base64')),
    signatures: signatures.map(({ sig }) => ({ signature: sig, verifier: verifiers[0] })),
  };
}

/** Node checks no signature by a hash that somebody else made: it is taken unseen. */
function ofHash({ data: { hash }, signature }: HashedRekord): object {
  const { algorithm, value } = hash;
  const { content, publicKey } = signature;
  return {
    data: { hash: { algorithm, value } },
    signature: { content, publicKey: { content: publicKey.content } },
  };
}

export const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
