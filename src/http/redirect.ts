import type { BodySource, HttpRequest, HttpStream } from './message.ts';
import { followUrl } from './url.ts';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Those by which what is written is written elsewhere, and not looked at there (RFC 9110, 15.4.8 and 15.4.9). */
const KEEP_METHOD = new Set([307, 308]);

/**
 * The request that an answer leads to; undefined when it is the answer itself. What reads is led anywhere. What writes is
 * led within its origin only, as its body may be for nobody else, and only if the body can be given again.
 * @throws ManifoldError `registry-refused` when the answer leads to no address, or from TLS to plain HTTP
 */
export function redirectOf({ status, headers }: HttpStream, request: HttpRequest): HttpRequest | undefined {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const leads = isRead ? REDIRECTS.has(status) : KEEP_METHOD.has(status) && !isGivenOnce(request.body);
  if (!leads || headers.location === undefined) return undefined;
  const url = followUrl(headers.location, request.url);
  const staysAtOrigin = !isRead || request.staysAtOrigin === true;
  if (staysAtOrigin && url.origin !== request.url.origin) return undefined;
  return redirected(request, url);
}

function isGivenOnce(body: Uint8Array | BodySource | undefined): boolean {
  return body !== undefined && 'isGivenOnce' in body && body.isGivenOnce;
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
