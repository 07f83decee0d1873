import { formatPlatform } from '../oci/platform.ts';
import type { Signatory } from '../sign/identity.ts';
import type { Demands } from '../verify/demands.ts';
import type { TextRule } from '../verify/policy.ts';
import {
  type Attestation,
  type ImageReport,
  isSigned,
  type JudgedSignature,
  type ManifestReport,
  signaturesOf,
} from '../verify/report.ts';

/** What later steps read of a verification. What is not known is null. */
export function verifyJson(reports: readonly ImageReport[], asked: Demands): object {
  return {
    verified: reports.every(({ verdict }) => verdict === 'verified'),
    asked: askedJson(asked),
    images: reports.map(({ image, digest, verdict, manifests, problems }) => ({
      image,
      digest: digest ?? null,
      verdict,
      manifests: manifests.map(manifestJson),
      problems: problems.map(({ digest: at, ...problem }) => ({ ...problem, digest: at ?? null })),
    })),
  };
}

function askedJson({ policy, requirements, scope, platforms, expected, trustedRoot }: Demands): object {
  const signer =
    policy.kind === 'key'
      ? { key: policy.fingerprint }
      : {
          identity: ruleJson(policy.identity),
          issuer: ruleJson(policy.issuer),
          sourceRepository: policy.sourceRepository ?? null,
        };
  return {
    signer,
    trustedRoot: trustedRoot ?? null,
    require: [...requirements],
    scope,
    platforms: platforms?.map(formatPlatform) ?? null,
    source: expected.source ?? null,
    revision: expected.revision ?? null,
  };
}

function ruleJson(rule: TextRule): object {
  return 'exact' in rule ? rule : { matches: rule.pattern.source };
}

function manifestJson(manifest: ManifestReport): object {
  const { digest, role, platform, about, signatures, attestations, otherAttestations } = manifest;
  return {
    digest,
    role,
    platform: platform === undefined ? null : formatPlatform(platform),
    about: about ?? null,
    signed: typeof signatures === 'string' ? null : isSigned(manifest),
    signatures: signaturesOf(manifest).map(signatureJson),
    attestations: attestations.map(attestationJson),
    otherAttestations,
  };
}

function signatureJson({
  format,
  digest,
  outcome,
  objection,
  signatory,
  annotations,
}: JudgedSignature): object {
  return { format, digest, outcome, reason: objection, by: signatoryJson(signatory), annotations };
}

function attestationJson(attestation: Attestation): object {
  const { origin, holder, about, kind, predicateType, fault, reason, signatory, provenance, format } =
    attestation;
  return {
    origin,
    digest: holder,
    about: about ?? null,
    kind,
    predicateType: predicateType ?? null,
    fault: fault ?? null,
    reason,
    by: signatoryJson(signatory),
    source: provenance?.source ?? null,
    revision: provenance?.revision ?? null,
    toldBy: provenance?.toldBy ?? null,
    format: format ?? null,
  };
}

function signatoryJson(signatory: Signatory | undefined): object | null {
  if (signatory === undefined) return null;
  if (signatory.kind === 'key') return { key: signatory.fingerprint };
  const { identity, claims } = signatory;
  return {
    identity: identity.name,
    issuer: identity.issuer,
    sourceRepository: claims?.sourceRepository ?? null,
  };
}
