import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { proxyFor } from '../../src/http/proxy.ts';
import { anyText } from '../servers/arbitraries.ts';
import { failureOf } from '../servers/clients.ts';

const REGISTRY = new URL('https://registry.example.com/v2/');
const PLAIN = new URL('http://registry.example.com/v2/');

const hostFor = (url: URL, env: NodeJS.ProcessEnv) => proxyFor(url, env)?.host;

describe('the proxy', () => {
  it('is named for TLS and for plain HTTP apart', () => {
    const env = { HTTPS_PROXY: 'http://secure:1', HTTP_PROXY: 'http://plain:2' };
    expect([hostFor(REGISTRY, env), hostFor(PLAIN, env)]).toEqual(['secure:1', 'plain:2']);
    expect(hostFor(REGISTRY, { HTTP_PROXY: 'http://plain:2' })).toBeUndefined();
    expect(hostFor(PLAIN, { HTTPS_PROXY: 'http://secure:1' })).toBeUndefined();
    expect(hostFor(REGISTRY, {})).toBeUndefined();
  });

  it('may be named in lower case, upper case first; empty is absent', () => {
    expect(hostFor(REGISTRY, { https_proxy: 'http://lower:1' })).toBe('lower:1');
    expect(hostFor(PLAIN, { http_proxy: 'http://lower:1' })).toBe('lower:1');
    expect(hostFor(REGISTRY, { https_proxy: 'http://lower:1', HTTPS_PROXY: 'http://upper:1' })).toBe(
      'upper:1',
    );
    expect(hostFor(REGISTRY, { https_proxy: 'http://lower:1', HTTPS_PROXY: '' })).toBe('lower:1');
  });

  it('is not that of ALL_PROXY, which docker and buildx do not know either', () => {
    for (const name of ['ALL_PROXY', 'all_proxy']) {
      expect(hostFor(REGISTRY, { [name]: 'socks5://all:1' })).toBeUndefined();
    }
  });

  it.each([
    ['proxy.example.com:3128', 'http://proxy.example.com:3128'],
    ['proxy.example.com', 'http://proxy.example.com'],
    ['10.0.0.1:3128', 'http://10.0.0.1:3128'],
    ['http://proxy:3128/', 'http://proxy:3128'],
    ['https://proxy', 'https://proxy'],
    ['[::1]:3128', 'http://[::1]:3128'],
  ])('%s is %s', (value, origin) => {
    expect(proxyFor(REGISTRY, { HTTPS_PROXY: value })?.origin).toBe(origin);
  });

  it('may have a user name and a password', () => {
    const url = proxyFor(REGISTRY, { HTTPS_PROXY: 'ci:p%40ss@proxy:3128' });
    expect([url?.username, url?.password, url?.host]).toEqual(['ci', 'p%40ss', 'proxy:3128']);
  });

  it.each([
    'http://',
    'http://ci:hunter22@proxy:port',
    'socks5://ci:hunter22@proxy:1080',
    'http://ci:hunter22%@proxy:1',
    'http://hunter22%zz:x@proxy:1',
    'ci:hunter22@',
  ])('%s is an error that shows nothing of it', async value => {
    for (const [url, name] of [
      [REGISTRY, 'HTTPS_PROXY'],
      [PLAIN, 'http_proxy'],
    ] as const) {
      const error = await failureOf(() => proxyFor(url, { [name]: value }));
      expect(error.code).toBe('invalid-input');
      expect(error.message).toContain(name);
      expect(JSON.stringify([error.message, error.hint])).not.toContain('hunter22');
      expect(error.hint).toContain('NO_PROXY');
    }
  });

  it('that is no address does not matter to hosts that are reached without', () => {
    expect(proxyFor(REGISTRY, { HTTPS_PROXY: 'socks5://x', NO_PROXY: 'example.com' })).toBeUndefined();
  });

  it('is an address or an error of ours, whatever the variables hold', () => {
    fc.assert(
      fc.property(anyText, anyText, (proxy, exceptions) => {
        try {
          const url = proxyFor(REGISTRY, { HTTPS_PROXY: proxy, NO_PROXY: exceptions });
          expect(url === undefined || url.hostname !== '').toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(ManifoldError);
        }
      }),
    );
  });
});

