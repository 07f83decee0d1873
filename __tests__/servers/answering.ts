import type { IncomingMessage } from 'node:http';
import { type Handler, serve } from '../../lab/parts/http.ts';
import { opened } from './clients.ts';

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
