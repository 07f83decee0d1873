import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { readBody } from '../../lab/parts/http.ts';
import { isStream, type TransportOptions } from '../../src/http/transport.ts';
import { answering, fine, get, status } from '../servers/answering.ts';
import { failureOf, SHORT, transport } from '../servers/clients.ts';
import { answerConnect, secureServer, startProxy, type TestProxy } from '../servers/proxy.ts';

const NAME = 'registry.example.com';

/** A client that finds this proxy in its environment. */
function behind({ host }: Pick<TestProxy, 'host'>, options: TransportOptions = {}, login = '') {
  const address = `http://${login}${host}`;
  return transport({ env: { HTTPS_PROXY: address, HTTP_PROXY: address }, ...options });
}

/** An address behind the proxy that answers plain HTTP on this port. */
const plainly = (url: URL) => new URL(`http://${NAME}:${url.port}${url.pathname}${url.search}`);

describe('TLS through a proxy', () => {
  it.each([NAME, '10.9.8.7'])('reaches %s, whose certificate is checked', async name => {
    const proxy = await startProxy();
    const { url, ca } = await secureServer(name, fine);
    const response = await behind(proxy).request({ ...get(url), ca });
    expect(response.body.toString()).toBe('fine');
    expect(response.url.href).toBe(url.href);
    expect(proxy.tunnels.map(({ target }) => target)).toEqual([url.host]);
  });

  it.each([
    ['a name', 'registry.example.com', 'other.example.com'],
    ['an address', '10.9.8.7', '10.9.8.6'],
    ['the address of the proxy', '10.9.8.7', '127.0.0.1'],
    ['the name that is this machine', '10.9.8.7', 'localhost'],
  ])('refuses the certificate of somebody else: %s', async (_, asked, certified) => {
    const proxy = await startProxy();
    const { port, ca } = await secureServer(certified, fine);
    const client = behind(proxy);
    const error = await failureOf(() => client.request({ ...get(new URL(`https://${asked}:${port}/`)), ca }));
    expect(error.message).toMatch(/tried once .*ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  it('refuses a certificate that nobody trusts', async () => {
    const proxy = await startProxy();
    const { url } = await secureServer(NAME, fine);
    expect((await failureOf(() => behind(proxy).request(get(url)))).message).toMatch(
      /tried once .*UNABLE_TO_VERIFY_LEAF/,
    );
  });

  it('leaves no timer behind', async () => {
    const proxy = await startProxy();
    const { url, ca } = await secureServer(NAME, fine);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    await behind(proxy).request({ ...get(url), ca });
    await vi.waitUntil(() => vi.getTimerCount() === 0);
  });

  it('uses one tunnel again and again, and at most 24 at a time', async () => {
    const proxy = await startProxy();
    const { url, ca } = await secureServer(NAME, fine);
    const client = behind(proxy);
    for (let i = 0; i < 5; i++) await client.request({ ...get(url), ca });
    expect(proxy.tunnels).toHaveLength(1);
    await Promise.all(Array.from({ length: 100 }, () => client.request({ ...get(url), ca })));
    expect(proxy.tunnels.length).toBeGreaterThan(10);
    expect(proxy.tunnels.length).toBeLessThanOrEqual(24);
    expect(proxy.sockets.size).toBe(proxy.tunnels.length);
  });

  it('carries bodies as streams, there and back', async () => {
    const proxy = await startProxy();
    const bytes = Buffer.alloc(3_000_000, 'layer');
    const { url, ca } = await secureServer(NAME, async (request, response) => {
      response.end(request.method === 'GET' ? bytes : await readBody(request));
    });
    const client = behind(proxy);
    const open = async () => {
      const answer = await client.open({ ...get(url), ca });
      if (!isStream(answer)) throw new Error(`status ${answer.status}`);
      return answer.body;
    };
    const echo = await client.open({ method: 'PUT', url, ca, body: { size: bytes.length, open } });
    if (!isStream(echo)) throw new Error(`status ${echo.status}`);
    expect((await buffer(echo.body)).equals(bytes)).toBe(true);
  });
});

describe('plain HTTP through a proxy', () => {
  it('is passed on with path, query, headers and body', async () => {
    const proxy = await startProxy();
    const { seen, url } = await answering(async (request, response) => {
      response.end(`${request.headers.host} ${request.url} ${request.headers['x-name']}`);
    });
    const response = await behind(proxy).request({
      method: 'PUT',
      url: plainly(url),
      headers: { 'x-name': 'value' },
      body: Buffer.from('body'),
    });
    expect(response.body.toString()).toBe(`${NAME}:${url.port} /path?signature=secret value`);
    expect(proxy.forwarded.map(({ target }) => target)).toEqual([plainly(url).href]);
    expect(seen[0]?.headers['content-length']).toBe('4');
  });

  it('uses one connection again', async () => {
    const proxy = await startProxy();
    const { url } = await answering(fine);
    const client = behind(proxy);
    for (let i = 0; i < 5; i++) await client.request(get(plainly(url)));
    expect(proxy.forwarded).toHaveLength(5);
    expect(proxy.sockets.size).toBe(1);
  });

  it('does not go there for this machine itself', async () => {
    const proxy = await startProxy();
    const { url } = await answering(fine);
    await behind(proxy).request(get(url));
    expect(proxy.sockets.size).toBe(0);
  });

  it('leaves the proxy where a redirect leads to what is reached without it', async () => {
    const proxy = await startProxy();
    const direct = await answering(fine);
    const { url } = await answering(status(307, { location: direct.url.href }));
    const response = await behind(proxy).request(get(plainly(url)));
    expect(response.body.toString()).toBe('fine');
    expect(proxy.forwarded).toHaveLength(1);
  });
});

describe('the login of a proxy', () => {
  const PASSWORD = 'p@ss:wörd';
  const login = `ci:${encodeURIComponent(PASSWORD)}@`;

  it.each(['https', 'http'])('is sent to it and to nobody else, over %s', async scheme => {
    const proxy = await startProxy(['tunnel'], `ci:${PASSWORD}`);
    const headers: unknown[] = [];
    const secrets: [string, number][] = [];
    const { url, ca } = await secureServer(NAME, (request, response) => {
      headers.push(request.headers);
      response.end();
    });
    const { seen, url: open } = await answering(fine);
    const onSecret = (secret: string): unknown => secrets.push([secret, proxy.sockets.size]);
    const client = behind(proxy, { onSecret }, login);
    const request = scheme === 'https' ? { ...get(url), ca } : get(plainly(open));
    for (let i = 0; i < 2; i++) expect((await client.request(request)).status).toBe(200);
    const arrived = JSON.stringify([headers, seen.map(({ rawHeaders }) => rawHeaders)]);
    expect(arrived).toContain('user-agent'.slice(1));
    expect(arrived).not.toMatch(/proxy-auth/i);
    const pair = Buffer.from(`ci:${PASSWORD}`).toString('base64');
    // The password as it is, as it is written in an address, and as it is sent; all before there was a connection.
    expect(secrets).toEqual([PASSWORD, encodeURIComponent(PASSWORD), pair].map(secret => [secret, 0]));
  });

  it.each([
    ['https', 'none', ''],
    ['https', 'a wrong one', 'ci:hunter22@'],
    ['http', 'none', ''],
    ['http', 'a wrong one', 'ci:hunter22@'],
  ])('that it refuses is an error at once, over %s with %s', async (scheme, _, given) => {
    const proxy = await startProxy(['tunnel'], `ci:${PASSWORD}`);
    const { url, ca } = await secureServer(NAME, fine);
    const request = scheme === 'https' ? { ...get(url), ca } : get(plainly(url));
    const error = await failureOf(() => behind(proxy, {}, given).request(request));
    expect(error.code).toBe('service-unreachable');
    expect(error.message).toContain(`The proxy ${proxy.host} wants another login`);
    expect(error.message).toContain(url.host);
    expect(error.hint).toContain('http://USER:PASSWORD@HOST:PORT');
    expect(JSON.stringify([error.message, error.hint])).not.toMatch(/hunter22|secret/);
    expect(proxy.tunnels.length + proxy.forwarded.length).toBe(1);
  });

  it('is not asked for by a server that answers 407 itself', async () => {
    const { url } = await answering(status(407));
    expect((await transport().request(get(url))).status).toBe(407);
  });
});

describe('a proxy that opens no tunnel', () => {
  it.each([
    [401, 'www-authenticate: Basic realm="registry"'],
    [302, 'location: http://127.0.0.1:1/'],
    [403, ''],
    [404, ''],
  ])('is not taken for the target: %d', async (code, header) => {
    const proxy = await startProxy([answerConnect(code, ...(header ? [header] : []))]);
    const { url, ca } = await secureServer(NAME, fine);
    const error = await failureOf(() => behind(proxy).request({ ...get(url), ca }));
    expect(error.code).toBe('service-unreachable');
    expect(error.message).toContain(`The proxy ${proxy.host} answered ${code}`);
    expect(error.hint).toContain('NO_PROXY');
    expect(proxy.tunnels).toHaveLength(1);
  });

  it('for a passing reason is asked again', async () => {
    const proxy = await startProxy([
      answerConnect(503),
      answerConnect(504),
      socket => socket.resetAndDestroy(),
      socket => socket.destroy(),
      socket => socket.end('HTTP/1.1 200'),
      'tunnel',
    ]);
    const { url, ca } = await secureServer(NAME, fine);
    const messages: string[] = [];
    const client = behind(proxy, { onRetry: message => messages.push(message) });
    expect((await client.request({ ...get(url), ca })).body.toString()).toBe('fine');
    expect(messages).toHaveLength(5);
    for (const message of messages) expect(message).toContain(`the proxy ${proxy.host}`);
  });

  it('in time is given up, and its connection is closed', async () => {
    const proxy = await startProxy(['silence']);
    const { url, ca } = await secureServer(NAME, fine);
    const client = behind(proxy, { idleTimeout: 30, retry: { ...SHORT, budget: 0 } });
    const error = await failureOf(() => client.request({ ...get(url), ca }));
    expect(error.message).toContain(`the proxy ${proxy.host}: no byte came for 0.03 s (ETIMEDOUT)`);
    for (const socket of proxy.sockets) if (!socket.closed) await once(socket, 'close');
  });

  it('is left when the transport is closed', async () => {
    const proxy = await startProxy(['silence']);
    const client = behind(proxy);
    const { url, ca } = await secureServer(NAME, fine);
    const request = client.request({ ...get(url), ca });
    await vi.waitUntil(() => proxy.tunnels.length === 1);
    client.close();
    await expect(request).rejects.toThrow(/abort/i);
    for (const socket of proxy.sockets) if (!socket.closed) await once(socket, 'close');
    expect(proxy.sockets.size).toBe(1);
  });
});

describe('a proxy that is not there', () => {
  it.each(['https', 'http'])('is named, over %s', async scheme => {
    const proxy = { host: '127.0.0.1:1' };
    const client = behind(proxy, { retry: SHORT }, 'ci:hunter22@');
    const error = await failureOf(() => client.request(get(new URL(`${scheme}://${NAME}/`))));
    expect(error.code).toBe('service-unreachable');
    expect(error.message).toContain('the proxy 127.0.0.1:1: connect ECONNREFUSED');
    expect(error.message).not.toContain('hunter22');
  });

  it('because its address is none is an error before anything is sent', async () => {
    const client = transport({ env: { HTTPS_PROXY: 'socks5://proxy' } });
    const error = await failureOf(() => client.request(get(new URL(`https://${NAME}/`))));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('HTTPS_PROXY');
  });
});
