import type { Descriptor } from '../oci/manifest.ts';
import type { RepositoryClient } from '../registry/client.ts';
import type { Finding, SignatureFormat } from '../sign/finding.ts';
import { type Signatory, sameSignatory } from '../sign/identity.ts';
import { type ExpectedBundle, searchSignatures } from '../sign/search.ts';
import type { SignatureVerifier } from '../sign/signature-verifier.ts';
import type { SignatureAnnotations } from '../sign/statement.ts';

/** Manifests that are signed in some repositories. */
export interface SigningSubject {
  readonly component: string;
  /** Published before the root, so that nobody meets a signed index of unsigned images. */
  readonly children: readonly Descriptor[];
  /** What tags will point at. */
  readonly root: Descriptor;
  readonly repositories: readonly RepositoryClient[];
}

/** One manifest in one repository. */
export interface Place {
  readonly subject: SigningSubject;
  readonly repository: RepositoryClient;
  readonly manifest: Descriptor;
}

export function placesOf(subjects: readonly SigningSubject[]): Place[] {
  return subjects.flatMap(subject =>
    subject.repositories.flatMap(repository =>
      [...subject.children, subject.root].map(manifest => ({ subject, repository, manifest })),
    ),
  );
}

/** A signature that a place is to have. */
export interface Wanted {
  readonly place: Place;
  readonly format: SignatureFormat;
  readonly signatory: Signatory;
}

/** What all signatures of a merge have in common. */
export interface SignatureKind {
  readonly formats: readonly SignatureFormat[];
  readonly annotations: SignatureAnnotations;
  readonly verifier: SignatureVerifier;
}

/**
 * All signatures that the registry shows at a place, of the formats that matter.
 * @param expected bundles that should be among them, which are read at once
 */
export function search(
  { repository, manifest }: Place,
  { formats, verifier }: SignatureKind,
  expected: readonly ExpectedBundle[] = [],
): Promise<Finding[]> {
  return searchSignatures(repository, manifest.digest, verifier, { formats, isPresent: true, expected });
}

/** Tells whether a signature is what is wanted: valid for every verifier, of this signatory, with all that it is to carry. */
export function isWanted(
  finding: Finding,
  { signatory, format }: Wanted,
  annotations: SignatureAnnotations,
): boolean {
  return (
    finding.fault === undefined &&
    finding.isExact &&
    finding.format === format &&
    finding.signatory !== undefined &&
    sameSignatory(finding.signatory, signatory) &&
    Object.entries(annotations).every(([name, value]) => finding.annotations[name] === value)
  );
}
