import { type Made, made, storeManifest, TYPES } from '../../__tests__/servers/images.ts';
import type { Contents } from '../../__tests__/servers/registry.ts';
import { fallbackTag, legacyTag } from './exhibits.ts';
import type { ForeignSigner } from './foreign-signatures.ts';

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const EMPTY = 'application/vnd.oci.empty.v1+json';
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';

/** What somebody else may attach to an image: a scan, or a signature of his own. */
export type Attachment = 'scan' | 'bundle' | 'legacy';

/** An entry of a list that is shared with others: of the tag for referrers, or of that for legacy signatures. */
interface Entry {
  readonly tag: string;
  /** As it was written. */
  readonly text: string;
}

/** Somebody who shares the repositories with us. What he has put there must stay. */
export class Stranger {
  readonly #signer: ForeignSigner;
  readonly #left = new WeakMap<Contents, Entry[]>();
  #number = 0;

  constructor(signer: ForeignSigner) {
    this.#signer = signer;
  }

  /**
   * Attaches something to a manifest.
   * @param before what the shared list was when he read it; as it is now without this
   */
  attach(contents: Contents, digest: string, kind: Attachment, before?: readonly object[]): void {
    if (!contents.manifests.has(digest)) return;
    const tag = kind === 'legacy' ? legacyTag(digest) : fallbackTag(digest);
    const entries = before ?? shared(contents, tag);
    const { entry, list } =
      kind === 'legacy'
        ? this.#addLayer(contents, digest, entries)
        : this.#addReferrer(contents, digest, kind, entries);
    storeManifest(contents, list);
    contents.tags.set(tag, list.descriptor.digest);
    const left = this.#left.get(contents) ?? [];
    this.#left.set(contents, [...left, { tag, text: JSON.stringify(entry) }]);
  }

  /** Entries of his that are not there any more, or not as he wrote them. */
  lost(contents: Contents): readonly Entry[] {
    const left = this.#left.get(contents) ?? [];
    return left.filter(
      ({ tag, text }) => !shared(contents, tag).some(entry => JSON.stringify(entry) === text),
    );
  }

  #addReferrer(
    contents: Contents,
    digest: string,
    kind: 'scan' | 'bundle',
    before: readonly object[],
  ): { entry: object; list: Made } {
    const held = contents.manifests.get(digest);
    const subject = { mediaType: held?.mediaType, digest, size: held?.bytes.length };
    const layer = kind === 'bundle' ? made(BUNDLE, this.#signer.bundle(digest, BUNDLE)) : made(EMPTY, '{}');
    const config = made(EMPTY, '{}');
    for (const { descriptor, bytes } of [layer, config]) contents.blobs.set(descriptor.digest, bytes);
    const artifactType = kind === 'bundle' ? BUNDLE : 'application/vnd.example.scan';
    const manifest = made(TYPES.manifest, {
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      artifactType,
      config: config.descriptor,
      layers: [layer.descriptor],
      subject,
      annotations: { number: String(this.#number++) },
    });
    storeManifest(contents, manifest);
    const entry = { ...manifest.descriptor, artifactType, ...ODD };
    const list = { schemaVersion: 2, mediaType: TYPES.index, manifests: [...before, entry] };
    return { entry, list: made(TYPES.index, list) };
  }

  #addLayer(contents: Contents, digest: string, before: readonly object[]): { entry: object; list: Made } {
    const payload = made(SIMPLE_SIGNING, {
      critical: {
        identity: { 'docker-reference': 'localhost/acme/app' },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: { number: this.#number++ },
    });
    const annotations = this.#signer.legacy(payload.bytes, payload.descriptor.digest);
    const entry = { ...payload.descriptor, annotations, ...ODD };
    const layers = [...before, entry];
    const config = made(TYPES.config, {
      architecture: '',
      os: '',
      rootfs: { type: 'layers', diff_ids: layers.map(layer => (layer as typeof entry).digest) },
    });
    for (const { descriptor, bytes } of [payload, config]) contents.blobs.set(descriptor.digest, bytes);
    const image = { schemaVersion: 2, mediaType: TYPES.manifest, config: config.descriptor, layers };
    return { entry, list: made(TYPES.manifest, image) };
  }
}

/** Nobody but he knows this. */
const ODD = { 'x-example': 'as it was written' };

/** The entries of a list that many write to: referrers, or layers. */
export function shared(contents: Contents, tag: string): object[] {
  const held = contents.manifests.get(contents.tags.get(tag) ?? '');
  if (held === undefined) return [];
  const { manifests, layers = [] } = JSON.parse(held.bytes.toString()) as Record<string, object[]>;
  return manifests ?? layers;
}
