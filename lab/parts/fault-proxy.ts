import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type ActiveRule,
  type FaultAction,
  type FaultRule,
  FaultRules,
  matches,
  type RequestPattern,
} from './fault-rules.ts';
import { type Endpoint, readBody, sendJson, serve } from './http.ts';

export type { ActiveRule, FaultRule, RequestPattern } from './fault-rules.ts';

export interface FaultProxyOptions {
  /** The server behind: `http://127.0.0.1:PORT` or `https://...`. */
  target: string;
  /** Certificate of the authority that a target with TLS is signed by. */
  ca?: string | Buffer;
  /** Milliseconds added to every request. */
  latency?: number;
  /** For rules with a probability. */
  seed?: number;
}

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

export interface FaultProxy extends Endpoint {
  /** `127.0.0.1:PORT`, as an image name begins with it. */
  readonly host: string;
  readonly log: readonly LoggedRequest[];
  latency: number;
  /** Adds a rule; the first rule that applies to a request decides. */
  fail(rule: FaultRule): ActiveRule;
  /** Requests so far, of all or of those that match. */
  count(pattern?: RequestPattern): number;
  /** Resolves as soon as the n-th matching request from now on has come; it then goes on to the server. */
  arrival(n: number, pattern?: RequestPattern): Promise<LoggedRequest>;
  /** As `arrival`, but the request stays until it is released: what a killed client asked for never happens. */
  hold(n: number, pattern?: RequestPattern): Hold;
  /** Forgets rules, log, and waiting holds. */
  reset(): void;
}

/** A reverse proxy in front of one server on loopback, that counts requests and breaks them by rule. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const core = new ReverseProxy(options);
  const endpoint = await serve((request, response) => core.answer(request, response));
  core.url = endpoint.url;
  return {
    ...endpoint,
    host: `127.0.0.1:${endpoint.port}`,
    log: core.log,
    get latency() {
      return core.latency;
    },
    set latency(milliseconds) {
      core.latency = milliseconds;
    },
    fail: rule => core.rules.add(rule),
    count: (pattern = {}) => core.log.filter(({ method, path }) => matches(pattern, method, path)).length,
    arrival: (n, pattern) => core.wait(n, pattern ?? {}, false).arrived,
    hold: (n, pattern) => core.wait(n, pattern ?? {}, true),
    reset: () => core.reset(),
  };
}

interface Waiter {
  readonly pattern: RequestPattern;
  left: number;
  arrive(request: LoggedRequest): void;
  readonly gate: Promise<Verdict>;
  decide(verdict: Verdict): void;
}

type Verdict = 'forward' | 'discard';

/** Hop-by-hop headers belong to one connection (RFC 9110, section 7.6.1). */
const hopByHop = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade'];

class ReverseProxy {
  url = '';
  latency: number;
  readonly log: LoggedRequest[] = [];
  readonly rules: FaultRules;
  readonly #target: URL;
  readonly #ca: string | Buffer | undefined;
  readonly #waiters = new Set<Waiter>();

  constructor(options: FaultProxyOptions) {
    this.#target = new URL(options.target);
    this.#ca = options.ca;
    this.latency = options.latency ?? 0;
    this.rules = new FaultRules(options.seed ?? 1);
  }

  reset(): void {
    this.rules.clear();
    this.log.length = 0;
    for (const waiter of this.#waiters) waiter.decide('forward');
    this.#waiters.clear();
  }

  wait(n: number, pattern: RequestPattern, hold: boolean): Hold {
    const arrived = deferred<LoggedRequest>();
    const gate = deferred<Verdict>();
    const decide = gate.resolve;
    if (!hold) decide('forward');
    this.#waiters.add({ pattern, left: n, arrive: arrived.resolve, gate: gate.promise, decide });
    return {
      arrived: arrived.promise,
      release: () => decide('forward'),
      discard: () => decide('discard'),
    };
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? 'GET';
    const path = request.url ?? '/';
    const entry: LoggedRequest = { method, path, at: Date.now(), status: undefined };
    this.log.push(entry);
    const action = this.rules.decide(method, path);
    if (await this.#discarded(entry)) {
      resetConnection(request);
      return;
    }
    if (this.latency > 0) await delay(this.latency);
    if (action && 'delay' in action) await delay(action.delay);
    if (action && 'reset' in action && action.reset === 'before') {
      resetConnection(request);
      return;
    }
    if (action && 'status' in action) {
      await readBody(request);
      entry.status = action.status;
      response.writeHead(action.status, action.headers).end(action.body);
      return;
    }
    await this.#forward(request, response, action, entry);
  }

  /** Tells whoever waits for this request, and waits in turn where they hold it. */
  async #discarded(entry: LoggedRequest): Promise<boolean> {
    const gates: Promise<Verdict>[] = [];
    for (const waiter of this.#waiters) {
      if (!matches(waiter.pattern, entry.method, entry.path)) continue;
      waiter.left--;
      if (waiter.left > 0) continue;
      this.#waiters.delete(waiter);
      waiter.arrive(entry);
      gates.push(waiter.gate);
    }
    return (await Promise.all(gates)).includes('discard');
  }

