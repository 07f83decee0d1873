import type { Digest } from '../oci/digest.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import { findAttestationProblems } from './attestation-problems.ts';
import { sentence } from './attestations.ts';
import type { Demands } from './demands.ts';
import { isSigned, type ManifestReport, type Problem, signaturesOf, titleOf } from './report.ts';
import { type Believed, signatureRemedy } from './signature-remedies.ts';

/**
 * All that is not as it was demanded.
 * @param manifests the image first, then what is in it
 */
export function findProblems(manifests: readonly ManifestReport[], demanded: Demands): Problem[] {
  const { requirements, platforms } = demanded;
  return [
    ...manifests.flatMap(manifest => [
      ...brokenProblems(manifest, manifests),
      ...unknownProblems(manifest, manifests),
    ]),
    ...(platforms === undefined ? [] : platformProblems(manifests, platforms)),
    ...(requirements.has('signatures') ? signatureProblems(manifests, demanded) : []),
    ...findAttestationProblems(manifests, demanded),
  ];
}

function brokenProblems(manifest: ManifestReport, manifests: readonly ManifestReport[]): Problem[] {
  if (manifest.broken === undefined) return [];
  const about = titleOf(manifest, manifests);
  const remedy = 'publish the image anew: registries with clean-up rules delete untagged manifests';
  return [{ kind: 'broken-manifest', about, digest: manifest.digest, message: manifest.broken, remedy }];
}

function unknownProblems(manifest: ManifestReport, manifests: readonly ManifestReport[]): Problem[] {
  return manifest.failures.map(failure => ({
    kind: 'unknown',
    about: titleOf(manifest, manifests),
    digest: manifest.digest,
    message: `could not tell: ${sentence(failure)}`,
    remedy: sentence(failure.hint ?? 're-run this job when the registry answers again'),
  }));
}

function platformProblems(manifests: readonly ManifestReport[], wanted: readonly Platform[]): Problem[] {
  const found = manifests.filter(({ role }) => role === 'image');
  const names = found.map(({ platform }) => (platform === undefined ? undefined : formatPlatform(platform)));
  const expected = wanted.map(formatPlatform);
  const problems: Problem[] = expected
    .filter(name => !names.includes(name))
    .map(name =>
      problem('missing-platform', name, manifests[0]?.digest, 'it is expected, and not in the image'),
    );
  for (const [position, { digest }] of found.entries()) {
    const name = names[position];
    const about = name ?? 'an image without a platform';
    if (name === undefined || !expected.includes(name))
      problems.push(problem('unexpected-platform', about, digest, 'it is in the image, and not expected'));
    // Of Windows there is one for each version of the system.
    else if (names.indexOf(name) !== position && !name.startsWith('windows/'))
      problems.push(problem('doubled-platform', about, digest, 'it is in the image more than once'));
  }
  return problems;
}

const PLATFORM_REMEDIES = {
  'missing-platform': 'build it, and publish the image anew',
  'unexpected-platform': 'add it to "platforms" if it belongs there, or find out who has put it there',
  'doubled-platform': 'publish the image anew, with one image for each platform',
} as const;

function problem(
  kind: keyof typeof PLATFORM_REMEDIES,
  about: string,
  digest: Digest | undefined,
  message: string,
): Problem {
  return { kind, about, digest, message, remedy: PLATFORM_REMEDIES[kind] };
}

function signatureProblems(manifests: readonly ManifestReport[], believed: Believed): Problem[] {
  const [root] = manifests;
  const isRootSigned = root !== undefined && isSigned(root);
  return manifests
    .filter(manifest => typeof manifest.signatures !== 'string' && !isSigned(manifest))
    .map(manifest => ({
      kind: 'unsigned',
      about: titleOf(manifest, manifests),
      digest: manifest.digest,
      message: whyUnsigned(manifest),
      remedy: signatureRemedy(manifest, isRootSigned, believed),
    }));
}

const MOST_REASONS = 3;

function whyUnsigned(manifest: ManifestReport): string {
  const signatures = signaturesOf(manifest);
  if (signatures.length > 0) {
    const reasons = [...new Set(signatures.map(({ objection }) => objection))];
    const more = reasons.length > MOST_REASONS ? `; and ${reasons.length - MOST_REASONS} other reasons` : '';
    const whose =
      signatures.length === 1
        ? 'its signature does not count'
        : `none of its ${signatures.length} signatures counts`;
    return `${whose}: ${reasons.slice(0, MOST_REASONS).join('; ')}${more}`;
  }
  const isAttested =
    manifest.otherAttestations.length > 0 ||
    manifest.attestations.some(({ origin }) => origin === 'referrer');
  return isAttested
    ? 'it has no signature, only attestations. "cosign verify" does not tell them apart, but an attestation says something of the image, and not that it was released'
    : 'it has no signature';
}
