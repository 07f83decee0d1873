import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { ManifoldError, messageOf } from '../errors.ts';

/** The public half of a key that signatures are made with. */
export interface PublicKey {
  readonly key: KeyObject;
  /** Base64 of the SHA-256 of its DER form (SubjectPublicKeyInfo): what cosign puts into a bundle as `hint`. */
  readonly fingerprint: string;
}

/**
 * @param pem `-----BEGIN PUBLIC KEY-----`, as `cosign public-key` writes it
 * @param where how an error names it
 * @throws ManifoldError `signing-config`
 */
export function parsePublicKey(pem: string, where: string): PublicKey {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: pem, format: 'pem', type: 'spki' });
  } catch (error) {
    throw new ManifoldError('signing-config', `${where} holds no public key: ${messageOf(error)}.`, {
      hint: 'A public key is a file as "cosign public-key" writes it. It begins with "-----BEGIN PUBLIC KEY-----".',
      cause: error,
    });
  }
  const der = key.export({ format: 'der', type: 'spki' });
  return { key, fingerprint: createHash('sha256').update(der).digest('base64') };
}
