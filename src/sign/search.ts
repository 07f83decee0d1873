import { ManifoldError, oneLine } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import {
  type BlobDescriptor,
  type Descriptor,
  descriptorOf,
  type ImageManifest,
  type Layer,
  type ManifestContent,
  MEDIA_TYPE,
  parseManifest,
} from '../oci/manifest.ts';
import { inParallel } from '../parallel.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { listReferrers } from '../registry/referrers.ts';
import { BUNDLE_TYPE, PREDICATE_ANNOTATION } from './bundle.ts';
import { isBundleType } from './bundle-document.ts';
import type { Finding, SignatureFormat } from './finding.ts';
import { Flaw, flawOf } from './flaw.ts';
import { readForeignBlob, readForeignManifest } from './foreign-content.ts';
import { readLegacySignatures } from './legacy-signature.ts';
import type { SignatureVerifier } from './signature-verifier.ts';
import { SIGNATURE_PREDICATE } from './statement.ts';

export interface SearchOptions {
  readonly formats: readonly SignatureFormat[];
  /** Tells that a finding is all that was wanted: nothing more is read then. Absent: all are read. */
  readonly until?: (finding: Finding) => boolean;
  /** Tells which finding makes up for those that were not read, where there are too many. Absent: any that is valid. */
  readonly accepts?: (finding: Finding) => boolean;
  /** What the registry lists for the manifest, where that was asked already. */
  readonly referrers?: readonly Descriptor[];
  /** Bundles that should be among them: they are read at once, without waiting for the list that shows them. */
  readonly expected?: readonly ExpectedBundle[];
  /** The image has been seen in this repository, so that an empty list means that there are no signatures. */
  readonly isPresent?: boolean;
}

/** A bundle that was attached a moment ago. */
export interface ExpectedBundle {
  readonly referrer: ManifestContent;
  /** Of the blob with the bundle. */
  readonly blob: BlobDescriptor;
}

/** How many candidates are read of one image, and how many requests at a time are made for that. */
const MOST_CANDIDATES = 256;
const READS_AT_A_TIME = 8;

/**
 * Reads the signatures of a manifest from a registry and verifies them.
 * @param digest of the manifest
 * @returns one finding for each that was read, bundles first
 * @throws ManifoldError when it could not be told, which is never "there are none": the registry failed, the manifest is
 *   not there, or there are more candidates than are read and none of those will do
 */
export async function searchSignatures(
  client: RepositoryClient,
  digest: Digest,
  verifier: SignatureVerifier,
  options: SearchOptions,
): Promise<Finding[]> {
  const { formats, isPresent = false, until, accepts = until ?? isValid, expected = [] } = options;
  const [bundles, legacy] = await Promise.all([
    formats.includes('bundle')
      ? searchBundles(new ReferrerReader(client, expected), digest, verifier, options)
      : NOTHING,
    formats.includes('legacy') ? searchLegacy(client, digest, verifier) : NOTHING,
  ]);
  if (bundles.listed + legacy.listed === 0 && !isPresent) await requirePresence(client, digest);
  const findings = [...bundles.findings, ...legacy.findings];
  const isUnread = bundles.isCut || legacy.isCut;
  if (isUnread && !findings.some(accepts)) throw tooMany(client, digest);
  return findings;
}

const isValid = ({ fault }: Finding): boolean => fault === undefined;

/** What was found in one of the formats. */
interface Found {
  readonly findings: readonly Finding[];
  /** How much the registry lists, of any kind. */
  readonly listed: number;
  /** There are more candidates than are read. */
  readonly isCut: boolean;
}

const NOTHING: Found = { findings: [], listed: 0, isCut: false };

async function searchLegacy(
  client: RepositoryClient,
  digest: Digest,
  verifier: SignatureVerifier,
): Promise<Found> {
  const { signatures, unread } = await readLegacySignatures(client, digest);
  const findings = signatures.map(signature => verifier.legacy(signature, digest));
  return { findings, listed: signatures.length, isCut: unread > 0 };
}

async function searchBundles(
  reader: ReferrerReader,
  digest: Digest,
  verifier: SignatureVerifier,
  { until, referrers: known }: SearchOptions,
): Promise<Found> {
  const referrers = known ?? (await listReferrers(reader.client, digest));
  const candidates = candidatesAmong(referrers);
  const findings = await inParallel(
    candidates.slice(0, MOST_CANDIDATES),
    READS_AT_A_TIME,
    candidate => judge(reader, candidate, digest, verifier),
    finding => finding !== undefined && until?.(finding) === true,
  );
  return {
    findings: findings.filter(finding => finding !== undefined),
    listed: referrers.length,
    isCut: candidates.length > MOST_CANDIDATES,
  };
}

/** Reads what referrers hold; what is expected to be there is asked for before the list shows it. */
class ReferrerReader {
  readonly client: RepositoryClient;
  readonly #manifests = new Map<Digest, Promise<ManifestContent>>();
  readonly #blobs = new Map<Digest, Promise<Buffer>>();

