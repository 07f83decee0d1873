import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { ManifoldError } from '../errors.ts';
import { mayPass, passingFault, reasonOf, unreachable } from './faults.ts';
import {
  DEFAULT_RETRY,
  isTransient,
  LAG_BUDGET,
  nextDelay,
  type Outcome,
  type RetryPolicy,
} from './retry.ts';
import { followUrl } from './url.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** A longer body is cut off and is an error. Default 4 MiB, what registries allow a manifest to be. */
  readonly maxBytes?: number;
  /** Certificates (PEM) to trust for this host besides the system's. */
  readonly ca?: string;
  /** Answers that are tried again besides those that always are: 404 just after our own push. */
  readonly alsoTransient?: (response: HttpResponse) => boolean;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
}

export interface TransportOptions {
  readonly retry?: RetryPolicy;
  /** Milliseconds without a byte from the server until a try is given up. */
  readonly idleTimeout?: number;
  readonly userAgent?: string;
  /** Told of each try that failed and will be repeated, one sentence. */
  readonly onRetry?: (message: string) => void;
}

const MAX_BYTES = 4 * 1024 * 1024;
const MAX_REDIRECTS = 5;
const SOCKETS_PER_HOST = 24;
/** Milliseconds for one try from its beginning to the last byte, however busily the bytes drip. */
const LONGEST_TRY = 300_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** HTTP with retries, time-outs, bounded bodies and redirects that take no credentials along. */
export class Transport {
  readonly #retry: RetryPolicy;
  readonly #idleTimeout: number;
  readonly #userAgent: string;
  readonly #onRetry: (message: string) => void;
  readonly #agents = new Map<string, http.Agent>();
  readonly #closed = new AbortController();

  constructor(options: TransportOptions = {}) {
    this.#retry = options.retry ?? DEFAULT_RETRY;
    this.#idleTimeout = options.idleTimeout ?? 30_000;
    this.#userAgent = options.userAgent ?? 'manifold';
    this.#onRetry = options.onRetry ?? (() => {});
  }

