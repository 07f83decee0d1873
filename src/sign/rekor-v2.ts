import { createHash, type KeyObject } from 'node:crypto';
import type { TransparencyLogEntry } from '@sigstore/bundle';
import { ManifoldError } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import { baseUrl } from '../http/url.ts';
import { serviceFailure } from './failure.ts';
import { postEntry, REKOR, readEntry, type SignedContent, signedBytes } from './log-entry.ts';
import type { SignedBy } from './signer.ts';

/**
 * A log of version 2 has this very signature, and does not give out its entry a second time: an earlier try arrived
 * although its answer did not. Another signature over the same gets an entry of its own.
 */
export class LoggedAlready extends ManifoldError {
  constructor({ code, message, hint = '' }: ManifoldError) {
    super(code, message, { hint });
  }
}

/** rekor-tiles takes a DSSE envelope only as a hash of its pre-authentication encoding (rekor/v2/hashedrekord.proto). */
export async function logInVersion2(
  base: URL,
  content: SignedContent,
  transport: Transport,
): Promise<TransparencyLogEntry> {
  const { bytes, by } = content.signature;
  const entry = {
    hashedRekordRequestV002: {
      digest: createHash('sha256').update(signedBytes(content)).digest('base64'),
      signature: { content: bytes.toString('base64'), verifier: verifierOf(by) },
    },
  };
  const response = await postEntry(new URL('api/v2/log/entries', baseUrl(base)), entry, transport);
  if (response.status === 409) throw new LoggedAlready(serviceFailure(REKOR, response));
  if (response.status !== 200 && response.status !== 201) throw serviceFailure(REKOR, response);
  return readEntry(() => JSON.parse(response.body.toString('utf8')), content, response.url);
}

/** rekor/v2/verifier.proto. */
function verifierOf(by: SignedBy): object {
  if (by.kind === 'certificate') {
    const rawBytes = by.certificate.raw.toString('base64');
    return { keyDetails: 'PKIX_ECDSA_P256_SHA_256', x509Certificate: { rawBytes } };
  }
  const { key } = by.key;
  const rawBytes = key.export({ format: 'der', type: 'spki' }).toString('base64');
  return { keyDetails: KEY_DETAILS[keyKind(key)], publicKey: { rawBytes } };
}

/** Keys whose signatures a log of version 2 takes (sigstore_common.proto, PublicKeyDetails), by `keyKind`. */
export const KEY_DETAILS: Readonly<Record<string, string>> = {
  'ec prime256v1': 'PKIX_ECDSA_P256_SHA_256',
};

/** `ec prime256v1`, `rsa 3072`, `ed25519` */
export function keyKind(key: KeyObject): string {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  return [key.asymmetricKeyType, namedCurve ?? modulusLength].filter(part => part !== undefined).join(' ');
}
