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

/** What a certificate of Fulcio says about a workflow beyond its name (fulcio/docs/oid-info.md). All are addresses or plain words. */
export interface CertificateClaims {
  /** The repository whose run it was, `https://github.com/acme/app`: of a reusable workflow, the caller's. */
  readonly sourceRepository: string | undefined;
  /** The commit, and its ref, of that repository. */
  readonly sourceRevision: string | undefined;
  readonly sourceRef: string | undefined;
  /** The workflow that the run began with. */
  readonly buildConfig: string | undefined;
  /** The run and its attempt. */
  readonly run: string | undefined;
}

/** Who made a signature: somebody whom a certificate names, or whoever holds a key. */
export type Signatory = CertifiedSignatory | KeySignatory;

export interface CertifiedSignatory {
  readonly kind: 'certificate';
  readonly identity: Identity;
  /** Undefined where nothing but the identity is known, as no certificate was seen yet. */
  readonly claims?: Partial<CertificateClaims>;
}

export interface KeySignatory {
  readonly kind: 'key';
  /** Base64 of the SHA-256 of the public key (DER, SubjectPublicKeyInfo): what cosign puts into a bundle as `hint`. */
  readonly fingerprint: string;
}

/**
 * Tells whether two signatures are of the same hand. A reusable workflow signs by one name for all who call it: whose run it
 * was, where both tell, makes the difference. What else their certificates say may differ.
 */
export function sameSignatory(a: Signatory, b: Signatory): boolean {
  if (a.kind === 'key' || b.kind === 'key')
    return a.kind === 'key' && b.kind === 'key' && a.fingerprint === b.fingerprint;
  const [ours, theirs] = [a.claims?.sourceRepository, b.claims?.sourceRepository];
  const isOfOneSource = ours === undefined || theirs === undefined || ours === theirs;
  return sameIdentity(a.identity, b.identity) && isOfOneSource;
}

/** Who it is, in words for a log. */
export function nameOf(signatory: Signatory): string {
  return signatory.kind === 'certificate' ? signatory.identity.name : `the key ${signatory.fingerprint}`;
}

/** Fulcio's certificate extensions (fulcio/docs/oid-info.md), each a UTF8String in DER. */
const FULCIO = '1.3.6.1.4.1.57264.1';

/**
 * Whom a certificate names, and what it says of the run.
 * @param certificate DER
 * @throws ManifoldError `signing-failed` for one that names no identity or no issuer
 */
export function signatoryOf(certificate: Uint8Array): CertifiedSignatory & { claims: CertificateClaims } {
  const parsed = X509Certificate.parse(Buffer.from(certificate));
  const read = (extension: number): string | undefined =>
    parsed.extension(`${FULCIO}.${extension}`)?.valueObj.subs[0]?.value.toString('utf8');
  const name = parsed.subjectAltName;
  const issuer = read(8);
  if (name === undefined || issuer === undefined) {
    const lacking = name === undefined ? 'identity (subject alternative name)' : `issuer (${FULCIO}.8)`;
    throw new ManifoldError('signing-failed', `A certificate names no ${lacking}.`, {
      hint: 'Fulcio writes both into every certificate. Check which certificate authority signs: the input "signing-config" names it for a Sigstore of your own.',
    });
  }
  const claims = {
    sourceRepository: read(12),
    sourceRevision: read(13),
    sourceRef: read(14),
    buildConfig: read(18),
    run: read(21),
  };
  return { kind: 'certificate', identity: { name, issuer }, claims };
}
