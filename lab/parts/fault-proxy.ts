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
  type RequestPattern,
} from './fault-rules.ts';
import { type Endpoint, readBody, sendJson, serve } from './http.ts';
import { type Hold, type LoggedRequest, RequestLog } from './request-log.ts';

export type { ActiveRule, FaultRule, RequestPattern } from './fault-rules.ts';
export type { LoggedRequest } from './request-log.ts';

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

export interface FaultProxy extends Endpoint {
  /** `127.0.0.1:PORT`, as an image name begins with it. */
  readonly host: string;
  readonly log: readonly LoggedRequest[];
  latency: number;
  /** Adds a rule; the first rule that applies to a request decides. */
  fail(rule: FaultRule): ActiveRule;
  /** Requests so far, of all or of those that match. */
  count(pattern?: RequestPattern): number;
  /** Stops the n-th matching request from now on before the server sees it, until somebody decides about it. */
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
    log: core.log.entries,
    get latency() {
      return core.latency;
    },
    set latency(milliseconds) {
      core.latency = milliseconds;
    },
    fail: rule => core.rules.add(rule),
    count: pattern => core.log.count(pattern),
    hold: (n, pattern) => core.log.hold(n, pattern),
    reset: () => core.reset(),
  };
}

/** Hop-by-hop headers belong to one connection (RFC 9110, section 7.6.1). */
const hopByHop = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade'];

class ReverseProxy {
  url = '';
  latency: number;
  readonly log = new RequestLog();
  readonly rules: FaultRules;
  readonly #target: URL;
  readonly #ca: string | Buffer | undefined;

  constructor(options: FaultProxyOptions) {
    this.#target = new URL(options.target);
    this.#ca = options.ca;
    this.latency = options.latency ?? 0;
    this.rules = new FaultRules(options.seed ?? 1);
  }

  reset(): void {
    this.rules.clear();
    this.log.clear();
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? 'GET';
    const path = request.url ?? '/';
    const entry = this.log.add(method, path);
    const action = this.rules.decide(method, path);
    if ((await this.log.verdict(entry)) === 'discard') {
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

/** A TCP reset, which a client sees as ECONNRESET, not the orderly end of `destroy`. */
function resetConnection(request: IncomingMessage): void {
  request.socket.resetAndDestroy();
}

function without(headers: IncomingHttpHeaders, names: readonly string[]): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}
