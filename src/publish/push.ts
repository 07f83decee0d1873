import type { Descriptor } from '../oci/manifest.ts';
import { formatRepository, parseRepository } from '../oci/reference.ts';
import { keepTagOf } from '../oci/tags.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { copyManifests } from '../registry/copy.ts';
import type { Child, Connect } from './children.ts';
import type { Publication, Target } from './publication.ts';
import { isShown, type TagStates } from './tags.ts';

export interface PushOptions {
  /** The same client for the same repository. */
  readonly connect: Connect;
  /** Told of what is copied, a line each. */
  readonly onProgress: (line: string) => void;
}

/** By the build jobs: a registry may not show yet what it took from them. */
const PUSHED = { justPushed: true };

/**
 * Pushes an index under its digest, where its children are already.
 * @param shown what the tags point at, as far as they were looked at: an index that one of them shows is there
 * @throws ManifoldError `registry-…`
 */
export async function pushIndex({ image }: Publication, { client }: Target, shown: TagStates): Promise<void> {
  // The plain manifest of a single platform is where the build pushed it, or was copied.
  if (image.isPlain || isShown(shown, client, image.content.digest)) return;
  await client.putManifest(image.content, image.content.digest, PUSHED);
}

/**
 * Makes sure that one of the repositories of an image holds its children: those that the builds did not push there are
 * copied.
 * @throws ManifoldError `registry-…`, `digest-mismatch`
 */
export async function bringChildren(
  { built, image }: Publication,
  target: Target,
  options: PushOptions,
): Promise<void> {
  const name = formatRepository(target.client.repository);
  const foreign = built.filter(({ record }) => !record.images.includes(name));
  const bySource = Map.groupBy(foreign, child => sourceFor(child, target, options.connect));
  await Promise.all(
    [...bySource].map(([source, children]) => {
      const manifests = children.flatMap(({ built: { image: child } }): Descriptor[] => [
        child.image,
        // Nothing would lead from a plain image to them.
        ...(image.isPlain ? [] : child.attestations),
      ]);
      return copyManifests(source, target.client, manifests, { ...PUSHED, onProgress: options.onProgress });
    }),
  );
}

/** Within one registry blobs are mounted and not copied: a source there is preferred to where the build was read. */
function sourceFor({ record, source }: Child, { client }: Target, connect: Connect): RepositoryClient {
  const near = record.images
    .map(parseRepository)
    .find(({ registry }) => registry === client.repository.registry);
  return near === undefined ? source : connect(near);
}

/**
 * Gives each child a tag of its own in one of the repositories, against clean-up of what has none.
 * @param template `keep-tags`
 * @throws ManifoldError `registry-…`, `invalid-input`
 */
export async function keepChildren(
  { image }: Publication,
  { client }: Target,
  template: string,
): Promise<void> {
  await Promise.all(
    image.children.flatMap(({ platform, image: child, attestations }, position) => {
      const manifest = image.manifests[position];
      const own =
        manifest === undefined
          ? []
          : [client.putManifest(manifest, keepTagOf(template, child.digest, platform), PUSHED)];
      const others = attestations.map(async ({ digest }) => {
        const content = await client.getManifest(digest, PUSHED);
        await client.putManifest(content, keepTagOf(template, digest), PUSHED);
      });
      return [...own, ...others];
    }),
  );
}
