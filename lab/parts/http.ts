import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A server of the lab's own that listens on loopback. */
export interface Endpoint {
  /** `http://127.0.0.1:PORT`, without a slash at the end; with TLS `https://NAME:PORT`. */
  readonly url: string;
  readonly port: number;
  /** Stops listening and cuts open connections; may be called twice. */
  close(): Promise<void>;
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Key and certificate of a server, in PEM, and the name that the certificate is for. */
export interface ServerTls {
  readonly name: string;
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
}

/** Serves `handler` on a free loopback port; the kernel picks it, so two labs never collide. */
export async function serve(handler: Handler, tls?: ServerTls): Promise<Endpoint> {
  const listener: RequestListener = (request, response) => {
    Promise.resolve()
      .then(() => handler(request, response))
      .catch((error: unknown) => failRequest(response, error));
  };
  const server = tls ? createTlsServer({ key: tls.key, cert: tls.cert }, listener) : createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    new Promise<void>(resolve => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    url: tls ? `https://${tls.name}:${port}` : `http://127.0.0.1:${port}`,
    port,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function failRequest(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  sendJson(response, 500, { message: error instanceof Error ? error.message : String(error) });
}

/** The whole body of a request; the lab's messages are small enough for memory. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': body.length,
    ...headers,
  });
  response.end(body);
}

/** The URL as the client sees it: through a proxy, its `Host` header names the proxy. */
export function requestUrl(request: IncomingMessage): URL {
  return new URL(request.url ?? '/', `http://${request.headers.host ?? '127.0.0.1'}`);
}

/** The credential after `scheme` in the Authorization header; schemes are case-insensitive (RFC 9110). */
export function authorization(request: IncomingMessage, scheme: 'bearer' | 'basic'): string | undefined {
  const header = request.headers.authorization ?? '';
  const space = header.indexOf(' ');
  if (space < 0 || header.slice(0, space).toLowerCase() !== scheme) return undefined;
  return header.slice(space + 1).trim();
}
