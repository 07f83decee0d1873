import type { ManifoldError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import type { Finding, SignatureFault } from '../sign/finding.ts';
import type { Signatory } from '../sign/identity.ts';
import type { Provenance } from './provenance.ts';
import type { AttestationKind } from './statement.ts';

/** What can be asked of an image. */
export type Requirement = 'signatures' | 'provenance' | 'sbom';

/** What became of a signature: it counts, the policy does not take it, or it is faulty in itself. */
export type Outcome = 'accepted' | 'wrong-identity' | SignatureFault;

export interface JudgedSignature extends Finding {
  readonly outcome: Outcome;
  /** Why it does not count, as a sentence without its full stop; empty when it does. */
  readonly objection: string;
}

/** What is wrong with an attestation. */
export type AttestationFault =
  | SignatureFault
  | 'wrong-identity'
  /** Its predicate is of another type than the manifest around it says. */
  | 'wrong-type'
  /** Its provenance tells of another source or commit than was asked for. */
  | 'wrong-source'
  /** Its provenance does not tell what was asked for. */
  | 'no-source';

export interface Attestation {
  /** `buildkit`: a part of the image index. `referrer`: attached to the image as a signed bundle of its own. */
  readonly origin: 'buildkit' | 'referrer';
  /** The manifest that holds it. */
  readonly holder: Digest;
  /** The manifest that it is attached to; undefined where the index does not say which. */
  readonly about: Digest | undefined;
  readonly predicateType: string | undefined;
  readonly kind: AttestationKind;
  /** Undefined: it is what it should be. */
  readonly fault: AttestationFault | undefined;
  /** The fault as a sentence without its full stop. */
  readonly reason: string;
  /** Who signed it, by itself. One of BuildKit's is signed as a part of the image. */
  readonly signatory: Signatory | undefined;
  readonly provenance: Provenance | undefined;
  /** The format of an SBOM. */
  readonly format: string | undefined;
}

/** What a manifest is within the image. */
export type Role = 'index' | 'image' | 'attestation' | 'artifact';

/** One manifest of an image, with all that was found about it. */
export interface ManifestReport {
  readonly digest: Digest;
  readonly role: Role;
  /** Of an image, where it tells. */
  readonly platform: Platform | undefined;
  /** The image that an attestation manifest says it is about. */
  readonly about: Digest | undefined;
  /** Why it is not what the index names: `it is not in the registry`. */
  readonly broken: string | undefined;
  /** `unasked`: the index alone is asked for. `unknown`: it could not be told. */
  readonly signatures: readonly JudgedSignature[] | 'unasked' | 'unknown';
  /** Those of BuildKit that it holds, and those that are attached to it. */
  readonly attestations: readonly Attestation[];
  /** Predicate types of what else is attached to it, which was not looked into. */
  readonly otherAttestations: readonly string[];
  /** More attestations are attached to it than were read. */
  readonly isCut: boolean;
  /** What could not be read, so that nothing can be said of it. */
  readonly failures: readonly ManifoldError[];
}

export type ProblemKind =
  | 'missing-image'
  | 'broken-manifest'
  | 'unsigned'
  | 'missing-platform'
  | 'unexpected-platform'
  | 'doubled-platform'
  | 'missing-attestation'
  | 'broken-attestation'
  /** Nothing can be said: a registry did not answer well. */
  | 'unknown';

/** One thing that is not as it was asked for. */
export interface Problem {
  readonly kind: ProblemKind;
  /** What it is about: `the index`, `linux/arm64`, `the attestation manifest of linux/arm64`. */
  readonly about: string;
  readonly digest: Digest | undefined;
  /** A sentence without its full stop. */
  readonly message: string;
  /** What to do, as a sentence without its full stop. */
  readonly remedy: string;
}

export type Verdict = 'verified' | 'failed' | 'unknown';

export interface ImageReport {
  /** As the user named it, written out. */
  readonly image: string;
  /** What the name pointed at when it was asked, once; undefined where that could not be told. */
  readonly digest: Digest | undefined;
  /** The image first, then what is in it, in its order. */
  readonly manifests: readonly ManifestReport[];
  readonly problems: readonly Problem[];
  readonly verdict: Verdict;
}

/** What is wrong weighs more than what is not known: that can be told whatever else comes out. */
export function verdictOf(problems: readonly Problem[]): Verdict {
  if (problems.some(({ kind }) => kind !== 'unknown')) return 'failed';
  return problems.length === 0 ? 'verified' : 'unknown';
}

/** What people call a manifest of an image. @param manifests all of the image */
export function titleOf(manifest: ManifestReport, manifests: readonly ManifestReport[]): string {
  const { role, platform, about } = manifest;
  if (role === 'index') return manifest === manifests[0] ? 'the index' : 'an index within the index';
  if (role === 'artifact') return 'an artifact in the index';
  if (role === 'image')
    return platform === undefined ? 'an image without a platform' : formatPlatform(platform);
  const subject = manifests.find(({ digest }) => digest === about);
  return subject?.platform === undefined
    ? 'an attestation manifest'
    : `the attestation manifest of ${formatPlatform(subject.platform)}`;
}

export function signaturesOf({ signatures }: ManifestReport): readonly JudgedSignature[] {
  return typeof signatures === 'string' ? [] : signatures;
}

/** One good signature is enough. */
export function isSigned(manifest: ManifestReport): boolean {
  return signaturesOf(manifest).some(({ outcome }) => outcome === 'accepted');
}