  async #forward(
    request: IncomingMessage,
    response: ServerResponse,
    action: FaultAction | undefined,
    entry: LoggedRequest,
  ): Promise<void> {
    // A client that died while its request was held or delayed never reached the server.
    if (request.socket.destroyed) return;
    let answer: IncomingMessage;
    try {
      answer = await this.#ask(request);
    } catch (error) {
      if (request.socket.destroyed) return;
      entry.status = 502;
      sendJson(response, 502, { message: `the server behind the proxy: ${(error as Error).message}` });
      return;
    }
    if (action && 'drop' in action) {
      answer.resume();
      return;
    }
    if (action && 'reset' in action) {
      answer.resume().once('end', () => resetConnection(request));
      return;
    }
    entry.status = answer.statusCode;
    response.writeHead(answer.statusCode ?? 502, this.#responseHeaders(answer, action));
    await relay(answer, response, action);
  }

  /** The client's Host header goes along: registries make their Location URLs of it, so they lead back here. */
  #ask(request: IncomingMessage): Promise<IncomingMessage> {
    const send = this.#target.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const onward = send(
        {
          host: this.#target.hostname,
          port: this.#target.port,
          method: request.method,
          path: request.url,
          headers: without(request.headers, hopByHop),
          // A connection for each request: a pooled one may be closed by the server just as it is used again,
          // and that would be a fault that no rule asked for.
          agent: false,
          ...(this.#ca === undefined ? {} : { ca: this.#ca }),
        },
        resolve,
      );
      onward.once('error', reject);
      request.once('close', () => {
        if (!request.complete) onward.destroy();
      });
      request.pipe(onward);
    });
  }

  #responseHeaders(answer: IncomingMessage, action: FaultAction | undefined): IncomingHttpHeaders {
    const headers = without(answer.headers, hopByHop);
    const location = /^(https?:\/\/[^/]+)(\/.*)$/.exec(headers.location ?? '');
    // A server with TLS writes `https` before the proxy's name, and the proxy has none.
    const own = [this.#target.origin, this.url, this.url.replace('http:', 'https:')];
    if (location && own.includes(location[1] ?? '')) headers.location = this.url + location[2];
    if (action && 'rewrite' in action) delete headers['content-length'];
    if (action && 'headers' in action && !('status' in action)) {
      for (const [name, value] of Object.entries(action.headers)) {
        if (value === undefined) delete headers[name.toLowerCase()];
        else headers[name.toLowerCase()] = value;
      }
    }
    return headers;
  }
}

async function relay(
  answer: IncomingMessage,
  response: ServerResponse,
  action: FaultAction | undefined,
): Promise<void> {
  if (action && 'truncate' in action) {
    const body = await readBody(answer);
    // The headers promised more: whoever trusts the byte count notices, whoever does not is the bug.
    response.write(body.subarray(0, action.truncate), () => response.destroy());
  } else if (action && 'rewrite' in action) {
    response.end(action.rewrite(await readBody(answer)));
  } else {
    answer.once('error', () => response.destroy());
    answer.pipe(response);
  }
}

/** Promise.withResolvers, which Node 20 lacks. */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>(settle => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** A TCP reset, which a client sees as ECONNRESET, not the orderly end of `destroy`. */
function resetConnection(request: IncomingMessage): void {
  request.socket.resetAndDestroy();
}

function without(headers: IncomingHttpHeaders, names: readonly string[]): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}
