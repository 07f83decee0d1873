import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { HttpProxyAgent } from 'http-proxy-agent';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { messageOf } from '../errors.ts';
import { faultAt, hasCode, passingFault } from './faults.ts';
import { proxyRefusal } from './proxy.ts';

// Both packages are CommonJS, whose named exports a bundle splitter loses behind `import()`. So this module imports them,
// and is itself loaded only where a proxy is set.

export interface ProxyAgentOptions {
  readonly proxy: URL;
  /** Milliseconds until a proxy that does not answer is given up. */
  readonly timeout: number;
  /** Ends all connections. */
  readonly signal: AbortSignal;
}

type ConnectOptions = Parameters<HttpsProxyAgent<string>['connect']>[1];
type ProxyAgent = HttpsProxyAgent<string> | HttpProxyAgent<string>;

/** TLS through a tunnel that the proxy opens (CONNECT; RFC 9110, section 9.3.6). */
export class TunnelAgent extends HttpsProxyAgent<string> {
  readonly #options: ProxyAgentOptions;

  constructor(options: ProxyAgentOptions) {
    super(options.proxy, { keepAlive: true });
    this.#options = options;
  }

  override async connect(request: ClientRequest, options: ConnectOptions): Promise<Socket> {
    let status = 0;
    request.once('proxyConnect', (answer: { statusCode: number }) => {
      status = answer.statusCode;
    });
    const target = {
      ...options,
      // The certificate is to name the target, also where that is an address; the tunnel's own end is the proxy.
      checkServerIdentity: (_: string, certificate: PeerCertificate) =>
        checkServerIdentity(options.host ?? '', certificate),
    };
    const socket = await connecting(this, this.#options, () => super.connect(request, target));
    if (status === 200) return socket;
    // Without this the proxy's answer would pass for the target's.
    socket.destroy();
    throw proxyRefusal(this.#options.proxy, status, `${options.host}:${options.port}`);
  }
}

/** Plain HTTP, which the proxy reads and passes on (RFC 9112, section 3.2.2). */
export class ForwardingAgent extends HttpProxyAgent<string> {
  readonly #options: ProxyAgentOptions;

  constructor(options: ProxyAgentOptions) {
    super(options.proxy, { keepAlive: true });
    this.#options = options;
  }

  override connect(
    request: Parameters<HttpProxyAgent<string>['connect']>[0],
    options: ConnectOptions,
  ): Promise<Socket> {
    return connecting(this, this.#options, () => super.connect(request, options));
  }
}

/** A connection to the proxy that ends with the transport, or when the proxy keeps silent. */
async function connecting(
  agent: ProxyAgent,
  { proxy, timeout, signal }: ProxyAgentOptions,
  connect: () => Promise<Socket>,
): Promise<Socket> {
  const silence = new AbortController();
  const fault = passingFault('ETIMEDOUT', `no byte came for ${timeout / 1000} s`);
  const timer = setTimeout(() => silence.abort(fault), timeout);
  agent.connectOpts = { ...agent.connectOpts, signal: AbortSignal.any([silence.signal, signal]) };
  try {
    return await connect();
  } catch (error) {
    if (silence.signal.aborted) throw faultAt(`the proxy ${proxy.host}`, fault);
    // A proxy that ends the connection, or does not speak HTTP, gets an error without a code.
    const reason = hasCode(error) ? error : passingFault('ECONNRESET', messageOf(error));
    throw faultAt(`the proxy ${proxy.host}`, reason);
  } finally {
    clearTimeout(timer);
  }
}
