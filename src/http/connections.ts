import http from 'node:http';
import https from 'node:https';
import tls, { type SecureContext } from 'node:tls';
import { proxyFor } from './proxy.ts';

export interface ConnectionsOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Told of a proxy's password before it is used. */
  readonly onSecret: (secret: string) => void;
  /** Milliseconds until a proxy that does not answer is given up. */
  readonly timeout: number;
  /** Ends all connections. */
  readonly signal: AbortSignal;
}

/** The way to an origin. */
export interface Route {
  readonly agent: http.Agent;
  /** What is trusted there, where that is not the default. */
  readonly secureContext: SecureContext | undefined;
  readonly proxy: URL | undefined;
}

/** Connections that are kept: for each origin, with what is trusted there, one pool. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #known = new Map<string, Promise<Route>>();
  readonly #agents = new Set<http.Agent>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /**
   * @param ca PEM certificates that are trusted besides the default
   * @throws ManifoldError `invalid-input` when the variable that names the proxy holds no address
   */
  to(url: URL, ca: string | undefined): Promise<Route> {
    const key = `${url.origin} ${ca ?? ''}`;
    const known = this.#known.get(key) ?? this.#connect(url, ca);
    this.#known.set(key, known);
    return known;
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }

  async #connect(url: URL, ca: string | undefined): Promise<Route> {
    const proxy = proxyFor(url, this.#options.env);
    const agent = proxy === undefined ? directAgent(url) : await this.#proxyAgent(url, proxy);
    this.#agents.add(agent);
    return { agent, secureContext: ca === undefined ? undefined : trusting(ca), proxy };
  }

  async #proxyAgent(url: URL, proxy: URL): Promise<http.Agent> {
    for (const secret of secretsOf(proxy)) this.#options.onSecret(secret);
    const { ForwardingAgent, TunnelAgent } = await import('./proxy-agents.ts');
    const options = { proxy, timeout: this.#options.timeout, signal: this.#options.signal };
    return url.protocol === 'https:' ? new TunnelAgent(options) : new ForwardingAgent(options);
  }
}

function directAgent(url: URL): http.Agent {
  return url.protocol === 'https:'
    ? new https.Agent({ keepAlive: true })
    : new http.Agent({ keepAlive: true });
}

/** The password of a proxy in the forms in which it is written and sent. */
function secretsOf({ username, password }: URL): string[] {
  if (password === '') return [];
  const plain = decodeURIComponent(password);
  const pair = Buffer.from(`${decodeURIComponent(username)}:${plain}`).toString('base64');
  return [...new Set([plain, password, pair])];
}

/** Made once: a context reads all its certificates. "default" is what Node trusts without us, NODE_EXTRA_CA_CERTS included. */
function trusting(ca: string): SecureContext {
  return tls.createSecureContext({ ca: [...tls.getCACertificates('default'), ca] });
}
