import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { ManifoldError } from '../errors.ts';
import { passingFault } from './faults.ts';
import { isTransient } from './retry.ts';
import { isLoopback } from './url.ts';

/**
 * The proxy for an address, by the rules of Go's clients (golang.org/x/net/http/httpproxy): docker, buildx and cosign in
 * the same job go the same way. They do not know `ALL_PROXY`.
 * @returns its address, with user name and password where it has them
 * @throws ManifoldError `invalid-input` when the variable holds no address of an HTTP proxy
 */
export function proxyFor(url: URL, env: NodeJS.ProcessEnv): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const variable = [name, name.toLowerCase()].find(candidate => env[candidate]);
  if (variable === undefined || isExcepted(url, env.NO_PROXY || env.no_proxy || '')) return undefined;
  return parseProxy(env[variable] ?? '', variable);
}

/** What a proxy's own answer means, which came instead of the target's. */
export function proxyRefusal(proxy: URL, status: number, target: string): Error {
  if (isTransient({ status }))
    return passingFault('ECONNRESET', `the proxy ${proxy.host} answered ${status}`);
  const login = status === 407;
  return new ManifoldError(
    'service-unreachable',
    `The proxy ${proxy.host} ${login ? 'wants another login' : `answered ${status}`} on the way to ${target}.`,
    {
      hint: login
        ? 'Give the proxy a user name and password in its address: http://USER:PASSWORD@HOST:PORT.'
        : 'Ask who runs the proxy to let this host through, or name it in NO_PROXY if it can be reached without it.',
    },
  );
}

/** `http://[user:password@]host[:port]`, or `host[:port]` alone. The value may hold a password: no message shows it. */
function parseProxy(text: string, variable: string): URL {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url !== null && isHttp && isDecodable(url.username) && isDecodable(url.password)) return url;
  const scheme = url === null || isHttp ? '' : ` of the kind "${url.protocol.slice(0, -1)}"`;
  throw new ManifoldError(
    'invalid-input',
    `${variable} holds no address of an HTTP proxy, but something${scheme} else.`,
    {
      hint: `Write it as http://HOST:PORT, or name in NO_PROXY what is to be reached without it.`,
    },
  );
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');
/** All of IPv4, be it written as IPv6 (RFC 4291, section 2.5.5.2). */
const IPV4 = new BlockList();
IPV4.addSubnet('0.0.0.0', 0);

function isExcepted(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const address = isIP(host) > 0 ? host : undefined;
  if (isLoopback(url.host) || (address !== undefined && isIn(LOOPBACK, address))) return true;
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return list.split(',').some(entry => matches(entry.trim().toLowerCase(), host, address, port));
}

/** @param address the host, where it is one */
function matches(entry: string, host: string, address: string | undefined, port: string): boolean {
  if (entry === '*') return true;
  const subnet = subnetOf(entry);
  if (subnet !== undefined) return address !== undefined && subnet(address);
  const parts = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/.exec(entry);
  const name = parts === null ? entry : (parts[1] ?? parts[2] ?? '');
  const wanted = parts?.[3] ?? '';
  if (name === '' || (wanted !== '' && wanted !== port)) return false;
  if (isIP(name) > 0) return address !== undefined && isIn(listOf(name), address);
  return address === undefined && isWithin(host, name);
}

/** `example.com` is it and all below it, `.example.com` and `*.example.com` what is below it only. */
function isWithin(host: string, name: string): boolean {
  const domain = name.startsWith('*.') ? name.slice(1) : name;
  const ascii = domainToASCII(domain) || domain;
  if (ascii.startsWith('.')) return host.endsWith(ascii);
  return host === ascii || host.endsWith(`.${ascii}`);
}

/** `10.0.0.0/8`, `fd00::/8` -> a test for addresses. */
function subnetOf(entry: string): ((address: string) => boolean) | undefined {
  const [, base = '', digits = ''] = /^(.*)\/(\d{1,3})$/.exec(entry) ?? [];
  const length = Number(digits);
  const family = isIP(base);
  if (family === 0 || length > (family === 4 ? 32 : 128)) return undefined;
  const list = new BlockList();
  list.addSubnet(base, length, family === 4 ? 'ipv4' : 'ipv6');
  // Node finds all of IPv4 within `::/0`; Go, and who writes it, do not.
  const isWide = family === 6 && length < 96;
  return address => isIn(list, address) && !(isWide && isIn(IPV4, address));
}

function listOf(address: string): BlockList {
  const list = new BlockList();
  list.addAddress(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  return list;
}

function isIn(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
}
