import * as v from 'valibot';
import { checkDocument, parseDocument } from '../document.ts';
import { ManifoldError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import {
  type BlobDescriptor,
  descriptorSchema,
  type ManifestContent,
  MEDIA_TYPE,
  manifestContent,
} from '../oci/manifest.ts';
import { appendTo, replaceIn } from '../oci/splice.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { rewriteTag } from '../registry/rewrite-tag.ts';
import { LEGACY_ANNOTATION, legacyTag, SIMPLE_SIGNING_TYPE } from './legacy-signature.ts';
import type { Signature } from './signer.ts';
import type { Testimony } from './witness.ts';

/** A signature in the older format, ready to become a layer. */
export interface LegacyLayer {
  /** Simple signing: what was signed. */
  readonly payload: Buffer;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Puts a signature over simple signing and its witnesses' words into a layer (sigstore/cosign, specs/SIGNATURE_SPEC.md). */
export function formatLegacy(payload: Buffer, { bytes, by }: Signature, testimony: Testimony): LegacyLayer {
  const annotations: Record<string, string> = { [LEGACY_ANNOTATION.signature]: bytes.toString('base64') };
  if (by.kind === 'certificate') {
    annotations[LEGACY_ANNOTATION.certificate] = by.certificate.toString();
    annotations[LEGACY_ANNOTATION.chain] = by.chain.map(String).join('');
  }
  const [entry] = testimony.entries;
  if (entry?.inclusionPromise !== undefined) {
    const promise = Buffer.from(entry.inclusionPromise.signedEntryTimestamp);
    annotations[LEGACY_ANNOTATION.logEntry] = JSON.stringify({
      SignedEntryTimestamp: promise.toString('base64'),
      Payload: {
        body: Buffer.from(entry.canonicalizedBody).toString('base64'),
        integratedTime: Number(entry.integratedTime),
        logIndex: Number(entry.logIndex),
        logID: Buffer.from(entry.logId.keyId).toString('hex'),
      },
    });
  }
  const [timestamp] = testimony.timestamps;
  if (timestamp !== undefined) {
    const stamp = { SignedRFC3161Timestamp: timestamp.toString('base64') };
    annotations[LEGACY_ANNOTATION.timestamp] = JSON.stringify(stamp);
  }
  return { payload, annotations };
}

/**
 * Adds signatures to those of an image under its `.sig` tag; what others have put there stays as it is.
 * @throws ManifoldError `registry-…`; `invalid-document` where the tag names something that holds no signatures
 */
export async function attachLegacy(
  client: RepositoryClient,
  subject: Digest,
  layers: readonly LegacyLayer[],
): Promise<void> {
  const ours = await Promise.all(
    layers.map(async ({ payload, annotations }) => {
      const blob = await client.putBlob(payload, true);
      return { mediaType: SIMPLE_SIGNING_TYPE, ...blob, annotations };
    }),
  );
  const tag = legacyTag(subject);
  await rewriteTag(client, {
    tag,
    change: async current => {
      const manifest = parseSignatures(current, `${client.name}:${tag}`);
      const missing = ours.filter(layer => !(manifest?.layers ?? []).some(held => isSame(held, layer)));
      if (missing.length === 0) return undefined;
      return extend(client, await readImage(client, tag, current, manifest), missing);
    },
    notKept: written =>
      new ManifoldError(
        'registry-refused',
        `${client.name} did not keep our signature under its tag ${tag}, written ${written === 1 ? 'once' : `${written} times`}.`,
        {
          hint: 'Something else signs the same image at the same time, or the tag is protected. Re-run this job when it is done.',
        },
      ),
  });
}

interface SignatureLayer extends BlobDescriptor {
  readonly mediaType: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const manifestSchema = v.looseObject({ config: descriptorSchema, layers: v.array(v.unknown()) });
const configSchema = v.looseObject({
  rootfs: v.optional(v.looseObject({ diff_ids: v.optional(v.array(v.unknown())) })),
  history: v.optional(v.nullable(v.array(v.unknown()))),
});

/** What is under the tag: texts as they came, so that what others wrote stays. */
interface SignatureImage {
  readonly mediaType: string;
  readonly manifest: string;
  readonly config: v.InferOutput<typeof configSchema>;
}

/** cosign reads and writes these as images, so that they need the config of one (image-spec, config.md). */
const EMPTY: SignatureImage = {
  mediaType: MEDIA_TYPE.ociManifest,
  manifest: JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociManifest, config: {}, layers: [] }),
  config: {
    architecture: '',
    created: '0001-01-01T00:00:00Z',
    history: [],
    os: '',
    rootfs: { type: 'layers', diff_ids: [] },
    config: {},
  },
};

type SignatureManifest = v.InferOutput<typeof manifestSchema>;

function parseSignatures(current: ManifestContent | undefined, where: string): SignatureManifest | undefined {
  return current && parseDocument(manifestSchema, current.bytes, `the signatures ${where}`);
}

async function readImage(
  client: RepositoryClient,
  tag: string,
  current: ManifestContent | undefined,
  manifest: SignatureManifest | undefined,
): Promise<SignatureImage> {
  if (current === undefined || manifest === undefined) return EMPTY;
  // Whoever has just written the tag has just written this.
  const bytes = await client.getBlob(manifest.config, { justPushed: true });
  const config = parseDocument(configSchema, bytes, `the config of the signatures ${client.name}:${tag}`);
  return { mediaType: current.mediaType, manifest: Buffer.from(current.bytes).toString('utf8'), config };
}

const layerSchema = v.object({
  digest: v.string(),
  annotations: v.optional(v.record(v.string(), v.unknown())),
});

/** The same payload may be signed by many: the signature is what tells them apart. */
function isSame(held: unknown, { digest, annotations }: SignatureLayer): boolean {
  const layer = checkDocument(layerSchema, held, 'a layer of signatures');
  const name = LEGACY_ANNOTATION.signature;
  return layer.digest === digest && layer.annotations?.[name] === annotations[name];
}

async function extend(
  client: RepositoryClient,
  { mediaType, manifest, config }: SignatureImage,
  added: readonly SignatureLayer[],
): Promise<ManifestContent> {
  const { rootfs = {}, history } = config;
  const changed = {
    ...config,
    rootfs: {
      type: 'layers',
      ...rootfs,
      diff_ids: [...(rootfs.diff_ids ?? []), ...added.map(({ digest }) => digest)],
    },
    history: [...(history ?? []), ...added.map(() => ({ created: '0001-01-01T00:00:00Z' }))],
  };
  const blob = await client.putBlob(Buffer.from(JSON.stringify(changed)), true);
  const text = replaceIn(manifest, 'config', { mediaType: MEDIA_TYPE.ociConfig, ...blob });
  return manifestContent(Buffer.from(appendTo(text, 'layers', added)), mediaType);
}
