import { type KeyObject, verify } from 'node:crypto';

/** What cosign hashes with, and what the curve itself asks for (RFC 5656, section 6.2.1), which other tools take. */
const HASHES_OF_CURVE: Readonly<Record<string, readonly string[]>> = {
  prime256v1: ['sha256'],
  secp384r1: ['sha256', 'sha384'],
  secp521r1: ['sha256', 'sha512'],
};

/** Tells whether a key has made this signature: ECDSA (in DER) or RSA (PKCS #1 1.5) over a hash, Ed25519 over the data itself. */
export function isSignedBy(key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  return hashesFor(key).some(hash => verify(hash, data, key, signature));
}

function hashesFor({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly (string | null)[] {
  if (asymmetricKeyType === 'ed25519') return [null];
  if (asymmetricKeyType === 'rsa') return ['sha256'];
  return HASHES_OF_CURVE[asymmetricKeyDetails?.namedCurve ?? ''] ?? [];
}
