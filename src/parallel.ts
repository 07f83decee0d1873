/**
 * Does the same to every item, at most `limit` at a time, until one result is all that was wanted. After that, or after a
 * failure, nothing new is begun.
 * @returns what came of those that were begun, in the order of the items
 */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
  isEnough: (result: Result) => boolean = () => false,
): Promise<Result[]> {
  const results: Result[] = [];
  const left = items.entries();
  let isOver = false;
  const worker = async (): Promise<void> => {
    for (const [position, item] of left) {
      if (isOver) return;
      try {
        const result = await work(item);
        results[position] = result;
        isOver ||= isEnough(result);
      } catch (error) {
        isOver = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  // What was not begun leaves holes, which `filter` skips.
  return results.filter(() => true);
}

/** Lets so many pass at the same time; the others wait in the order in which they came. */
export class Gate {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(places: number) {
    this.#free = places;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>(resolve => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
