import { X509Certificate } from 'node:crypto';
import type { Bundle } from '@sigstore/bundle';
import type { TrustedRoot } from '@sigstore/protobuf-specs';
import {
  type SignedEntity,
  type TrustMaterial,
  toSignedEntity,
  toTrustMaterial,
  Verifier,
} from '@sigstore/verify';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import { diagnose, timeOf } from './diagnosis.ts';
import { Flaw, flawOf, orFlaw } from './flaw.ts';
import { type Signatory, signatoryOf } from './identity.ts';
import { type KnownCertificate, KnownCertificates } from './known-certificates.ts';
import { requireLoggedKey } from './logged-key.ts';
import type { PublicKey } from './public-key.ts';
import { isSignedBy } from './public-key-check.ts';

/** Whom to believe. */
export interface Trust {
  /** Authorities, logs and clocks. Without it nothing that a certificate vouches for is trusted. */
  readonly root: TrustedRoot | undefined;
  /** Keys whose holders are trusted. */
  readonly keys: readonly PublicKey[];
  /**
   * Whether what a key has signed must be in a log of the trusted root, as what a certificate vouches for always must.
   * Default true; without a trusted root there is no log to ask for.
   */
  readonly requireLog?: boolean;
}

/** What a signature is checked by. */
type Material = Bundle['verificationMaterial']['content'];

/** What both formats of signatures come down to. */
export interface Signed {
  /** Signature, witnesses, and what the signature is checked by, as a bundle has them. */
  readonly bundle: Bundle;
  /** What the signature is made over: the pre-authentication encoding of an envelope, or a payload. */
  readonly data: Buffer;
}

/** What the file of a trusted root can hold although it can be read: keys that are none, certificates that are missing. */
function materialOfRoot(root: TrustedRoot): TrustMaterial {
  try {
    return toTrustMaterial(root);
  } catch (error) {
    throw new ManifoldError(
      'signing-config',
      `The trusted root cannot be used: ${oneLine(messageOf(error))}.`,
      {
        hint: 'The input "trusted-root" takes the file that "cosign trusted-root create" writes.',
        cause: error,
      },
    );
  }
}

/** Holds signatures against what is trusted. */
export class Verification {
  readonly #keys: readonly PublicKey[];
  readonly #isLogNeeded: boolean;
  readonly #material: TrustMaterial | undefined;
  readonly #certificates = new KnownCertificates();

  constructor({ root, keys, requireLog = true }: Trust) {
    this.#keys = keys;
    this.#isLogNeeded = requireLog;
    this.#material = root && materialOfRoot(root);
  }

  /**
   * Tells who made a signature.
   * @throws Flaw for one that is not valid
   */
  signatory(signed: Signed): Signatory {
    const material = signed.bundle.verificationMaterial.content;
    if (material.$case === 'publicKey') return this.#ofKey(signed, material.publicKey.hint);
    return this.#ofCertificate(signed, certificateOf(material));
  }

