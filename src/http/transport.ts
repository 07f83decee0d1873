import { setTimeout as sleep } from 'node:timers/promises';
import { ManifoldError } from '../errors.ts';
import { beginning, collect } from './answer-body.ts';
import { faultAt, mayPass, reasonOf, unreachable } from './faults.ts';
import { type Answer, isFinal, isLag, outcomeOf, type Tried } from './judgement.ts';
import {
  describe,
  GivenOnce,
  type HttpRequest,
  type HttpResponse,
  type HttpStream,
  isStream,
} from './message.ts';
import { redirectOf } from './redirect.ts';
import { DEFAULT_RETRY, forLag, Patience, type RetryPolicy } from './retry.ts';
import { Sender } from './sender.ts';
import { SourceFailure } from './upload.ts';

export {
  type BodySource,
  GivenOnce,
  type HttpRequest,
  type HttpResponse,
  type HttpStream,
  isStream,
} from './message.ts';

export interface TransportOptions {
  readonly retry?: RetryPolicy;
  /** Milliseconds without a byte from the server until a try is given up. */
  readonly idleTimeout?: number;
  readonly userAgent?: string;
  /** How many requests a host gets at a time, until it asks for less. Default 24, at least 2. */
  readonly socketsPerHost?: number;
  /** Where the proxies are named (`HTTPS_PROXY`, …); without it, none is used. */
  readonly env?: NodeJS.ProcessEnv;
  /** Told of each try that failed and will be repeated, one sentence. */
  readonly onRetry?: (message: string) => void;
  /** Told of a proxy's password before it is used, so that the log masks it. */
  readonly onSecret?: (secret: string) => void;
}

const MAX_BYTES = 4 * 1024 * 1024;
/** Of the page that comes with a failure, messages show the beginning. Bytes. */
const MAX_FAILURE_BYTES = 64 * 1024;
const MAX_REDIRECTS = 5;

/** What a caller takes of an answer that has begun. */
interface Taking<A extends Answer> {
  /** A good answer is read in the caller's own time. */
  readonly isStreamed: boolean;
  readonly take: (begun: HttpStream) => Promise<A>;
}

const WHOLE: Taking<HttpResponse> = { isStreamed: false, take: wholly };
const STREAM: Taking<Answer> = {
  isStreamed: true,
  take: async begun => (isStream(begun) ? begun : wholly(begun)),
};

/** HTTP with retries, time-outs, bounded bodies and redirects that take neither credentials nor a body to another origin. */
export class Transport {
  /** How long a request is tried, and what takes several requests should be tried, too. */
  readonly retry: RetryPolicy;
  readonly #onRetry: (message: string) => void;
  readonly #closed = new AbortController();
  readonly #sender: Sender;

