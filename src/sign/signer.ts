import type { X509Certificate } from 'node:crypto';
import type { KeySignatory, Signatory } from './identity.ts';
import type { PublicKey } from './public-key.ts';

/** What makes signatures: a key of this process that a certificate vouches for, or a key of the user's own. */
export interface Signer {
  readonly signatory: Signatory;
  /**
   * Signs bytes: ECDSA or RSA over their SHA-256, or Ed25519 over themselves.
   * @throws ManifoldError `signing-failed`, `service-unreachable`
   */
  sign(data: Uint8Array): Promise<Signature>;
}

/** A signature, and by what it is checked. */
export interface Signature {
  /** As it stands in a bundle: DER for ECDSA. */
  readonly bytes: Buffer;
  readonly by: SignedBy;
}

export type SignedBy =
  | {
      readonly kind: 'certificate';
      readonly certificate: X509Certificate;
      /** Intermediate certificates and the root, which formats without a trusted root carry along. */
      readonly chain: readonly X509Certificate[];
    }
  | { readonly kind: KeySignatory['kind']; readonly key: PublicKey };
