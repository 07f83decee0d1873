import { type Digest, hexOf } from '../oci/digest.ts';
import { MEDIA_TYPE } from '../oci/manifest.ts';

/** The predicate type by which cosign 3 says "this image is signed" and nothing more. */
export const SIGNATURE_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PAYLOAD_TYPE = MEDIA_TYPE.inToto;

/** The in-toto statement (attestation/spec/v1/statement.md) that `cosign sign` makes about a manifest. */
export function signatureStatement(digest: Digest): Buffer {
  const subject = [{ digest: { sha256: hexOf(digest) } }];
  return Buffer.from(
    JSON.stringify({ _type: STATEMENT_TYPE, subject, predicateType: SIGNATURE_PREDICATE, predicate: {} }),
  );
}

/** What a DSSE signature is made over (secure-systems-lab/dsse, protocol.md, "PAE"). Lengths are in bytes. */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.byteLength} `;
  return Buffer.concat([Buffer.from(head), payload]);
}