  #ofCertificate(signed: Signed, der: Buffer): Signatory {
    const material = this.#material;
    if (material === undefined) {
      throw new Flaw(
        'untrusted',
        'a certificate vouches for it, and no trusted root was given to check that by',
      );
    }
    const known = this.#certificates.find(der);
    if (known !== undefined && isSignedByKnown(signed, known, material)) return known.signatory;
    const { publicKey: key } = orFlaw(
      'illegible',
      'its certificate cannot be read',
      () => new X509Certificate(der),
    );
    const entity = entityOf(signed);
    try {
      new Verifier(material).verify(entity);
    } catch (refusal) {
      throw diagnose({ entity, key, isLogNeeded: true, material, refusal });
    }
    for (const entry of entity.tlogEntries) requireLoggedKey(entry, key);
    const nameless = 'its certificate names no identity or no issuer';
    const signatory = orFlaw('untrusted', nameless, () => signatoryOf(der));
    this.#certificates.remember(der, entity.timestamps.flatMap(timeOf), { key, signatory });
    return signatory;
  }

  #ofKey(signed: Signed, hint: string): Signatory {
    const signature = signatureOf(signed.bundle);
    if (this.#keys.length === 0)
      throw new Flaw('untrusted', 'it is made with a key, and no key was given to check it by');
    const named = this.#keys.filter(({ fingerprint }) => fingerprint === hint);
    // Some tools leave the hint empty, or have names of their own for keys.
    const candidates = named.length > 0 ? named : this.#keys;
    const found = candidates.find(({ key }) => isSignedBy(key, signed.data, signature));
    if (found === undefined) {
      throw named.length > 0
        ? new Flaw('bad-signature', 'its key did not make it over this content')
        : new Flaw('untrusted', 'none of the keys that were given made it over this content');
    }
    const signatory: Signatory = { kind: 'key', fingerprint: found.fingerprint };
    try {
      if (this.#material !== undefined) this.#requireWitnesses(signed, found, this.#material);
    } catch (error) {
      const { fault, message } = flawOf(error);
      throw new Flaw(fault, message, error, signatory);
    }
    return signatory;
  }

  /** A key needs nobody to tell the time; but what is there must hold. */
  #requireWitnesses(signed: Signed, { key }: PublicKey, trusted: TrustMaterial): void {
    const isLogNeeded = this.#isLogNeeded;
    const material = { ...trusted, publicKey: () => ({ publicKey: key, validFor: () => true }) };
    const entity = entityOf(signed, content => ({
      signature: content.signature,
      compareSignature: bytes => content.compareSignature(bytes),
      compareDigest: digest => content.compareDigest(digest),
      compareSignedDigest: digest => content.compareSignedDigest(digest),
      // The library takes the hash of the curve only, or that of the message.
      verifySignature: () => isSignedBy(key, signed.data, content.signature),
    }));
    const thresholds = { tlogThreshold: isLogNeeded ? 1 : 0, timestampThreshold: 0, ctlogThreshold: 0 };
    try {
      new Verifier(material, thresholds).verify(entity);
    } catch (refusal) {
      throw diagnose({ entity, key, isLogNeeded, material, refusal });
    }
    for (const entry of entity.tlogEntries) requireLoggedKey(entry, key);
  }
}

/**
 * Verifies all but the certificate, which was good at just these times before. Only a yes counts: what is wrong is found
 * out with the certificate.
 */
function isSignedByKnown({ bundle, data }: Signed, known: KnownCertificate, trusted: TrustMaterial): boolean {
  const { key: publicKey, times } = known;
  const content: Material = { $case: 'publicKey', publicKey: { hint: '' } };
  const verificationMaterial = { ...bundle.verificationMaterial, content };
  const isValid = (time: Date): boolean => times.has(time.getTime());
  try {
    const entity = toSignedEntity({ ...bundle, verificationMaterial }, data);
    const material = { ...trusted, publicKey: () => ({ publicKey, validFor: isValid }) };
    new Verifier(material).verify(entity);
    for (const entry of entity.tlogEntries) requireLoggedKey(entry, publicKey);
    return true;
  } catch {
    return false;
  }
}

/** Whom a signature names, be it valid or not; undefined where it names nobody legibly. */
export function claimedSignatory(content: Material): Signatory | undefined {
  if (content.$case === 'publicKey') {
    const { hint } = content.publicKey;
    return hint === '' ? undefined : { kind: 'key', fingerprint: oneLine(hint) };
  }
  try {
    return signatoryOf(certificateOf(content));
  } catch {
    return undefined;
  }
}

/** In DER. Older bundles have a chain, whose first certificate it is. */
function certificateOf(content: Material): Buffer {
  const certificate =
    content.$case === 'x509CertificateChain'
      ? content.x509CertificateChain.certificates[0]
      : content.$case === 'certificate'
        ? content.certificate
        : undefined;
  return certificate?.rawBytes ?? Buffer.alloc(0);
}

function signatureOf({ content }: Bundle): Buffer {
  return content.$case === 'dsseEnvelope'
    ? (content.dsseEnvelope.signatures[0]?.sig ?? Buffer.alloc(0))
    : content.messageSignature.signature;
}

type Content = SignedEntity['signature'];

function entityOf({ bundle, data }: Signed, adapt = (content: Content): Content => content): SignedEntity {
  const reason = 'its time stamp cannot be read';
  // Certificates were read before, so that all that is left to fail are time stamps.
  const entity = orFlaw('bad-timestamp', reason, () => toSignedEntity(bundle, data));
  return { ...entity, signature: adapt(entity.signature) };
}
