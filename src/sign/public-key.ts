import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { ManifoldError, oneLine } from '../errors.ts';

/** The public half of a key that signatures are made with. */
export interface PublicKey {
  readonly key: KeyObject;
  /** Base64 of the SHA-256 of its DER form (SubjectPublicKeyInfo): what cosign puts into a bundle as `hint`. */
  readonly fingerprint: string;
}

/**
 * @param pem `-----BEGIN PUBLIC KEY-----`, as `cosign public-key` writes it
 * @param where how an error names it
 * @throws ManifoldError `key-unusable`
 */
export function parsePublicKey(pem: string, where: string): PublicKey {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: pem, format: 'pem', type: 'spki' });
  } catch (error) {
    throw new ManifoldError('key-unusable', `${where} holds no public key: ${whatIs(pem)}.`, {
      hint: 'A public key is a file as "cosign public-key" writes it. It begins with "-----BEGIN PUBLIC KEY-----".',
      cause: error,
    });
  }
  const der = key.export({ format: 'der', type: 'spki' });
  return { key, fingerprint: createHash('sha256').update(der).digest('base64') };
}

/** What stands in the place of a key, by the label of its PEM (RFC 7468). */
function whatIs(text: string): string {
  const label = /-----BEGIN (?<label>[A-Z0-9 ]{1,60})-----/.exec(text)?.groups?.label;
  if (label === undefined) return 'it has no line "-----BEGIN PUBLIC KEY-----"';
  const isKey = label === 'PUBLIC KEY';
  return isKey
    ? 'what follows "-----BEGIN PUBLIC KEY-----" is broken'
    : `it is of the kind "${oneLine(label)}"`;
}