  constructor(options: TransportOptions = {}) {
    this.retry = options.retry ?? DEFAULT_RETRY;
    this.#onRetry = options.onRetry ?? (() => {});
    this.#sender = new Sender({
      env: options.env ?? {},
      idleTimeout: options.idleTimeout ?? 30_000,
      userAgent: options.userAgent ?? 'manifold',
      socketsPerHost: options.socketsPerHost ?? 24,
      onSecret: options.onSecret ?? (() => {}),
      signal: this.#closed.signal,
    });
  }

  /**
   * Sends a request until it is answered by something that will not change, or the budget is used up. Any status is an
   * answer; the caller judges it.
   * @throws ManifoldError `service-unreachable` when no answer came within the budget; and whatever a `BodySource` threw
   *   that will not pass
   */
  request(request: HttpRequest): Promise<HttpResponse> {
    return this.#persist({ maxBytes: MAX_BYTES, ...request }, WHOLE);
  }

  /**
   * The same, until a good answer (status below 300) has begun, whose body comes as a stream. Any other answer comes as
   * a whole. The body is not tried again: what breaks off is begun anew by the caller, who knows how much has arrived.
   * It has no time limit as a whole, as a layer of gigabytes takes many minutes over a slow line: while bytes come, it
   * goes on; what hangs, the idle time-out ends.
   */
  open(request: HttpRequest): Promise<Answer> {
    return this.#persist(request, STREAM);
  }

  /**
   * Ends everything: what is under way or waits for its next try fails, streams end in an error, and nothing is sent any
   * more. A step that has failed must not go on pushing behind its error.
   */
  close(): void {
    this.#closed.abort();
    this.#sender.close();
  }

  async #persist<A extends Answer>(request: HttpRequest, taking: Taking<A>): Promise<A> {
    const patience = new Patience(this.retry);
    // Begins when something lags for the first time, however long the server was ill before.
    const forLagging = new Patience(forLag(this.retry));
    const start = performance.now();
    let tries = 0;
    /** When the last try had failed. */
    let ended = start;
    let last: Tried<A> = {};
    for (;;) {
      const tried = await this.#try(request, taking);
      if (tried !== undefined) {
        tries++;
        ended = performance.now();
        last = tried;
      }
      const { answer, fault } = last;
      const isLast = tried === undefined || isFinal(request, tried);
      const clock = isLag(request, last) ? forLagging : patience;
      const delay = isLast ? undefined : clock.afterFailure(answer?.headers['retry-after']);
      if (delay === undefined) {
        if (answer !== undefined) return answer;
        throw unreachable(describe(request), request.url.host, fault, tries, ended - start);
      }
      const why = answer === undefined ? reasonOf(fault) : `status ${answer.status}`;
      this.#onRetry(`${describe(request)}: ${why}; trying again in ${(delay / 1000).toFixed(1)} s`);
      await sleep(delay, undefined, { signal: this.#closed.signal });
      await request.beforeRetry?.();
    }
  }

  /**
   * One try; undefined when there was none, as the body is not given again. What it throws would come again, or nobody
   * wants to see.
   */
  async #try<A extends Answer>(request: HttpRequest, taking: Taking<A>): Promise<Tried<A> | undefined> {
    try {
      return { answer: await this.#follow(request, taking) };
    } catch (fault) {
      const isOfSource = fault instanceof SourceFailure;
      const error = isOfSource ? fault.cause : fault;
      if (error instanceof GivenOnce) return undefined;
      if (error instanceof ManifoldError || this.#closed.signal.aborted) throw error;
      if (isOfSource && !mayPass(error)) throw error;
      return { fault: isOfSource ? faultAt('the source of the body', error) : error };
    }
  }

  async #follow<A extends Answer>(request: HttpRequest, taking: Taking<A>): Promise<A> {
    let current = request;
    for (let hops = 0; ; hops++) {
      const { begun, lease } = await this.#sender.send(current, taking.isStreamed);
      const next = nextAfter(begun, current);
      if (next === undefined) {
        const answer = await taking.take(begun);
        lease.learn(outcomeOf(answer));
        return answer;
      }
      // Read, so that the connection can be used again.
      await beginning(begun.body, MAX_FAILURE_BYTES);
      if (hops === MAX_REDIRECTS) {
        throw new ManifoldError(
          'registry-refused',
          `${describe(request)} is redirected more than ${MAX_REDIRECTS} times.`,
        );
      }
      current = next;
    }
  }
}

/** The whole answer; of a failure's page, only as much as messages show. */
async function wholly(begun: HttpStream): Promise<HttpResponse> {
  const { body, ...head } = begun;
  return { ...head, body: isStream(begun) ? await collect(body) : await beginning(body, MAX_FAILURE_BYTES) };
}

/** Where an answer leads. What leads nowhere is not left open behind the error: it holds a connection and its place. */
function nextAfter(begun: HttpStream, request: HttpRequest): HttpRequest | undefined {
  try {
    return redirectOf(begun, request);
  } catch (error) {
    begun.body.destroy();
    throw error;
  }
}