  /**
   * Sends a request until it is answered by something that will not change, or the budget is used up. Any status is an
   * answer; the caller judges it.
   * @throws ManifoldError `service-unreachable` when no answer came within the budget
   */
  async request(request: HttpRequest): Promise<HttpResponse> {
    const start = performance.now();
    for (let failures = 1; ; failures++) {
      let response: HttpResponse | undefined;
      let fault: unknown;
      try {
        response = await this.#follow(request);
        if (!isPassing(request, response)) return response;
      } catch (error) {
        if (error instanceof ManifoldError || this.#closed.signal.aborted) throw error;
        if (!mayPass(error))
          throw unreachable(describe(request), request.url.host, error, failures, performance.now() - start);
        fault = error;
      }
      const retryAfter = response?.headers['retry-after'];
      const delay = nextDelay(
        this.#policyFor(request, response),
        failures,
        performance.now() - start,
        retryAfter,
      );
      if (delay === undefined) {
        if (response !== undefined) return response;
        throw unreachable(describe(request), request.url.host, fault, failures, performance.now() - start);
      }
      const what = response === undefined ? reasonOf(fault) : `status ${response.status}`;
      this.#onRetry(`${describe(request)}: ${what}; trying again in ${(delay / 1000).toFixed(1)} s`);
      await sleep(delay, undefined, { signal: this.#closed.signal });
    }
  }

  /**
   * Ends everything: what is under way or waits for its next try fails, and nothing is sent any more. A step that has
   * failed must not go on pushing behind its error.
   */
  close(): void {
    this.#closed.abort();
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  /** What only this request takes for passing is waited for a shorter time: it may as well be for good. */
  #policyFor(request: HttpRequest, response: HttpResponse | undefined): RetryPolicy {
    const lags =
      response !== undefined && !isTransient(outcomeOf(response)) && request.alsoTransient?.(response);
    return lags ? { ...this.#retry, budget: Math.min(this.#retry.budget, LAG_BUDGET) } : this.#retry;
  }

  async #follow(request: HttpRequest): Promise<HttpResponse> {
    let current = request;
    for (let hops = 0; ; hops++) {
      const response = await this.#once(current);
      const location = response.headers.location;
      const follows =
        REDIRECTS.has(response.status) && (request.method === 'GET' || request.method === 'HEAD');
      if (!follows || location === undefined) return response;
      if (hops === MAX_REDIRECTS) {
        throw new ManifoldError(
          'registry-refused',
          `${describe(request)} is redirected more than ${MAX_REDIRECTS} times.`,
        );
      }
      current = redirected(current, followUrl(location, current.url));
    }
  }

  #once(request: HttpRequest): Promise<HttpResponse> {
    const { url, method, body, maxBytes = MAX_BYTES } = request;
    const headers: Record<string, string | number> = { 'user-agent': this.#userAgent, ...request.headers };
    if (body !== undefined || method === 'POST' || method === 'PUT' || method === 'PATCH') {
      headers['content-length'] = body?.byteLength ?? 0;
    }
    const send = url.protocol === 'https:' ? https.request : http.request;
    return new Promise((resolve, reject) => {
      const { signal } = this.#closed;
      // As an option it holds for connecting too; set later, it would begin only with the connection.
      const timeout = this.#idleTimeout;
      const options = { method, headers, agent: this.#agent(url, request.ca), signal, timeout };
      const outgoing = send(url, options, incoming => {
        // The page that comes with a failure is no part of what was asked for, and often longer.
        const limit = (incoming.statusCode ?? 0) < 300 ? maxBytes : Math.max(maxBytes, MAX_BYTES);
        collect(incoming, limit, method).then(
          data => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: data, url }),
          error => {
            outgoing.destroy();
            reject(error);
          },
        );
      });
      const deadline = setTimeout(() => {
        outgoing.destroy(
          passingFault('ETIMEDOUT', `the answer was not complete after ${LONGEST_TRY / 1000} s`),
        );
      }, LONGEST_TRY);
      outgoing.on('close', () => clearTimeout(deadline));
      outgoing.on('timeout', () => {
        outgoing.destroy(passingFault('ETIMEDOUT', `no byte came for ${this.#idleTimeout / 1000} s`));
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  #agent(url: URL, ca: string | undefined): http.Agent {
    const key = `${url.origin} ${ca ?? ''}`;
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      const options = { keepAlive: true, maxSockets: SOCKETS_PER_HOST };
      agent =
        url.protocol === 'https:'
          ? new https.Agent({ ...options, ...trusting(ca) })
          : new http.Agent(options);
      this.#agents.set(key, agent);
    }
    return agent;
  }
}

function isPassing(request: HttpRequest, response: HttpResponse): boolean {
  return isTransient(outcomeOf(response)) || request.alsoTransient?.(response) === true;
}

function outcomeOf(response: HttpResponse): Outcome {
  return {
    status: response.status,
    retryAfter: response.headers['retry-after'],
    text: response.status === 403 ? response.body.toString('utf8', 0, 2000) : '',
  };
}

/** Credentials belong to the origin that asked for them: they do not travel to another one (RFC 9110, 15.4). */
function redirected(request: HttpRequest, url: URL): HttpRequest {
  if (url.origin === request.url.origin) return { ...request, url };
  const headers = Object.entries(request.headers ?? {}).filter(
    ([name]) => name.toLowerCase() !== 'authorization',
  );
  const { ca: _, ...rest } = request;
  return { ...rest, url, headers: Object.fromEntries(headers) };
}

async function collect(incoming: http.IncomingMessage, maxBytes: number, method: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.byteLength;
    if (length > maxBytes) {
      throw new ManifoldError(
        'invalid-document',
        `The answer of ${incoming.socket.remoteAddress} is longer than ${maxBytes} bytes.`,
      );
    }
    chunks.push(chunk);
  }
  // A connection that ends early must not pass for a short body.
  if (!incoming.complete) throw passingFault('ECONNRESET', 'the answer was cut off');
  const declared = incoming.headers['content-length'];
  if (method !== 'HEAD' && declared !== undefined && Number(declared) !== length)
    throw passingFault('ECONNRESET', 'the answer was cut off');
  return Buffer.concat(chunks);
}

function trusting(ca: string | undefined): https.AgentOptions {
  // "default" is what Node trusts without us, NODE_EXTRA_CA_CERTS included.
  return ca === undefined ? {} : { ca: [...tls.getCACertificates('default'), ca] };
}

/** Method, host and path. Never the query, which may hold a signature. */
function describe(request: HttpRequest): string {
  return `${request.method} ${request.url.origin}${request.url.pathname}`;
}
