import { ManifoldError, oneLine } from '../errors.ts';

/** A base address under which paths are appended, whether it was written with a slash at its end or not. */
export function baseUrl(url: URL): URL {
  return url.pathname.endsWith('/') ? url : new URL(`${url.origin}${url.pathname}/`);
}

/**
 * The address that a server names in a `Location` or `Link` header, absolute or relative to the one that was asked.
 * @throws ManifoldError `registry-refused` when it is none, or leads from TLS to plain HTTP
 */
export function followUrl(target: string, base: URL): URL {
  const url = URL.parse(target, base.href);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    // Without the query, which may hold a signature.
    const shown = oneLine(target.split('?')[0] ?? '');
    throw new ManifoldError('registry-refused', `${base.host} refers to "${shown}", which is no address.`);
  }
  if (base.protocol === 'https:' && url.protocol === 'http:') {
    throw new ManifoldError(
      'registry-refused',
      `${base.host} leads from TLS to plain HTTP at ${url.host}, which is not followed.`,
    );
  }
  return url;
}

/** Tells whether a host is this machine itself. @param host with or without a port */
export function isLoopback(host: string): boolean {
  const hostname = URL.parse(`http://${host}`)?.hostname ?? '';
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(\.\d{1,3}){3}$/.test(hostname)
  );
}
