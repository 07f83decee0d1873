import type { RepositoryClient } from '../registry/client.ts';
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
  readonly targets: readonly Target[];
}
