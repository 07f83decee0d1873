import type { Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/manifest.ts';
import { formatRepository, parseRepository } from '../oci/reference.ts';
import { keepTagOf } from '../oci/tags.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { copyManifests } from '../registry/copy.ts';
import type { Child, Connect } from './children.ts';
import type { Publication, Target } from './publication.ts';

export interface PushOptions {
  /** The same client for the same repository. */
  readonly connect: Connect;
  /** Template of a tag for each child, against clean-up of untagged manifests; undefined: none. */
  readonly keepTags: string | undefined;
  /** Tells what a repository is known to hold already, as a tag of it points there. */
  readonly isThere: (client: RepositoryClient, digest: Digest) => boolean;
  /** Told of what is copied, a line each. */
  readonly onProgress: (line: string) => void;
}

/** By the build jobs: a registry may not show yet what it took from them. */
const PUSHED = { justPushed: true };

/**
 * Puts an image into one of its repositories, under its digest only: first its children, which are copied where the
 * builds did not push to, then their tags against clean-up, then the index.
 * @throws ManifoldError `registry-…`, `digest-mismatch`
 */
export async function pushByDigest(
  publication: Publication,
  target: Target,
  options: PushOptions,
): Promise<void> {
  const { image } = publication;
  await copyChildren(publication, target, options);
  if (options.keepTags !== undefined) await keepChildren(publication, target, options.keepTags);
  // The plain manifest of a single platform is where the build pushed it, or was copied.
  if (!image.isPlain && !options.isThere(target.client, image.content.digest)) {
    await target.client.putManifest(image.content, image.content.digest, PUSHED);
  }
}

async function copyChildren(
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

async function keepChildren({ image }: Publication, { client }: Target, template: string): Promise<void> {
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
