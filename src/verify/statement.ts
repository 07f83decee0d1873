import * as v from 'valibot';
import { ManifoldError, oneLine } from '../errors.ts';
import { type Digest, hexOf } from '../oci/digest.ts';
import type { Statement } from '../sign/attested-statement.ts';

/** Tells whether a statement is about the content with this digest. */
export function isAbout({ subject }: Statement, digest: Digest): boolean {
  return subject.some(
    ({ digest: named }) => Object.hasOwn(named, 'sha256') && named.sha256 === hexOf(digest),
  );
}

/** What people ask for of an attestation, by its predicate type. */
export type AttestationKind = 'provenance' | 'sbom' | 'other';

export function kindOf(predicateType: string | undefined): AttestationKind {
  if (predicateType === undefined) return 'other';
  if (predicateType.startsWith('https://slsa.dev/provenance/')) return 'provenance';
  return isOneOf(predicateType, SPDX) || isOneOf(predicateType, CYCLONEDX) ? 'sbom' : 'other';
}

const SPDX = 'https://spdx.dev/Document';
const CYCLONEDX = 'https://cyclonedx.org/bom';

/** Some append a version: https://spdx.dev/Document/v2.3. */
function isOneOf(predicateType: string, family: string): boolean {
  return predicateType === family || predicateType.startsWith(`${family}/`);
}

const spdx2 = v.looseObject({ spdxVersion: v.pipe(v.string(), v.regex(/^SPDX-[0-9.]+$/)) });
// SPDX 3 is JSON-LD and tells its version by its context alone (spdx-spec 3.0.1, "Serialization").
const spdx3 = v.looseObject({ '@context': v.string() });
const cyclonedx = v.looseObject({
  bomFormat: v.literal('CycloneDX'),
  specVersion: v.pipe(v.string(), v.regex(/^[0-9.]+$/)),
});

/**
 * The format that an SBOM says it is in: `SPDX-2.3`, `CycloneDX 1.6`.
 * @throws ManifoldError `invalid-document` when it names none, or another one than its predicate type
 */
export function sbomFormat({ predicateType, predicate }: Statement): string {
  if (isOneOf(predicateType, CYCLONEDX)) {
    const bom = v.safeParse(cyclonedx, predicate);
    if (bom.success) return `CycloneDX ${bom.output.specVersion}`;
    throw nameless('CycloneDX');
  }
  const document = v.safeParse(spdx2, predicate);
  if (document.success) return document.output.spdxVersion;
  const linked = v.safeParse(spdx3, predicate);
  const version = /^https:\/\/spdx\.org\/rdf\/([0-9.]+)\//.exec(
    linked.success ? linked.output['@context'] : '',
  );
  if (version?.[1] === undefined) throw nameless('SPDX');
  return `SPDX-${version[1]}`;
}

function nameless(family: string): ManifoldError {
  return new ManifoldError('invalid-document', `The SBOM does not say which version of ${family} it is in.`);
}

/** A predicate type fit to be shown. */
export function shownType(predicateType: string | undefined): string {
  return predicateType === undefined ? 'no predicate type' : oneLine(predicateType);
}
