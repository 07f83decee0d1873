import type { Descriptor } from '../oci/manifest.ts';
import type { RepositoryClient } from '../registry/client.ts';
import type { Child } from './children.ts';
import type { IndexImage } from './index-image.ts';

/** One repository that an image is published to. */
export interface Target {
  readonly client: RepositoryClient;
  /** Bare tags; empty: by digest only. */
  readonly tags: readonly string[];
}

/** One component, checked and assembled, with all places that it goes to. */
export interface Publication {
  readonly component: string;
  readonly image: IndexImage;
  readonly built: readonly Child[];
  readonly targets: readonly Target[];
}

/** All manifests below the one that tags point at: images and attestation manifests, in the order of the index. */
export function childrenOf({ image }: Publication): Descriptor[] {
  if (image.isPlain) return [];
  return image.children.flatMap(({ image: child, attestations }) => [child, ...attestations]);
}
