import { type ManifestContent, manifestContent } from '../../src/oci/manifest.ts';
import { lineageOf } from '../../src/publish/lineage.ts';
import { rankTag } from '../../src/publish/tag-rules.ts';
import type { TagOptions, TagTarget } from '../../src/publish/tags.ts';
import type { RepositoryClient } from '../../src/registry/client.ts';
import { FAST, opened } from '../servers/clients.ts';
import { made, pushImage, storeManifest, TYPES } from '../servers/images.ts';
import { startRegistry } from '../servers/registry.ts';

export const TAG_OPTIONS: TagOptions = {
  policy: 'newest',
  immutable: [],
  platformSuffix: undefined,
  retry: FAST,
};

/** An index that holds nothing but annotations. */
export const contentWith = (annotations: unknown): ManifestContent =>
  manifestContent(Buffer.from(JSON.stringify({ annotations })), TYPES.index);

/** One tag of one image, as a merge would have it move. */
export function tagOf(
  client: RepositoryClient,
  tag: string,
  content: ManifestContent,
  change: Partial<TagTarget> = {},
): TagTarget {
  return {
    component: 'app',
    client,
    tag,
    name: `${client.name}:${tag}`,
    content,
    rank: rankTag(tag, []),
    lineage: lineageOf(content),
    leader: `${client.name}:${tag}`,
    ...change,
  };
}

/** A registry that holds an index, and an older one that its tags "1" and "latest" point at. */
export async function taggedRegistry() {
  const registry = await opened(startRegistry());
  const contents = registry.repository('acme/app');
  const { manifest } = pushImage(contents);
  const store = (version: string): ManifestContent => {
    const index = made(TYPES.index, {
      schemaVersion: 2,
      mediaType: TYPES.index,
      manifests: [manifest.descriptor],
      annotations: {
        'org.opencontainers.image.version': version,
        'org.opencontainers.image.source': 'https://github.com/acme/app',
      },
    });
    storeManifest(contents, index);
    return manifestContent(index.bytes, TYPES.index);
  };
  const [old, index] = [store('1.0.0'), store('1.1.0')];
  for (const tag of ['1', 'latest']) contents.tags.set(tag, old.digest);
  return { registry, contents, store, old, index };
}