describe('without a proxy', () => {
  const env = { HTTPS_PROXY: 'http://proxy:1', HTTP_PROXY: 'http://proxy:1' };
  const isDirect = (address: string, exceptions: string) =>
    proxyFor(new URL(address), { ...env, NO_PROXY: exceptions }) === undefined;

  it.each([
    'http://localhost:5000',
    'https://localhost',
    'http://registry.localhost:5000',
    'http://127.0.0.1:5000',
    'https://127.3.2.1',
    'http://[::1]:5000',
    'https://[::ffff:127.0.0.1]',
  ])('this machine is always reached: %s', address => {
    expect(isDirect(address, '')).toBe(true);
  });

  // Decided by golang.org/x/net/http/httpproxy for the same values.
  it.each([
    ['https://registry.example.com', '*', true],
    ['https://registry.example.com', 'other.com,*', true],
    ['https://registry.example.com', 'registry.example.com', true],
    ['https://registry.example.com', ' a.com , Registry.Example.COM ', true],
    ['https://registry.example.com', 'example.com', true],
    ['https://example.com', 'example.com', true],
    ['https://notexample.com', 'example.com', false],
    ['https://example.com', '.example.com', false],
    ['https://registry.example.com', '.example.com', true],
    ['https://registry.example.com', '*.example.com', true],
    ['https://example.com', '*.example.com', false],
    ['https://registry.example.com', '*example.com', false],
    ['https://registry.example.com.evil.com', 'example.com', false],
    ['https://registry.example.com', 'registry', false],
    ['https://registry.example.com', 'com', true],
    ['https://registry.example.com', 'example.com other.com', false],
    ['https://registry.example.com', '', false],
    ['https://registry.example.com', ',, ,:443', false],
    ['https://registry.example.com', 'example.com:443', true],
    ['http://registry.example.com', 'example.com:80', true],
    ['https://registry.example.com', 'example.com:5000', false],
    ['https://registry.example.com:5000', 'example.com:5000', true],
    ['https://registry.example.com:5000', 'example.com', true],
    ['https://registry.example.com', '.example.com:443', true],
    ['https://10.1.2.3', '10.1.2.3', true],
    ['https://10.1.2.4', '10.1.2.3', false],
    ['https://10.1.2.3:5000', '10.1.2.3:5000', true],
    ['https://10.1.2.3', '10.1.2.3:5000', false],
    ['https://10.1.2.3', '10.0.0.0/8', true],
    ['https://11.1.2.3', '10.0.0.0/8', false],
    ['https://10.1.2.3', '10.1.2.3/33', false],
    ['https://10.1.2.3', '2.3', false],
    ['https://10.1.2.3', '::/0', false],
    ['https://10.1.2.3', '::ffff:10.1.2.3', true],
    ['https://10.1.2.3.example.com', '10.0.0.0/8', false],
    ['https://[2001:db8::5]', '2001:db8::5', true],
    ['https://[2001:db8::5]', '2001:db8:0::5', true],
    ['https://[2001:db8::5]', '2001:db8::/32', true],
    ['https://[2001:db9::5]', '2001:db8::/32', false],
    ['https://[2001:db8::5]:5000', '[2001:db8::5]:5000', true],
    ['https://[2001:db8::5]', '[2001:db8::5]', false],
    ['https://[2001:db8::5]', '0.0.0.0/0', false],
    ['https://bücher.example', 'bücher.example', true],
    ['https://xn--bcher-kva.example', 'bücher.example', true],
  ])('%s, NO_PROXY=%j: %s', (address, exceptions, expected) => {
    expect(isDirect(address, exceptions)).toBe(expected);
  });

  it('the lower-case name counts too, after the other', () => {
    const both = { ...env, no_proxy: 'example.com', NO_PROXY: 'other.com' };
    expect(proxyFor(REGISTRY, { ...env, no_proxy: 'example.com' })).toBeUndefined();
    expect(proxyFor(REGISTRY, both)?.host).toBe('proxy:1');
  });
});
