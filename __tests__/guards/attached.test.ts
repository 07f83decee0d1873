import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { failureOf } from '../servers/clients.ts';
import { made, storeManifest, TYPES } from '../servers/images.ts';
import type { Contents } from '../servers/registry.ts';
import { startRun } from '../servers/run.ts';
import { type Json, newFoundry } from '../servers/signatures.ts';

/* What a registry may do to signatures between the moment when they are attached and the first tag. */

const OLD = `sha256:${'0'.repeat(64)}`;
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const stranger = newFoundry();

/** A run with two builds, in a registry with the referrers API and one without, whose tag "latest" is of an earlier release. */
async function built() {
  const run = await startRun({ referrers: 'api' }, {});
  await run.build('linux/amd64');
  await run.build('linux/arm64');
  for (const registry of run.registries) registry.repository('acme/app').tags.set('latest', OLD);
  return run;
}

const documentOf = (contents: Contents, digest: string): Json =>
  JSON.parse(contents.manifests.get(digest)?.bytes.toString() ?? '{}');

/** Puts another manifest in the place of one: in the lists and under the tags that name it, too. */
function replace(contents: Contents, digest: string, document?: Json): void {
  const other = document && made(TYPES.manifest, document);
  contents.manifests.delete(digest);
  if (other !== undefined) storeManifest(contents, other);
  for (const [tag, target] of contents.tags) {
    if (target === digest) {
      if (other === undefined) contents.tags.delete(tag);
      else contents.tags.set(tag, other.descriptor.digest);
    }
    const listing = documentOf(contents, target);
    const place = listing.manifests?.findIndex((entry: Json) => entry.digest === digest) ?? -1;
    if (!tag.startsWith('sha256-') || place < 0) continue;
    listing.manifests.splice(
      place,
      1,
      ...(other === undefined ? [] : [{ ...listing.manifests[place], ...other.descriptor }]),
    );
    const rewritten = made(TYPES.index, listing);
    storeManifest(contents, rewritten);
    contents.tags.set(tag, rewritten.descriptor.digest);
  }
}

/** Stores a document as a blob. @returns its descriptor */
function blob(contents: Contents, mediaType: string, content: Json): Json {
  const { bytes, descriptor } = made(mediaType, content);
  contents.blobs.set(descriptor.digest, bytes);
  return descriptor;
}

interface Attached {
  readonly contents: Contents;
  /** Of the manifest that holds the signature. */
  readonly digest: string;
  readonly manifest: Json;
  /** The image that it is of. */
  readonly subject: string;
}

/** Changes of one signature as a bundle, each to something that is whole in itself. */
const rewrap = ({ contents, digest, manifest }: Attached, change: (bundle: Json) => Json): void => {
  const [layer] = manifest.layers;
  const bundle = change(JSON.parse(contents.blobs.get(layer.digest)?.toString() ?? '{}'));
  replace(contents, digest, { ...manifest, layers: [blob(contents, BUNDLE, bundle)] });
};

/** What a registry does to a signature, and what the merge says of it. */
interface Row {
  readonly says: string;
  readonly change: (attached: Attached) => void;
}

const OF_BUNDLES: Readonly<Record<string, Row>> = {
  'drops it': {
    says: 'The registry took the signature but does not list it.',
    change: ({ contents, digest }) => replace(contents, digest, undefined),
  },
  'puts that of another Sigstore in its place': {
    says: 'A signature is not valid: no certificate authority of the trusted root vouches for its certificate.',
    change: attached => rewrap(attached, () => stranger.bundle(attached.subject)),
  },
  'alters what it says': {
    says: 'A signature is not valid: its key did not make it over this content.',
    change: attached =>
      rewrap(attached, bundle => {
        const payload = Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString();
        const altered = Buffer.from(payload.replace('{', '{ ')).toString('base64');
        return { ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, payload: altered } };
      }),
  },
  'takes its log entry away': {
    says: 'A signature is not valid: no transparency log has it.',
    change: attached =>
      rewrap(attached, bundle => ({
        ...bundle,
        verificationMaterial: { ...bundle.verificationMaterial, tlogEntries: [] },
      })),
  },
  'puts something else in its place that calls itself a bundle': {
    says: 'A signature is not valid: it is no Sigstore bundle: ',
    change: attached => rewrap(attached, () => ({})),
  },
};

/** Bytes are read by their digest, and not by what a tag names: there is no later moment to change them at. */
const OF_BYTES: Readonly<Record<string, Row>> = {
  'shows other bytes for it': {
    says: 'A signature is not valid: it cannot be read: ',
    change: ({ contents, manifest }) => void contents.blobs.set(manifest.layers[0].digest, Buffer.from('{}')),
  },
};

