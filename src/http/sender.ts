import { Connections, type ConnectionsOptions } from './connections.ts';
import { exchange } from './exchange.ts';
import { HostLimit, type Lease } from './host-limit.ts';
import type { BodySource, HttpRequest, HttpStream } from './message.ts';
import { proxyRefusal } from './proxy.ts';
import { Upload } from './upload.ts';

export interface SenderOptions extends Omit<ConnectionsOptions, 'timeout'> {
  readonly idleTimeout: number;
  readonly userAgent: string;
  readonly socketsPerHost: number;
}

/** Sends single requests: each over a connection that is kept, and no more to a host than it gets at a time. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #connections: Connections;
  readonly #limits = new Map<string, HostLimit>();

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#connections = new Connections({ ...options, timeout: options.idleTimeout });
  }

  /**
   * Sends a request once, until its answer has begun.
   * @param isStreamed the caller reads a good answer as a stream, in its own time
   * @returns the answer, and the place that it holds until its body is read or destroyed
   * @throws SourceFailure when the source of the body failed, ManifoldError about a proxy, or the fault of the wire
   */
  async send(request: HttpRequest, isStreamed: boolean): Promise<{ begun: HttpStream; lease: Lease }> {
    const { url, ca, body: given } = request;
    const { agent, secureContext, proxy } = await this.#connections.to(url, ca);
    // Opened before there is a place for the request: a copy reads from where it may have to wait itself.
    const body = isSource(given) ? await Upload.open(given) : given;
    const lane = isStreamed ? 'download' : isSource(given) ? 'upload' : 'short';
    const lease = await this.#limitOf(url).enter(lane);
    const { signal, idleTimeout, userAgent } = this.#options;
    if (signal.aborted) {
      // What waited while the transport was closed is let in by what that has ended, and goes no further.
      if (body instanceof Upload) body.stop();
      lease.leave();
      throw signal.reason;
    }
    const wire = {
      agent,
      secureContext,
      signal,
      idleTimeout,
      userAgent,
      isStreamed,
      onClose: () => lease.leave(),
    };
    const begun = await exchange(request, body, wire);
    if (begun.status !== 407 || proxy === undefined) return { begun, lease };
    begun.body.destroy();
    throw proxyRefusal(proxy, begun.status, url.host);
  }

  /** Closes the connections that nobody uses; the others end with the signal. */
  close(): void {
    this.#connections.close();
  }

  #limitOf({ host }: URL): HostLimit {
    const limit = this.#limits.get(host) ?? new HostLimit(this.#options.socketsPerHost);
    this.#limits.set(host, limit);
    return limit;
  }
}

function isSource(body: Uint8Array | BodySource | undefined): body is BodySource {
  return body !== undefined && !(body instanceof Uint8Array);
}
