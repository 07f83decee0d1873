import type { Digest } from '../oci/digest.ts';
import type { Demands } from './demands.ts';
import {
  type Attestation,
  isSigned,
  type ManifestReport,
  type Problem,
  signaturesOf,
  titleOf,
} from './report.ts';
import { type Believed, remedyFor, signatureRemedy } from './signature-remedies.ts';
import type { AttestationKind } from './statement.ts';

const NAMES = { provenance: 'provenance', sbom: 'SBOM' } as const;
type Wanted = keyof typeof NAMES;

/**
 * What is wrong with the attestations that were asked for. Each image needs one of its own, either of BuildKit's in the
 * index or a signed one that is attached to it; a signed one about the index counts for all that the index names.
 * @param manifests the image first, then what is in it
 */
export function findAttestationProblems(manifests: readonly ManifestReport[], asked: Demands): Problem[] {
  const { requirements } = asked;
  const wanted = (['provenance', 'sbom'] as const).filter(kind => requirements.has(kind));
  const images = manifests.filter(({ role }) => role === 'image');
  // An index of nothing but artifacts is attested as a whole.
  const subjects = images.length === 0 ? manifests.slice(0, 1) : images;
  return [
    ...wanted.flatMap(kind => subjects.flatMap(subject => lack(kind, subject, manifests, asked))),
    ...manifests.flatMap(manifest => brokenParts(manifest, wanted, manifests)),
  ];
}

function lack(
  kind: Wanted,
  subject: ManifestReport,
  manifests: readonly ManifestReport[],
  asked: Demands,
): Problem[] {
  const root = manifests[0]?.digest;
  const places = manifests.filter(
    ({ digest, about }) => digest === subject.digest || digest === root || about === subject.digest,
  );
  const found = places
    .flatMap(({ attestations }) => attestations)
    .filter(attestation => attestation.kind === kind && isOf(attestation, subject.digest, root));
  const good = found.filter(({ fault }) => fault === undefined);
  if (good.some(attestation => asked.trustsUnsigned || isVouchedFor(attestation, manifests))) return [];
  const base = { about: titleOf(subject, manifests), digest: subject.digest };
  if (places.some(({ failures }) => failures.length > 0)) return []; // that it could not be told is said already
  if (places.some(({ isCut }) => isCut)) {
    const message = `could not tell: more attestations are attached than are read, and none of those read is a good ${NAMES[kind]}`;
    return [{ ...base, kind: 'unknown', message, remedy: 'delete what does not belong there' }];
  }
  if (found.some(isTold)) return []; // told of below, where it stands
  if (found.length === 0)
    return [
      { ...base, kind: 'missing-attestation', message: `it has no ${NAMES[kind]}`, remedy: REMEDIES[kind] },
    ];
  const unsigned = 'it is a part of the image, and nobody whose signature counts has signed it';
  const reasons = [...new Set(found.map(({ reason }) => reason || unsigned))].slice(0, 3);
  const message = `its ${NAMES[kind]} does not count: ${reasons.join('; ')}`;
  const remedies = new Set(found.map(attestation => remedyOf(attestation, kind, manifests, asked)));
  return [{ ...base, kind: 'broken-attestation', message, remedy: [...remedies].slice(0, 3).join('; ') }];
}

/** BuildKit signs nothing itself: its attestations are signed with the index, or by themselves. */
function isVouchedFor({ origin, holder }: Attestation, manifests: readonly ManifestReport[]): boolean {
  const vouching = manifests.filter(({ digest }, position) => position === 0 || digest === holder);
  return origin === 'referrer' || vouching.some(isSigned);
}

function isOf({ about }: Attestation, subject: Digest, root: Digest | undefined): boolean {
  return about === subject || about === root;
}

const REMEDIES: Readonly<Record<Wanted, string>> = {
  provenance: 'build it with "provenance: mode=max", or attest it with actions/attest',
  sbom: 'build it with an SBOM, or attest one with actions/attest',
};
const OTHER_SOURCE =
  'if it is right that it was built from there, correct "source" or "revision", and else do not use it';
const SIGN_IT = 'sign the image: "mode: merge" does it by "sign", and "cosign sign --recursive" afterwards';

/** What makes an attestation count that is there, and does not. */
function remedyOf(
  { fault, signatory }: Attestation,
  kind: Wanted,
  manifests: readonly ManifestReport[],
  believed: Believed,
): string {
  const [root] = manifests;
  if (fault === undefined)
    return root === undefined || signaturesOf(root).length === 0
      ? SIGN_IT
      : signatureRemedy(root, false, believed);
  if (fault === 'no-source')
    return 'build it from a Git context, or after actions/checkout with "context: ."';
  if (fault === 'wrong-source') return OTHER_SOURCE;
  return remedyFor({ outcome: fault, signatory }, believed) ?? REMEDIES[kind];
}

/** Part of the image itself: whoever signed it vouches for this, so that a good one beside it does not make up for it. */
function brokenParts(
  manifest: ManifestReport,
  wanted: readonly Wanted[],
  manifests: readonly ManifestReport[],
): Problem[] {
  return manifest.attestations
    .filter(attestation => isTold(attestation) && concerns(attestation, wanted))
    .map(({ reason, fault }) => ({
      kind: 'broken-attestation',
      about: titleOf(manifest, manifests),
      digest: manifest.digest,
      message: reason,
      remedy: fault === 'wrong-source' ? OTHER_SOURCE : 'build the image anew',
    }));
}

/** One of BuildKit's that says too little is no contradiction to another that says it. */
function isTold({ origin, fault }: Attestation): boolean {
  return origin === 'buildkit' && fault !== undefined && fault !== 'no-source';
}

/** Of one that cannot be read nobody knows what it would have been. */
function concerns({ kind, fault }: Attestation, wanted: readonly AttestationKind[]): boolean {
  return wanted.includes(kind) || (wanted.length > 0 && kind === 'other' && fault === 'illegible');
}
