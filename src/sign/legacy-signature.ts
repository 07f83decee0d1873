import { oneLine } from '../errors.ts';
import { type Digest, hexOf } from '../oci/digest.ts';
import { type Layer, type ManifestContent, parseManifest } from '../oci/manifest.ts';
import { inParallel } from '../parallel.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { Flaw, flawOf } from './flaw.ts';
import { readForeignBlob } from './foreign-content.ts';

export { simpleSigningPayload } from './simple-signing.ts';

/** Media type of the layers that hold what was signed (sigstore/cosign, specs/SIGNATURE_SPEC.md). */
export const SIMPLE_SIGNING_TYPE = 'application/vnd.dev.cosign.simplesigning.v1+json';

/** All else that belongs to a signature stands in annotations of its layer. */
export const LEGACY_ANNOTATION = {
  /** Base64. */
  signature: 'dev.cosignproject.cosign/signature',
  /** PEM. */
  certificate: 'dev.sigstore.cosign/certificate',
  /** PEM: who vouches for the certificate, the root last. */
  chain: 'dev.sigstore.cosign/chain',
  /** JSON: `{"SignedEntryTimestamp", "Payload": {"body", "integratedTime", "logIndex", "logID"}}`. */
  logEntry: 'dev.sigstore.cosign/bundle',
  /** JSON: `{"SignedRFC3161Timestamp"}`. */
  timestamp: 'dev.sigstore.cosign/rfc3161timestamp',
} as const;

/** The tag that holds the signatures of an image in this format. */
export function legacyTag(digest: Digest): string {
  return `sha256-${hexOf(digest)}.sig`;
}

/** A signature in the older format as it stands in the registry. What is undefined was not there. */
export interface LegacySignature {
  /** Of the layer with the payload; of the manifest where that is none of signatures. */
  readonly digest: Digest;
  /** What was signed. */
  readonly payload: Buffer | undefined;
  /** Why it cannot be read, as a sentence without its full stop. */
  readonly problem: string | undefined;
  /** These are the annotations as they came. */
  readonly signature: string | undefined;
  readonly certificate: string | undefined;
  readonly chain: string | undefined;
  readonly logEntry: string | undefined;
  readonly timestamp: string | undefined;
}

/** What was read of the signatures at one tag. */
export interface LegacySignatures {
  readonly signatures: readonly LegacySignature[];
  /** How many older ones there are besides. */
  readonly unread: number;
}

/** How many are read of one image, and how many requests at a time are made for that. */
const MOST_SIGNATURES = 256;
const READS_AT_A_TIME = 8;

/**
 * Reads the signatures of an image in the older format. Each new one is put behind those that are there (cosign), so that
 * the last ones are read where there are too many.
 * @returns in the order of the manifest; what cannot be read is there, too, and says why
 * @throws ManifoldError `registry-…` when the registry could not be read: this is never "there are none"
 */
export async function readLegacySignatures(
  client: RepositoryClient,
  digest: Digest,
): Promise<LegacySignatures> {
  const content = await client.findManifest(legacyTag(digest));
  if (content === undefined) return { signatures: [], unread: 0 };
  const layers = layersOf(content);
  if (layers instanceof Flaw) return { signatures: [illegible(content.digest, layers)], unread: 0 };
  const wanted = layers.slice(-MOST_SIGNATURES);
  const readPayload = onceEach(layer => readForeignBlob(client, layer));
  const signatures = await inParallel(wanted, READS_AT_A_TIME, layer => readSignature(layer, readPayload));
  return { signatures, unread: layers.length - wanted.length };
}

function layersOf(content: ManifestContent): readonly Layer[] | Flaw {
  try {
    return parseManifest(content, 'that holds it').layers;
  } catch (error) {
    return flawOf(error);
  }
}

type Read = (layer: Layer) => Promise<Buffer>;

/** Signatures over the same image share their payload. */
function onceEach(read: Read): Read {
  const known = new Map<string, Promise<Buffer>>();
  return layer => {
    const key = `${layer.digest} ${layer.size}`;
    const payload = known.get(key) ?? read(layer);
    known.set(key, payload);
    return payload;
  };
}

async function readSignature(layer: Layer, readPayload: Read): Promise<LegacySignature> {
  const { digest, mediaType, annotations = {} } = layer;
  try {
    if (mediaType !== SIMPLE_SIGNING_TYPE)
      throw new Flaw('illegible', `it is of the type ${oneLine(mediaType)}, which is none of signatures`);
    return signatureIn(digest, await readPayload(layer), annotations);
  } catch (error) {
    if (error instanceof Flaw) return illegible(digest, error);
    throw error;
  }
}

/** A signature as it stands in its layer. */
export function signatureIn(
  digest: Digest,
  payload: Buffer,
  annotations: Readonly<Record<string, string>>,
): LegacySignature {
  const annotation = (name: keyof typeof LEGACY_ANNOTATION): string | undefined =>
    annotations[LEGACY_ANNOTATION[name]] || undefined;
  return {
    digest,
    payload,
    problem: undefined,
    signature: annotation('signature'),
    certificate: annotation('certificate'),
    chain: annotation('chain'),
    logEntry: annotation('logEntry'),
    timestamp: annotation('timestamp'),
  };
}

const ABSENT = {
  payload: undefined,
  problem: undefined,
  signature: undefined,
  certificate: undefined,
  chain: undefined,
  logEntry: undefined,
  timestamp: undefined,
};

function illegible(digest: Digest, { message }: Flaw): LegacySignature {
  return { ...ABSENT, digest, problem: message };
}
