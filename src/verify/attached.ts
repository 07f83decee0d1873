import { ManifoldError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { type Descriptor, type Layer, MEDIA_TYPE, parseManifest } from '../oci/manifest.ts';
import { inParallel } from '../parallel.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { PREDICATE_ANNOTATION } from '../sign/bundle.ts';
import { isBundleType } from '../sign/bundle-document.ts';
import { isAboutContent } from '../sign/foreign-content.ts';
import type { SignatureVerifier } from '../sign/signature-verifier.ts';
import { SIGNATURE_PREDICATE } from '../sign/statement.ts';
import { type AttestationContext, judgeStatement, sentence, withDocument } from './attestations.ts';
import { objectionTo, type Policy } from './policy.ts';
import type { Attestation } from './report.ts';
import { kindOf, shownType } from './statement.ts';

/** Whoever may push may attach: of each manifest so many are read. */
const MOST_READ = 64;
const MOST_NAMED = 20;
const READS_AT_A_TIME = 8;

/** What reading signed attestations takes. */
export interface AttachedContext extends AttestationContext {
  readonly verifier: SignatureVerifier;
  readonly policy: Policy;
}

/** What is attached to a manifest beside signatures. */
export interface Attached {
  readonly attestations: readonly Attestation[];
  /** Predicate types of what was not looked into. */
  readonly others: readonly string[];
  /** More was there than is read, so that what is missing may be among it. */
  readonly isCut: boolean;
}

/**
 * Reads the attestations that are attached to a manifest as bundles of their own, as actions/attest does it: provenance and
 * SBOM, and those whose listing does not say what they are.
 * @param referrers all that the registry lists for it
 * @throws ManifoldError `registry-…` when the registry could not be asked; `invalid-input` when the policy cannot tell
 */
export async function readAttached(
  about: Digest,
  referrers: readonly Descriptor[],
  context: AttachedContext,
): Promise<Attached> {
  const candidates = referrers.filter(mayBeAttestation);
  const wanted = candidates.filter(isWanted);
  const others = candidates
    .filter(candidate => !isWanted(candidate))
    .map(({ annotations }) => statedType(annotations));
  // Registries list the newest first or last, or by digest: no end is the better one.
  const read = await inParallel(wanted.slice(0, MOST_READ), READS_AT_A_TIME, bundle =>
    readBundle(about, bundle, context),
  );
  return {
    attestations: read.filter(attestation => attestation !== undefined),
    others: [...new Set(others.map(shownType))].slice(0, MOST_NAMED),
    isCut: wanted.length > MOST_READ,
  };
}

type Annotations = Descriptor['annotations'];

function statedType(annotations: Annotations): string | undefined {
  return annotations?.[PREDICATE_ANNOTATION];
}

/** In fallback tags some write neither the type of an artifact nor its annotations: what it is stands in its manifest. */
function mayBeAttestation({ artifactType = '', annotations }: Descriptor): boolean {
  const isUndescribed = artifactType === '' || artifactType === MEDIA_TYPE.ociEmpty;
  return (isUndescribed || isBundleType(artifactType)) && statedType(annotations) !== SIGNATURE_PREDICATE;
}

function isWanted({ annotations }: Descriptor): boolean {
  const stated = statedType(annotations);
  return stated === undefined || kindOf(stated) !== 'other';
}

/** @returns undefined for a signature, which is looked at elsewhere */
async function readBundle(
  about: Digest,
  referrer: Descriptor,
  context: AttachedContext,
): Promise<Attestation | undefined> {
  const listed = statedType(referrer.annotations);
  const blank = {
    origin: 'referrer',
    holder: referrer.digest,
    about,
    predicateType: listed,
    kind: kindOf(listed),
    signatory: undefined,
    provenance: undefined,
    format: undefined,
  } as const;
  try {
    const held = await bundleIn(context.client, referrer, about);
    if (held === undefined) return undefined;
    const stated = listed ?? held.stated;
    return await withDocument(context, held.layer, bytes => {
      const judged = judgeBundle(bytes, about, stated, context);
      return judged && { ...blank, ...judged };
    });
  } catch (error) {
    if (!isAboutContent(error)) throw error;
    return { ...blank, fault: 'illegible', reason: sentence(error) };
  }
}

/** @returns undefined for a signature */
function judgeBundle(
  bytes: Buffer,
  about: Digest,
  stated: string | undefined,
  { verifier, policy, expected }: AttachedContext,
): Pick<Attestation, 'signatory' | 'fault' | 'reason'> | undefined {
  const { fault, reason, signatory, statement } = verifier.statement(bytes);
  if (statement?.predicateType === SIGNATURE_PREDICATE) return undefined;
  if (fault !== undefined || signatory === undefined || statement === undefined)
    return { signatory, fault: fault ?? 'illegible', reason };
  if (stated !== undefined && stated !== statement.predicateType) {
    const other = `its predicate is ${shownType(statement.predicateType)}, and it is listed as ${shownType(stated)}`;
    return { signatory, fault: 'wrong-type', reason: other };
  }
  const judged = { signatory, ...judgeStatement(statement, about, expected) };
  const objection = objectionTo(signatory, policy);
  return objection === undefined ? judged : { ...judged, fault: 'wrong-identity', reason: objection };
}

/** @returns undefined for what was not said to be an attestation, and is none */
async function bundleIn(
  client: RepositoryClient,
  referrer: Descriptor,
  about: Digest,
): Promise<{ layer: Layer; stated: string | undefined } | undefined> {
  const where = `${client.name}@${referrer.digest}`;
  const manifest = parseManifest(await client.getManifest(referrer.digest), where);
  const { subject, layers, annotations } = manifest;
  const stated = statedType(annotations);
  const isSaid = statedType(referrer.annotations) !== undefined;
  const isBundle = isBundleType(manifest.artifactType ?? manifest.config.mediaType);
  if (!isSaid && (!isBundle || stated === SIGNATURE_PREDICATE)) return undefined;
  if (subject?.digest !== about)
    throw new ManifoldError(
      'invalid-document',
      `${where} is listed under ${about}, but does not refer to it.`,
    );
  const [layer] = layers;
  if (layer !== undefined && isBundleType(layer.mediaType)) return { layer, stated };
  throw new ManifoldError(
    'invalid-document',
    `${where} is listed as an attestation, but holds no Sigstore bundle.`,
  );
}
