import type { Digest } from '../oci/digest.ts';
import type { Signatory } from './identity.ts';

/** How a signature is attached: a Sigstore bundle as a referrer, or simple signing under the tag `sha256-<hex>.sig`. */
export type SignatureFormat = 'bundle' | 'legacy';

/** What is wrong with a signature. */
export type SignatureFault =
  /** It is not made over this content by the key that it names. */
  | 'bad-signature'
  /** Nobody in the trusted root vouches for its certificate, or the key is none of those given. */
  | 'untrusted'
  /** It was made before its certificate was valid, or after. */
  | 'outside-validity'
  /** No transparency log has it, although one should. */
  | 'no-log-entry'
  /** Its log entry is not of a log in the trusted root, is about something else, or its proof does not hold. */
  | 'bad-log-entry'
  /** Nothing tells when it was made. */
  | 'no-timestamp'
  /** Its time stamp is not of an authority in the trusted root, or is about something else. */
  | 'bad-timestamp'
  /** It states something else than "this image is signed". */
  | 'wrong-predicate'
  /** It is about another image than the one that it is attached to. */
  | 'wrong-subject'
  /** It cannot be read: no bundle, broken JSON, too large, or gone. */
  | 'illegible';

/** One signature of a manifest, as it was found in a registry. */
export interface Finding {
  readonly format: SignatureFormat;
  /** Of the referrer that holds the bundle; of the layer that holds the payload. */
  readonly digest: Digest;
  /** Undefined: it is valid. */
  readonly fault: SignatureFault | undefined;
  /** The fault as a sentence without its full stop: `its certificate was valid until …, it was made at …`. Empty when valid. */
  readonly reason: string;
  /** Whom it claims to be of; only for a valid one is that proved. Undefined where that cannot be read. */
  readonly signatory: Signatory | undefined;
  /** Written so that every verifier reads it, and not ours alone. */
  readonly isExact: boolean;
  /** What `cosign sign -a` adds. */
  readonly annotations: Readonly<Record<string, string>>;
}
