import { createHash } from 'node:crypto';
import { seededRandom } from '../parts/random.ts';

/** Draws from a generator that a name seeds: what one part draws more or less does not change what another draws. */
export class Draw {
  readonly #next: () => number;

  /** @param name for example `7/123/world` */
  constructor(name: string) {
    this.#next = seededRandom(createHash('sha256').update(name).digest().readInt32LE());
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  /** Both ends included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.#next() * (most - least + 1));
  }

  one<T>(list: readonly T[]): T {
    return list[this.whole(0, list.length - 1)] as T;
  }

  /** So many different ones, in the order of the draw. */
  some<T>(list: readonly T[], count: number): T[] {
    const left = [...list];
    return Array.from({ length: Math.min(count, left.length) }, () =>
      left.splice(this.whole(0, left.length - 1), 1),
    ).flat();
  }
}