  constructor(client: RepositoryClient, expected: readonly ExpectedBundle[]) {
    this.client = client;
    for (const { referrer, blob } of expected) {
      const manifest = readForeignManifest(client, descriptorOf(referrer));
      const bytes = readForeignBlob(client, blob);
      // What fails is of interest only where the list shows it.
      for (const reading of [manifest, bytes]) reading.catch(() => {});
      this.#manifests.set(referrer.digest, manifest);
      this.#blobs.set(blob.digest, bytes);
    }
  }

  manifest(referrer: Descriptor): Promise<ManifestContent> {
    return this.#manifests.get(referrer.digest) ?? readForeignManifest(this.client, referrer);
  }

  blob(layer: BlobDescriptor): Promise<Buffer> {
    return this.#blobs.get(layer.digest) ?? readForeignBlob(this.client, layer);
  }
}

/**
 * What may be a signature, in the order in which it is read: what the listing calls one, and then what it does not
 * describe, as cosign writes into fallback tags the type of the config only, and no annotations. Within these the last
 * listed come first: most who add to a list add to its end, so that a signature made a moment ago is read at once.
 */
function candidatesAmong(referrers: readonly Descriptor[]): Descriptor[] {
  const possible = referrers.filter(isNoAttestation).toReversed();
  return [...possible.filter(isListedAsBundle), ...possible.filter(isUndescribed)];
}

/** Attestations are bundles, too; where it is said which predicate one has, others than ours are not read. */
function isNoAttestation({ annotations }: Pick<Descriptor, 'annotations'>): boolean {
  const predicate = annotations?.[PREDICATE_ANNOTATION];
  return predicate === undefined || predicate === SIGNATURE_PREDICATE;
}

const isListedAsBundle = ({ artifactType }: Descriptor): boolean => isBundleType(artifactType);

function isUndescribed({ artifactType = '' }: Descriptor): boolean {
  return artifactType === '' || artifactType === MEDIA_TYPE.ociEmpty;
}

/** @returns undefined for a manifest that is no signature, and was not said to be one */
async function judge(
  reader: ReferrerReader,
  referrer: Descriptor,
  digest: Digest,
  verifier: SignatureVerifier,
): Promise<Finding | undefined> {
  try {
    const content = await reader.manifest(referrer);
    const layer = bundleIn(content, referrer, digest);
    if (layer === undefined) return undefined;
    const finding = verifier.bundle(await reader.blob(layer), digest, referrer.digest);
    return { ...finding, isExact: finding.isExact && isExactReferrer(content, layer) };
  } catch (error) {
    if (!(error instanceof Flaw)) throw error;
    const { fault, message: reason } = error;
    return {
      format: 'bundle',
      digest: referrer.digest,
      fault,
      reason,
      signatory: undefined,
      isExact: false,
      annotations: {},
    };
  }
}

/**
 * The bundle in a manifest that is listed as one, or not described.
 * @throws Flaw `illegible`, `wrong-subject` where the manifest is not what the listing says
 */
function bundleIn(content: ManifestContent, referrer: Descriptor, digest: Digest): Layer | undefined {
  const { artifactType, config, layers, subject, annotations } = parse(content);
  const type = artifactType ?? config.mediaType;
  const isSilent = referrer.annotations?.[PREDICATE_ANNOTATION] === undefined;
  if (isSilent && !isNoAttestation({ annotations })) return undefined;
  if (!isBundleType(type)) {
    if (isUndescribed(referrer)) return undefined;
    throw new Flaw('illegible', `it is listed as a Sigstore bundle, and is ${oneLine(type)}`);
  }
  if (subject?.digest !== digest)
    throw new Flaw('wrong-subject', 'it is listed for this image, and does not refer to it');
  const [layer] = layers;
  if (layer !== undefined && layers.length === 1 && isBundleType(layer.mediaType)) return layer;
  throw new Flaw('illegible', 'it is listed as a Sigstore bundle, and holds none');
}

/** cosign reads no other type: neither of the artifact nor of its layer. */
function isExactReferrer(content: ManifestContent, { mediaType }: Layer): boolean {
  const { artifactType, config } = parse(content);
  return [artifactType ?? config.mediaType, mediaType].every(type => type === BUNDLE_TYPE);
}

function parse(content: ManifestContent): ImageManifest {
  try {
    return parseManifest(content, content.digest);
  } catch (error) {
    throw flawOf(error);
  }
}

/** A registry answers for an image that it does not have as for one that nobody has signed. */
async function requirePresence(client: RepositoryClient, digest: Digest): Promise<void> {
  if ((await client.headManifest(digest)) !== undefined) return;
  throw new ManifoldError(
    'registry-not-found',
    `${client.name}@${digest} is not in the registry: whether it was signed cannot be told.`,
    { hint: 'Check the name of the image, and whether a clean-up of the registry has deleted it.' },
  );
}

function tooMany(client: RepositoryClient, digest: Digest): ManifoldError {
  return new ManifoldError(
    'too-many-signatures',
    `${client.name}@${digest} has more than ${MOST_CANDIDATES} signatures in one format. None of the ${MOST_CANDIDATES} that were read is a wanted one, and whether one of the others is cannot be told.`,
    {
      hint: 'Nobody signs that often: delete what is not needed, and find out who may write to this repository.',
    },
  );
}