const OF_LAYERS: Readonly<Record<string, Row>> = {
  'drops it': {
    says: 'The registry took the signature but does not list it.',
    change: ({ contents, digest }) => replace(contents, digest, undefined),
  },
  'puts that of another Sigstore in its place': {
    says: 'A signature is not valid: no certificate authority of the trusted root vouches for its certificate.',
    change: ({ contents, digest, manifest, subject }) => {
      const { payload, annotations } = stranger.legacy(subject);
      const descriptor = blob(contents, manifest.layers[0].mediaType, payload.toString());
      replace(contents, digest, { ...manifest, layers: [{ ...descriptor, annotations }] });
    },
  },
  'alters what it says': {
    says: 'A signature is not valid: its key did not make it over this content.',
    change: ({ contents, digest, manifest }) => {
      const [layer] = manifest.layers;
      const payload = contents.blobs.get(layer.digest)?.toString() ?? '';
      const descriptor = blob(contents, layer.mediaType, payload.replace('{', '{ '));
      replace(contents, digest, { ...manifest, layers: [{ ...layer, ...descriptor }] });
    },
  },
  'takes its log entry away': {
    says: 'A signature is not valid: no transparency log has it.',
    change: ({ contents, digest, manifest }) => {
      const [layer] = manifest.layers;
      const { 'dev.sigstore.cosign/bundle': _, ...annotations } = layer.annotations;
      replace(contents, digest, { ...manifest, layers: [{ ...layer, annotations }] });
    },
  },
  'shows other bytes for it': {
    says: 'A signature is not valid: it cannot be read: ',
    change: ({ contents, manifest }) => void contents.blobs.set(manifest.layers[0].digest, Buffer.from('{}')),
  },
};

/** The signatures of a repository that were attached as bundles, or in the older format. */
function attachedIn(contents: Contents, format: 'bundle' | 'legacy'): Attached[] {
  if (format === 'legacy') {
    return [...contents.tags].flatMap(([tag, digest]) => {
      const subject = /^sha256-([0-9a-f]{64})\.sig$/.exec(tag)?.[1];
      const manifest = documentOf(contents, digest);
      return subject === undefined ? [] : [{ contents, digest, manifest, subject: `sha256:${subject}` }];
    });
  }
  return [...contents.manifests.keys()].flatMap(digest => {
    const manifest = documentOf(contents, digest);
    return manifest.artifactType === BUNDLE
      ? [{ contents, digest, manifest, subject: manifest.subject.digest }]
      : [];
  });
}

type Case = readonly [
  string,
  { format: 'bundle' | 'legacy'; position: 0 | 1; of: 'the index' | 'a part of the index'; row: Row },
];

/** How the two registries of a run keep signatures. */
const WAYS = [
  ['a bundle, by the referrers API', 'bundle', 0, { ...OF_BUNDLES, ...OF_BYTES }],
  ['a bundle, by the fallback tag', 'bundle', 1, OF_BUNDLES],
  ['the older format', 'legacy', 1, OF_LAYERS],
] as const;
const CASES = WAYS.flatMap(([way, format, position, rows]) =>
  Object.entries(rows).flatMap(([name, row]) =>
    (name === 'drops it'
      ? (['the index', 'a part of the index'] as const)
      : (['a part of the index'] as const)
    ).map((of): Case => [`${name} (of ${of}, ${way})`, { format, position, of, row }]),
  ),
);

describe('no tag moves anywhere where one registry has a signature and', () => {
  it.each(CASES)('%s', async (_, { format, position, of, row }) => {
    const run = await built();
    const [registry, contents] = [run.registries[position], run.registries[position]?.repository('acme/app')];
    if (registry === undefined || contents === undefined) throw new Error('no registry');
    let target: string | undefined;
    const reads = new Map<string, number>();
    registry.on({
      answer: ({ method, path }) => {
        const name = path.split('/').at(-1) ?? '';
        const before = reads.get(name);
        if (method === 'PUT') reads.set(name, 0);
        else if (before !== undefined) reads.set(name, before + 1);
        const attached = attachedIn(contents, format);
        // An index, two platforms and their two attestation manifests: all is attached.
        if (target !== undefined || method === 'PUT' || attached.length < 5) return;
        const isIndex = ({ subject }: Attached) => documentOf(contents, subject).manifests !== undefined;
        const chosen = attached.find(each => (of === 'the index') === isIndex(each));
        // Whoever writes a tag reads it once himself, and writes it again if it is not what he wrote.
        const isOfTag = chosen !== undefined && name.startsWith(chosen.subject.replace(':', '-'));
        const isAwaited = position === 1 && !(isOfTag && (before ?? 0) > 0);
        if (chosen === undefined || isAwaited) return;
        target = chosen.subject;
        row.change(chosen);
      },
    });
    // With more time what does not show would be attached once more.
    const error = await failureOf(() => run.merge({ signatureFormats: [format], retryBudget: 0 }));
    expect(error.code).toBe('signature-unverified');
    expect(error.message).toContain(
      `${run.images[position]}@${target} is not signed as it should be. ${row.says}`,
    );
    expect(error.hint).toContain('No tag was moved');
    for (const index of [0, 1]) expect(run.tags(index)).toEqual({ latest: OLD });
  });
});

it.each([429, 403, 500])(
  'no tag moves where a registry does not show what it holds any more (%d)',
  async status => {
    const run = await built();
    const [registry, contents] = [run.registries[0], run.registries[0]?.repository('acme/app')];
    registry?.on({
      path: /referrers\//,
      answer: (_, response) =>
        void (contents && attachedIn(contents, 'bundle').length === 5 && sendJson(response, status, {})),
    });
    const error = await failureOf(() => run.merge({ retryBudget: 0 }));
    expect(error.message).toContain('Listing the referrers of');
    for (const index of [0, 1]) expect(run.tags(index)).toEqual({ latest: OLD });
  },
);
