import { asksForLess, type Outcome } from './retry.ts';

/** What a request does with its connection: it streams its answer, or its body, or is over soon. */
export type Lane = 'download' | 'upload' | 'short';

/** The place of one request among those that a host gets at a time. */
export interface Lease {
  /** Adapts the limit to how the host answered. */
  learn(outcome: Outcome): void;
  /** Gives the place to the next one. */
  leave(): void;
}

/** However often a host asks for less, this many requests go on. */
const FEWEST = 2;

interface Waiting {
  readonly lane: Lane;
  readonly enter: () => void;
}

/**
 * How many requests one host gets at a time. A host that asks for less gets half as many, and one more for each full
 * round of successes: the rule by which TCP finds its window (RFC 5681).
 */
export class HostLimit {
  readonly #most: number;
  #limit: number;
  /** Counts the halvings: what was sent before the last one says nothing about the limit of now. */
  #epoch = 0;
  #successes = 0;
  readonly #active = { download: 0, upload: 0, short: 0 };
  #waiting: Waiting[] = [];

  constructor(most: number) {
    this.#most = Math.max(most, FEWEST);
    this.#limit = this.#most;
  }

  /** Waits for a place. */
  async enter(lane: Lane): Promise<Lease> {
    if (this.#admits(lane)) this.#active[lane]++;
    else await new Promise<void>(enter => this.#waiting.push({ lane, enter }));
    const epoch = this.#epoch;
    return {
      learn: outcome => this.#learn(outcome, epoch),
      leave: () => {
        this.#active[lane]--;
        this.#admitNext();
      },
    };
  }

  /**
   * A copy within one host holds a download while it waits for its upload. So downloads leave half of the places to
   * others, and an upload is let in when nothing but downloads is under way, even if a halved limit is exceeded by them:
   * one of the two can always go on.
   */
  #admits(lane: Lane): boolean {
    const { download, upload, short } = this.#active;
    if (lane === 'upload' && upload + short === 0) return true;
    if (lane === 'download' && download >= Math.floor(this.#limit / 2)) return false;
    return download + upload + short < this.#limit;
  }

  #admitNext(): void {
    this.#waiting = this.#waiting.filter(({ lane, enter }) => {
      if (!this.#admits(lane)) return true;
      this.#active[lane]++;
      enter();
      return false;
    });
  }

  #learn(outcome: Outcome, epoch: number): void {
    if (asksForLess(outcome)) {
      if (epoch !== this.#epoch) return;
      this.#epoch++;
      this.#successes = 0;
      this.#limit = Math.max(FEWEST, Math.floor(this.#limit / 2));
    } else if (outcome.status !== undefined && outcome.status < 500 && this.#limit < this.#most) {
      this.#successes++;
      if (this.#successes < this.#limit) return;
      this.#successes = 0;
      this.#limit++;
    }
  }
}
