/** A base address under which paths are appended, whether it was written with a slash at its end or not. */
export function baseUrl(url: URL): URL {
  return url.pathname.endsWith('/') ? url : new URL(`${url.origin}${url.pathname}/`);
}
