import { ManifoldError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import {
  type Descriptor,
  type ManifestContent,
  MEDIA_TYPE,
  parseConfig,
  parseManifest,
  requireDescribed,
} from '../oci/manifest.ts';
import { formatPlatform, normalisePlatform, type Platform, samePlatform } from '../oci/platform.ts';
import { listReferrers } from '../registry/referrers.ts';
import type { Finding } from '../sign/finding.ts';
import { isAboutContent } from '../sign/foreign-content.ts';
import { searchSignatures } from '../sign/search.ts';
import { type Attached, type AttachedContext, readAttached } from './attached.ts';
import { readAttestations, sentence } from './attestations.ts';
import { objectionTo, type Policy } from './policy.ts';
import type { Attestation, JudgedSignature, ManifestReport } from './report.ts';
import type { Entry } from './tree.ts';

/** What looking at the manifests of one image takes. */
export interface Inspection extends AttachedContext {
  /** The image itself, which was read already. */
  readonly root: ManifestContent;
  /** All manifests that the image consists of. */
  readonly members: ReadonlySet<Digest>;
}

/**
 * Looks at one manifest of an image. What cannot be read is noted, so that the rest is told all the same.
 * @param isAsked whether it is to be signed
 */
export async function inspect(
  entry: Entry,
  isAsked: boolean,
  inspection: Inspection,
): Promise<ManifestReport> {
  const notes = new Notes();
  const { digest } = entry.descriptor;
  const [content, { signatures, attached }] = await Promise.all([
    notes.reading(readContent(entry, inspection), undefined),
    referringTo(entry, isAsked, inspection, notes),
  ]);
  const [platform, held] = await Promise.all([
    content === undefined ? entry.platform : notes.reading(platformOf(entry, content, inspection), undefined),
    content === undefined ? [] : notes.reading(heldBy(entry, content, inspection), []),
  ]);
  return {
    digest,
    role: entry.role,
    platform,
    about: entry.about,
    broken: notes.broken,
    signatures,
    attestations: [...held, ...attached.attestations],
    otherAttestations: attached.others,
    isCut: attached.isCut,
    failures: notes.failures,
  };
}

const NOTHING: Attached = { attestations: [], others: [], isCut: false };

/** What went wrong on the way: with the manifest itself, or with asking for it. */
class Notes {
  readonly failures: ManifoldError[] = [];
  broken: string | undefined;

  /** For what the image consists of: what is gone or garbled is a fault of the image. */
  async reading<T, Otherwise>(work: Promise<T>, otherwise: Otherwise): Promise<T | Otherwise> {
    try {
      return await work;
    } catch (error) {
      if (!isAboutContent(error)) return this.#note(error, otherwise);
      this.broken ??= sentence(error);
      return otherwise;
    }
  }

  /** For what may be attached: a question that was not answered tells nothing of the image. */
  async asking<T, Otherwise>(work: Promise<T>, otherwise: Otherwise): Promise<T | Otherwise> {
    try {
      return await work;
    } catch (error) {
      return this.#note(error, otherwise);
    }
  }

  #note<Otherwise>(error: unknown, otherwise: Otherwise): Otherwise {
    if (!(error instanceof ManifoldError)) throw error;
    // Several questions at one registry that does not answer are one failure.
    if (!this.failures.some(({ message }) => message === error.message)) this.failures.push(error);
    return otherwise;
  }
}

/** @throws ManifoldError `registry-not-found`, `invalid-document` where it is not what the index names */
async function readContent({ descriptor }: Entry, { client, root }: Inspection): Promise<ManifestContent> {
  if (descriptor.digest === root.digest) return root;
  const found = await client.findManifest(descriptor.digest);
  if (found === undefined)
    throw new ManifoldError('registry-not-found', 'The index names it, but it is not in the registry.');
  requireDescribed(found, descriptor, `${client.name}@${descriptor.digest}`);
  return found;
}

/**
 * What refers to a manifest: its signatures, and what else is attached to it. People attest images and their index; of an
 * attestation manifest nobody says more. The registry is asked for its list once, and so a list that fails is one failure.
 */
async function referringTo(
  { descriptor: { digest }, role }: Entry,
  isAsked: boolean,
  inspection: Inspection,
  notes: Notes,
): Promise<{ signatures: ManifestReport['signatures']; attached: Attached }> {
  const isAttested = role !== 'attestation';
  if (!isAsked && !isAttested) return { signatures: 'unasked', attached: NOTHING };
  const referrers = await notes.asking(listReferrers(inspection.client, digest), undefined);
  if (referrers === undefined) return { signatures: isAsked ? 'unknown' : 'unasked', attached: NOTHING };
  const [signatures, attached] = await Promise.all([
    isAsked ? notes.asking(judgedSignatures(digest, referrers, inspection), 'unknown' as const) : undefined,
    isAttested ? notes.asking(readAttached(digest, referrers, inspection), NOTHING) : undefined,
  ]);
  return { signatures: signatures ?? 'unasked', attached: attached ?? NOTHING };
}

/**
 * All signatures of a manifest, of both formats.
 * @param referrers all that the registry lists for it
 * @throws ManifoldError when it could not be told whether one is accepted
 */
async function judgedSignatures(
  digest: Digest,
  referrers: readonly Descriptor[],
  { client, verifier, policy }: Inspection,
): Promise<JudgedSignature[]> {
  const findings = await searchSignatures(client, digest, verifier, {
    formats: ['bundle', 'legacy'],
    referrers,
    // Whether the manifest is there is found out beside this.
    isPresent: true,
    accepts: finding => judge(finding, policy).outcome === 'accepted',
  });
  return findings.map(finding => judge(finding, policy));
}

/** Holds a signature against the policy: whose it is counts only where it is valid. */
function judge(finding: Finding, policy: Policy): JudgedSignature {
  const { fault, reason, signatory } = finding;
  if (fault !== undefined || signatory === undefined)
    return { ...finding, outcome: fault ?? 'illegible', objection: reason };
  const objection = objectionTo(signatory, policy);
  return objection === undefined
    ? { ...finding, outcome: 'accepted', objection: '' }
    : { ...finding, outcome: 'wrong-identity', objection };
}

/**
 * What the config of the image says, which is what runs; the index must not say otherwise.
 * @throws ManifoldError `invalid-document` where it does
 */
async function platformOf(
  { role, platform, descriptor }: Entry,
  content: ManifestContent,
  { client }: Inspection,
): Promise<Platform | undefined> {
  if (role !== 'image') return platform;
  const where = `${client.name}@${descriptor.digest}`;
  const { config } = parseManifest(content, where);
  if (config.mediaType !== MEDIA_TYPE.ociConfig && config.mediaType !== MEDIA_TYPE.dockerConfig)
    return platform;
  const stated = normalisePlatform(parseConfig(await client.getBlob(config), where));
  if (platform === undefined || samePlatform(platform, stated)) return stated;
  throw new ManifoldError(
    'invalid-document',
    `The index calls it ${formatPlatform(platform)}, and its config says that it is ${formatPlatform(stated)}.`,
  );
}

async function heldBy(
  { role, about }: Entry,
  content: ManifestContent,
  inspection: Inspection,
): Promise<Attestation[]> {
  return role === 'attestation' ? readAttestations(content, about, inspection.members, inspection) : [];
}
