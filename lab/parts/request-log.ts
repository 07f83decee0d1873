import { matches, type RequestPattern } from './fault-rules.ts';

/** One request that came to the proxy. */
export interface LoggedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** Undefined until answered, and for ever where the connection broke. */
  status: number | undefined;
}

/** A request that waits at the proxy. */
export interface Hold {
  /** Resolves when it has come; the server has not seen it then. */
  readonly arrived: Promise<LoggedRequest>;
  /** Lets it go on to the server. */
  release(): void;
  /** Breaks its connection: the server never sees it, as if the client had died a moment earlier. */
  discard(): void;
}

/** What becomes of a request that has come. */
export type Verdict = 'forward' | 'discard';

interface Waiter {
  readonly pattern: RequestPattern;
  /** Matching requests that are still to come. */
  left: number;
  arrive(request: LoggedRequest): void;
  readonly verdict: Promise<Verdict>;
  decide(verdict: Verdict): void;
}

/** The requests that came to one proxy, in their order, and those among them that somebody holds. */
export class RequestLog {
  readonly entries: LoggedRequest[] = [];
  readonly #waiters = new Set<Waiter>();

  add(method: string, path: string): LoggedRequest {
    const entry: LoggedRequest = { method, path, at: Date.now(), status: undefined };
    this.entries.push(entry);
    return entry;
  }

  count(pattern: RequestPattern = {}): number {
    return this.entries.filter(({ method, path }) => matches(pattern, method, path)).length;
  }

  /** Keeps the n-th matching request from now on, counted from 1. */
  hold(n: number, pattern: RequestPattern = {}): Hold {
    const arrived = Promise.withResolvers<LoggedRequest>();
    const verdict = Promise.withResolvers<Verdict>();
    const decide = verdict.resolve;
    this.#waiters.add({ pattern, left: n, arrive: arrived.resolve, verdict: verdict.promise, decide });
    return {
      arrived: arrived.promise,
      release: () => decide('forward'),
      discard: () => decide('discard'),
    };
  }

  /** Tells whoever waits for this request, and resolves when all of them have decided about it. */
  async verdict(entry: LoggedRequest): Promise<Verdict> {
    const verdicts: Promise<Verdict>[] = [];
    for (const waiter of this.#waiters) {
      if (!matches(waiter.pattern, entry.method, entry.path)) continue;
      waiter.left--;
      if (waiter.left > 0) continue;
      this.#waiters.delete(waiter);
      waiter.arrive(entry);
      verdicts.push(waiter.verdict);
    }
    return (await Promise.all(verdicts)).includes('discard') ? 'discard' : 'forward';
  }

  /** Forgets all requests, and every hold whose request has not come. */
  clear(): void {
    this.entries.length = 0;
    for (const waiter of this.#waiters) waiter.decide('forward');
    this.#waiters.clear();
  }
}
