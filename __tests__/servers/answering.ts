import type { IncomingMessage } from 'node:http';
import { type Handler, serve } from '../../lab/parts/http.ts';
import { failureOf, opened, SHORT, transport } from './clients.ts';

/** A server that answers the n-th request by the n-th handler, and all later ones by the last. */
export async function answering(...handlers: Handler[]) {
  const seen: IncomingMessage[] = [];
  const server = await opened(
    serve((request, response) => {
      seen.push(request);
      request.resume();
      return handlers[Math.min(seen.length, handlers.length) - 1]?.(request, response);
    }),
  );
  return { seen, url: new URL(`${server.url}/path?signature=secret`), origin: server.url };
}

export const status =
  (code: number, headers: Record<string, string> = {}, body = ''): Handler =>
  (_, response) => {
    response.writeHead(code, headers).end(body);
  };
export const fine = status(200, {}, 'fine');
export const reset: Handler = request => {
  request.socket.resetAndDestroy();
};
export const get = (url: URL) => ({ method: 'GET', url }) as const;

/** Ends when a request to a silent server is given up: so long is the time-out, by whatever clock the transport goes. */
export async function idleTimeoutPassed(idleTimeout: number): Promise<void> {
  const { url } = await answering(() => {});
  const impatient = transport({ idleTimeout, retry: { ...SHORT, budget: 0 } });
  const { code, message } = await failureOf(() => impatient.request(get(url)));
  if (code !== 'service-unreachable') throw new Error(`the request was not given up, but: ${message}`);
}
