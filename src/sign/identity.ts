import { X509Certificate } from '@sigstore/core';
import { ManifoldError } from '../errors.ts';

/** Who signed, as the certificate says it. */
export interface Identity {
  /** Subject alternative name: `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1`. */
  readonly name: string;
  readonly issuer: string;
}

export function sameIdentity(a: Identity, b: Identity): boolean {
  return a.name === b.name && a.issuer === b.issuer;
}

/** Fulcio's certificate extension that names the issuer (fulcio/docs/oid-info.md, 1.3.6.1.4.1.57264.1.8). */
const ISSUER = '1.3.6.1.4.1.57264.1.8';

/**
 * The identity that a certificate gives to what is signed with it.
 * @param certificate DER
 * @throws ManifoldError `signing-failed`
 */
export function identityOf(certificate: Uint8Array): Identity {
  const parsed = X509Certificate.parse(Buffer.from(certificate));
  const name = parsed.subjectAltName;
  const issuer = parsed.extension(ISSUER)?.valueObj.subs[0]?.value.toString('utf8');
  if (name !== undefined && issuer !== undefined) return { name, issuer };
  throw new ManifoldError(
    'signing-failed',
    'The certificate authority gave a certificate that names no identity or no issuer.',
  );
}
