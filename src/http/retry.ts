/** How long and how often a request is tried. All times are milliseconds. */
export interface RetryPolicy {
  /**
   * No wait for a further try ends later than this after the first try had failed. The first try itself is not counted,
   * however long it waits for its place among the requests of its host, for an answer, or for the bytes of a layer to pass:
   * until it fails, nothing is wrong.
   */
  readonly budget: number;
  /** The first wait is at most this, each later one at most twice as long as the one before. */
  readonly base: number;
  /** No wait that we choose is longer; a server's `Retry-After` may be. */
  readonly longest: number;
}

/** Registries show within seconds what they took: what is not there after this is not coming. Milliseconds. */
export const LAG_BUDGET = 30_000;

/** What a server may ask for: some say an hour, and are there again after a minute. Milliseconds. */
const LONGEST_RETRY_AFTER = 60_000;

export const DEFAULT_RETRY: RetryPolicy = { budget: 120_000, base: 250, longest: 15_000 };

/** What a single try came to: an answer, or the lack of one. */
export interface Outcome {
  readonly status?: number;
  readonly retryAfter?: string | undefined;
  /** The beginning of the answer's body, for servers that tell a rate limit only there. */
  readonly text?: string;
}

// 499 is the server's word for a client that went away. We are still there: what it took for us was another request, whose
// work ours had joined (Rekor 2 gathers entries).
const TRANSIENT = new Set([408, 425, 429, 499, 500, 502, 503, 504]);
// GHCR's secondary limit comes as 403 with such a text and often without Retry-After.
const RATE_LIMIT_TEXT = /\brate.?limit|too.?many.?requests|abuse detection|slow.?down/i;

/** Tells a fault that may pass from one that will not change: an answer with a passing status, or none at all. */
export function isTransient(outcome: Outcome): boolean {
  if (outcome.status === undefined) return true;
  return TRANSIENT.has(outcome.status) || isRateLimit(outcome);
}

/** 429, and 403 where it means the same. */
export function isRateLimit(outcome: Outcome): boolean {
  if (outcome.status === 429) return true;
  if (outcome.status !== 403) return false;
  return outcome.retryAfter !== undefined || RATE_LIMIT_TEXT.test(outcome.text ?? '');
}

/** A host that would do better with fewer requests at a time: a rate limit, or 503 that says when to come back. */
export function asksForLess(outcome: Outcome): boolean {
  return isRateLimit(outcome) || (outcome.status === 503 && outcome.retryAfter !== undefined);
}

/** The policy for what lags behind a push. */
export function forLag(policy: RetryPolicy): RetryPolicy {
  return { ...policy, budget: Math.min(policy.budget, LAG_BUDGET) };
}

/** How long something is tried until it succeeds, be it by one request or by several: counted from its first failure. */
export class Patience {
  readonly #policy: RetryPolicy;
  #failures = 0;
  #elapsed = 0;
  #firstFailure: number | undefined;

  constructor(policy: RetryPolicy) {
    this.#policy = policy;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds between the first failure and the last one. */
  get elapsed(): number {
    return this.#elapsed;
  }

  /**
   * Notes that a try has failed just now.
   * @param retryAfter what the server asked for
   * @returns the wait before the next try, in milliseconds; undefined when there is to be none
   */
  afterFailure(retryAfter?: string): number | undefined {
    const now = performance.now();
    this.#firstFailure ??= now;
    this.#elapsed = now - this.#firstFailure;
    this.#failures++;
    return nextDelay(this.#policy, this.#failures, this.#elapsed, retryAfter);
  }
}

/**
 * The wait before the next try in milliseconds, or undefined when the budget ends before it: full jitter over an
 * exponential back-off, and never less than the server asked for (RFC 9110, section 10.2.3), which counts up to a minute.
 * @param failures how many tries have failed so far, from 1
 * @param elapsed milliseconds since the first try had failed: 0 after that one
 */
export function nextDelay(
  policy: RetryPolicy,
  failures: number,
  elapsed: number,
  retryAfter: string | undefined,
  random: () => number = Math.random,
): number | undefined {
  const ceiling = Math.min(policy.longest, policy.base * 2 ** (failures - 1));
  const asked = Math.min(parseRetryAfter(retryAfter, Date.now()) ?? 0, LONGEST_RETRY_AFTER);
  const wait = Math.max(random() * ceiling, asked);
  return elapsed + wait > policy.budget ? undefined : wait;
}

/** `Retry-After` in seconds or as an HTTP date -> milliseconds from `now`; undefined when absent or illegible. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^[0-9]{1,9}$/.test(text)) return Number(text) * 1000;
  // Date.parse takes much more than the three forms of an HTTP date, "-5" for example; all three begin with a weekday.
  const date = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
