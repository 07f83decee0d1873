import { type Digest, hexOf } from '../oci/digest.ts';
import { MEDIA_TYPE } from '../oci/manifest.ts';

/** The predicate type by which cosign 3 says "this image is signed" and nothing more. */
export const SIGNATURE_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PAYLOAD_TYPE = MEDIA_TYPE.inToto;

/** What `cosign sign -a` adds to a signature. */
export type SignatureAnnotations = Readonly<Record<string, string>>;

/**
 * The in-toto statement (attestation/spec/v1/statement.md) that `cosign sign` makes about a manifest.
 * @param annotations go with the subject (resource_descriptor.md), where cosign puts them
 */
export function signatureStatement(digest: Digest, annotations: SignatureAnnotations = {}): Buffer {
  const named = { digest: { sha256: hexOf(digest) } };
  const subject = [Object.keys(annotations).length === 0 ? named : { ...named, annotations }];
  return Buffer.from(
    JSON.stringify({ _type: STATEMENT_TYPE, subject, predicateType: SIGNATURE_PREDICATE, predicate: {} }),
  );
}

/** What a DSSE signature is made over (secure-systems-lab/dsse, protocol.md, "PAE"). Lengths are in bytes. */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.byteLength} `;
  return Buffer.concat([Buffer.from(head), payload]);
}
