import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { manifestContent } from '../../src/oci/manifest.ts';
import { clientOf, opened } from './clients.ts';
import { made, pushImage, storeManifest, TYPES } from './images.ts';
import { type Contents, type RegistryOptions, startRegistry } from './registry.ts';

export const ARTIFACT = 'application/vnd.example.signature';

export async function setUp(options: RegistryOptions = {}) {
  const registry = await opened(startRegistry(options));
  const contents = registry.repository('acme/app');
  const { descriptor } = pushImage(contents).root;
  contents.blobs.set(digestOf(Buffer.from('{}')), Buffer.from('{}'));
  const tag = descriptor.digest.replace(':', '-');
  return { registry, contents, subject: descriptor, tag, client: clientOf(registry) };
}

/** A manifest about a subject, told from others by its number. */
export function referrer(subject: { digest: Digest; mediaType: string; size: number }, number: number) {
  const empty = made('application/vnd.oci.empty.v1+json', '{}').descriptor;
  const annotations = { number: String(number) };
  const { mediaType, digest, size } = subject;
  const document = {
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    artifactType: ARTIFACT,
    config: empty,
    layers: [empty],
    subject: { mediaType, digest, size },
    annotations,
  };
  return { content: manifestContent(Buffer.from(JSON.stringify(document)), TYPES.manifest), annotations };
}

/** Writes the fallback tag as somebody else would. */
export function writeFallback(contents: Contents, tag: string, document: object): void {
  const index = made(TYPES.index, document);
  storeManifest(contents, index);
  contents.tags.set(tag, index.descriptor.digest);
}

export const readFallback = (contents: Contents, tag: string) =>
  JSON.parse(contents.manifests.get(contents.tags.get(tag) ?? '')?.bytes.toString() ?? 'null');
