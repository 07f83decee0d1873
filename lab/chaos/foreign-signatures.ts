import { sign } from 'node:crypto';
import type { TestSigstore } from '../../__tests__/servers/sigstore.ts';
import { newKeys, pem } from '../../__tests__/servers/x509.ts';

const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
/** Somebody else's workflow, whose name begins as ours does. */
const OTHER_WORKFLOW = 'https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main-of-another';

/** Makes signatures that are valid, and of somebody else: his identity differs from ours by its end alone. */
export class ForeignSigner {
  readonly #sigstore: TestSigstore;
  readonly #issuer: string;

  /** @param issuer of his identity, who is ours, too */
  constructor(sigstore: TestSigstore, issuer: string) {
    this.#sigstore = sigstore;
    this.#issuer = issuer;
  }

  /** @returns the text of a bundle */
  bundle(digest: string, mediaType: string): string {
    const statement = {
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ digest: { sha256: hexOf(digest) } }],
      predicateType: 'https://sigstore.dev/cosign/sign/v1',
      predicate: {},
    };
    const text = JSON.stringify(statement);
    const { signature, certificate, der } = this.#sign(
      Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${text.length} ${text}`),
    );
    const signatures = [{ sig: base64(signature) }];
    const dsseEnvelope = { payload: base64(text), payloadType: PAYLOAD_TYPE, signatures };
    const entry = this.#sigstore.transparency.enter({
      kind: 'dsse',
      spec: { proposedContent: { envelope: JSON.stringify(dsseEnvelope), verifiers: [base64(certificate)] } },
    });
    const { signedEntryTimestamp, inclusionProof } = entry.verification;
    const logged = {
      logIndex: String(entry.logIndex),
      logId: { keyId: fromHex(entry.logID) },
      kindVersion: { kind: 'dsse', version: '0.0.1' },
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
    const verificationMaterial = { certificate: { rawBytes: base64(der) }, tlogEntries: [logged] };
    return JSON.stringify({ mediaType, verificationMaterial, dsseEnvelope });
  }

  /** Signs simple signing. @returns the annotations of the layer */
  legacy(payload: Buffer, digest: string): Record<string, string> {
    const { signature, certificate } = this.#sign(payload);
    const { verification, ...Payload } = this.#sigstore.transparency.enter({
      kind: 'hashedrekord',
      spec: {
        data: { hash: { algorithm: 'sha256', value: hexOf(digest) } },
        signature: { content: base64(signature), publicKey: { content: base64(certificate) } },
      },
    });
    const SignedEntryTimestamp = verification.signedEntryTimestamp;
    return {
      'dev.cosignproject.cosign/signature': base64(signature),
      'dev.sigstore.cosign/certificate': certificate,
      'dev.sigstore.cosign/bundle': JSON.stringify({ SignedEntryTimestamp, Payload }),
    };
  }

  #sign(data: Buffer): { signature: Buffer; certificate: string; der: Buffer } {
    const { privateKey, publicKey } = newKeys();
    const der = this.#sigstore.authority.certify({ publicKey, name: OTHER_WORKFLOW, issuer: this.#issuer });
    return { signature: sign('sha256', data, privateKey), certificate: pem(der), der };
  }
}

const base64 = (data: Uint8Array | string): string => Buffer.from(data).toString('base64');
const fromHex = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');
const hexOf = (digest: string): string => digest.replace('sha256:', '');
