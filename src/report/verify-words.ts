import { oneLine } from '../errors.ts';
import { formatPlatform } from '../oci/platform.ts';
import { nameOf } from '../sign/identity.ts';
import type { Demands } from '../verify/demands.ts';
import { describePolicy } from '../verify/policy.ts';
import {
  type Attestation,
  type ImageReport,
  isSigned,
  type JudgedSignature,
  type ManifestReport,
  signaturesOf,
  titleOf,
} from '../verify/report.ts';
import { shownType } from '../verify/statement.ts';

/** Everything that was asked, in full: what was not said and filled in, too. */
export function askedLines(asked: Demands): [name: string, value: string][] {
  const { policy, requirements, scope, platforms, expected, trustedRoot } = asked;
  const isAll = scope === 'all';
  const signed = isAll ? 'signatures of the index and of everything in it' : 'a signature of the index';
  const names = {
    signatures: signed,
    provenance: 'provenance of each platform',
    sbom: 'an SBOM of each platform',
  };
  const byDefault =
    policy.kind === 'key' ? 'the key alone: no log and no time stamp is looked at' : "the public Sigstore's";
  const optional: [string, string | undefined][] = [
    ['platforms', platforms?.map(formatPlatform).join(', ')],
    ['source', expected.source],
    ['revision', expected.revision],
  ];
  return [
    ...describePolicy(policy),
    ['trusted root', trustedRoot ?? byDefault],
    ['required', [...requirements].map(name => names[name]).join('; ')],
    ...optional.filter((line): line is [string, string] => line[1] !== undefined),
  ];
}

/** The cells of one manifest: what it is, its digest, whether it is signed, and what is said about it. */
export interface Row {
  readonly title: string;
  readonly digest: string;
  readonly signed: string;
  readonly attested: string;
}

export function rowsOf({ manifests }: ImageReport): Row[] {
  return manifests.map(manifest => ({
    title: titleOf(manifest, manifests),
    digest: manifest.digest,
    signed: manifest.broken === undefined ? signedCell(manifest) : `${signedCell(manifest)}, BROKEN`,
    attested: [...new Set(manifest.attestations.map(attestedCell)), ...manifest.otherAttestations].join(', '),
  }));
}

function signedCell(manifest: ManifestReport): string {
  if (manifest.signatures === 'unknown') return 'could not tell';
  if (manifest.signatures === 'unasked') return 'not asked';
  const signatures = signaturesOf(manifest);
  const good = signatures.filter(({ outcome }) => outcome === 'accepted').length;
  const bad = signatures.length - good;
  if (!isSigned(manifest))
    return bad === 0 ? 'NOT SIGNED' : `NOT SIGNED (${bad} that ${bad === 1 ? 'does' : 'do'} not count)`;
  return bad === 0 ? 'signed' : `signed (and ${bad} that ${bad === 1 ? 'does' : 'do'} not count)`;
}

const KINDS = { provenance: 'provenance', sbom: 'SBOM', other: undefined } as const;

function attestedCell({ kind, predicateType, format, fault }: Attestation): string {
  const name = KINDS[kind] ?? shownType(predicateType);
  if (fault !== undefined) return `${name} (FAULTY)`;
  return format === undefined ? name : `${name} ${format}`;
}

/** The log and the page name so many of one manifest; the JSON output has all. */
const MOST_SHOWN = 10;

/** What became of every signature and attestation: whose the good ones are, and why the others do not count. */
export function findingsOf(report: ImageReport): string[] {
  const { manifests } = report;
  return [...acceptedLines(manifests), ...manifests.flatMap(manifest => manifestLines(manifest, report))];
}

/** A release is signed by one identity: it is named once. */
function acceptedLines(manifests: readonly ManifestReport[]): string[] {
  const counts = new Map<string, number>();
  for (const manifest of manifests) {
    const names = signaturesOf(manifest)
      .filter(({ outcome }) => outcome === 'accepted')
      .map(signature => `${signerOf(signature)} (${signature.format})`);
    for (const name of new Set(names)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} of ${manifests.length} manifests signed by ${name}`);
}

function signerOf({ signatory }: Pick<JudgedSignature, 'signatory'>): string {
  if (signatory === undefined) return 'somebody';
  const issuer = signatory.kind === 'certificate' ? `, issuer ${oneLine(signatory.identity.issuer)}` : '';
  return `${oneLine(nameOf(signatory))}${issuer}`;
}

function manifestLines(manifest: ManifestReport, { manifests, digest }: ImageReport): string[] {
  const title = titleOf(manifest, manifests);
  const bad = signaturesOf(manifest).filter(({ outcome }) => outcome !== 'accepted');
  const lines = [
    ...bad.map(
      ({ format, digest: at, outcome, objection }) =>
        `${title}: ${format} ${at} does not count (${outcome}): ${objection}`,
    ),
    ...manifest.attestations.map(
      attestation => `${title}: ${attestationLine(attestation, manifest.digest === digest)}`,
    ),
  ];
  const left = lines.length - MOST_SHOWN;
  return left > 0
    ? [...lines.slice(0, MOST_SHOWN), `${title}: and ${left} more, which the output "json" names`]
    : lines;
}

function attestationLine(attestation: Attestation, isOfImage: boolean): string {
  const { kind, predicateType, origin, fault, reason, provenance, format } = attestation;
  const name = KINDS[kind] ?? shownType(predicateType);
  const from = origin === 'buildkit' ? 'by BuildKit' : `signed by ${signerOf(attestation)}`;
  if (fault !== undefined) return `${name} ${from} does not count (${fault}): ${reason}`;
  const whole = isOfImage && origin === 'referrer' ? ', for everything in the image' : '';
  return `${name}${format === undefined ? '' : ` ${format}`} ${from}${whole}${provenance === undefined ? '' : originOf(provenance)}`;
}

function originOf({ source, revision, toldBy }: NonNullable<Attestation['provenance']>): string {
  if (source === undefined && revision === undefined) return ', which names no source';
  const where = [source, revision].filter(part => part !== undefined).map(part => oneLine(part));
  return `, from ${where.join(' at ')}${toldBy === 'caller' ? ', as the caller of the builder says' : ''}`;
}

/** Attestations that nobody signed may be anybody's who may push. */
export function warningOf({ trustsUnsigned }: Demands): string | undefined {
  return !trustsUnsigned
    ? undefined
    : 'Neither signatures nor a signer are asked for: whoever may push to the repository may have written what BuildKit is said to attest.';
}
