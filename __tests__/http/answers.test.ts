import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Handler, readBody, serve } from '../../lab/parts/http.ts';
import { type BodySource, Transport } from '../../src/http/transport.ts';
import { followUrl } from '../../src/http/url.ts';
import { answering, fine, get, status } from '../servers/answering.ts';
import { FAST, failureOf, opened, SHORT, transport } from '../servers/clients.ts';
import { newAuthority, newServer, pem } from '../servers/x509.ts';

describe('a body', () => {
  const sized = (size: number) => status(200, {}, 'x'.repeat(size));

  it('of the greatest length is taken whole', async () => {
    const { url } = await answering(sized(1000));
    expect((await transport().request({ ...get(url), maxBytes: 1000 })).body).toHaveLength(1000);
  });

  it('that is longer than allowed is refused at once', async () => {
    const { seen, url } = await answering(sized(1001));
    const error = await failureOf(() => transport().request({ ...get(url), maxBytes: 1000 }));
    expect(error.code).toBe('invalid-document');
    expect(error.message).toContain(`${url.host} is longer than 1000 bytes`);
    expect(seen).toHaveLength(1);
  });

  it('without end is refused before it fills the memory', async () => {
    const endless: Handler = (_, response) => {
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        if (!response.destroyed) response.once('drain', pour);
      };
      pour();
    };
    const { url } = await answering(endless);
    expect((await failureOf(() => transport().request(get(url)))).code).toBe('invalid-document');
  });

  it('of a failure may be longer than what was asked for: the failure counts', async () => {
    const page = '<html>'.repeat(100);
    const { seen, url } = await answering(status(503, {}, page), status(404, {}, page));
    const response = await transport().request({ ...get(url), maxBytes: 2 });
    expect(response.status).toBe(404);
    expect(seen).toHaveLength(2);
  });

  it('of a HEAD is empty whatever length is told', async () => {
    const { url } = await answering(status(200, { 'content-length': '5000' }));
    const response = await transport().request({ method: 'HEAD', url });
    expect(response.body).toHaveLength(0);
    expect(response.headers['content-length']).toBe('5000');
  });
});

describe('an answer', () => {
  it('that changes the protocol is none', async () => {
    const { url } = await answering(request => {
      request.socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n');
    });
    const error = await failureOf(() => transport({ retry: SHORT }).request(get(url)));
    expect(error.code).toBe('service-unreachable');
  });

  it('without a body ends at once, whatever length is told', async () => {
    const raw: Handler = request => {
      request.socket.write('HTTP/1.1 204 No Content\r\n\r\n');
    };
    const { url } = await answering(raw);
    expect((await transport().request(get(url))).body).toHaveLength(0);
  });
});

describe('a redirect', () => {
  const headers = { Authorization: 'Bearer secret', accept: 'application/json' };
  const echo: Handler = (request, response) => {
    response.end(JSON.stringify(request.headers));
  };

  it.each([301, 302, 303, 307, 308])(
    '%d to another origin leaves the credentials behind and keeps the rest',
    async code => {
      const other = await opened(serve(echo));
      const { url } = await answering(status(code, { location: `${other.url}/blob` }));
      const response = await transport().request({ ...get(url), headers });
      const arrived = JSON.parse(response.body.toString());
      expect(arrived).not.toHaveProperty('authorization');
      expect(arrived.accept).toBe('application/json');
      expect(response.url.href).toBe(`${other.url}/blob`);
    },
  );

  it.each([
    ['that is no address', 'http://[?signature=1', 'no address'],
    ['to something that is not HTTP', 'ftp://127.0.0.1/blob?signature=1', 'no address'],
  ])('%s is an error at once', async (_, location, message) => {
    const { seen, url } = await answering(status(307, { location }));
    const error = await failureOf(() => transport().request(get(url)));
    expect(error.code).toBe('registry-refused');
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('signature');
    expect(seen).toHaveLength(1);
  });

  it.each([
    ['/blob?x=1&y=%2F', '/blob?x=1&y=%2F'],
    ['other?x=1', '/other?x=1'],
    ['?x=2', '/path?x=2'],
    ['../up', '/up'],
  ])('to %s is relative to what was asked, with the query as it is', async (location, expected) => {
    const { seen, url } = await answering(status(302, { location }), fine);
    await transport().request(get(url));
    expect(seen[1]?.url).toBe(expected);
  });

  it('keeps the method, and the body of a HEAD empty', async () => {
    const sized = status(200, { 'content-length': '5000' });
    const { seen, url } = await answering(status(303, { location: '/elsewhere' }), sized);
    const response = await transport().request({ method: 'HEAD', url });
    expect(seen.map(({ method }) => method)).toEqual(['HEAD', 'HEAD']);
    expect(response.body).toHaveLength(0);
  });

  it('counts for its address: a page without end is not read', async () => {
    const endless: Handler = (request, response) => {
      if (request.url === '/elsewhere') return fine(request, response);
      response.writeHead(302, { location: '/elsewhere' });
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        if (!response.destroyed) response.once('drain', pour);
      };
      pour();
    };
    const { url } = await answering(endless);
    expect((await transport().request(get(url))).body.toString()).toBe('fine');
  });

  it('is followed five times', async () => {
    const hop = status(302, { location: '/path' });
    const { url } = await answering(hop, hop, hop, hop, hop, fine);
    expect((await transport().request(get(url))).status).toBe(200);
  });

  it('never leads from TLS to plain HTTP', async () => {
    const tls = new URL('https://registry.example/v2/');
    expect((await failureOf(() => followUrl('http://registry.example/blob', tls))).code).toBe(
      'registry-refused',
    );
    expect(followUrl('/blob?x=1', tls).href).toBe('https://registry.example/blob?x=1');
  });

  it('to another port of the same host is another origin', async () => {
    const other = await opened(serve(echo));
    const { url } = await answering(status(307, { location: other.url }));
    const response = await transport().request({ ...get(url), headers });
    expect(JSON.parse(response.body.toString()).authorization).toBeUndefined();
  });

  it('within the same origin keeps them', async () => {
    const { url } = await answering(status(307, { location: '/elsewhere' }), echo);
    const response = await transport().request({ ...get(url), headers });
    expect(JSON.parse(response.body.toString()).authorization).toBe('Bearer secret');
  });

  it('that comes back does not bring the credentials back', async () => {
    const { url, origin } = await answering((_, response) => {
      response.writeHead(307, { location: `${away.url}/away` }).end();
    }, echo);
    const away = await opened(serve(status(307, { location: `${origin}/back` })));
    const response = await transport().request({ ...get(url), headers });
    expect(JSON.parse(response.body.toString()).authorization).toBeUndefined();
  });

  it('to nowhere holds no place of its host, although its page has no end', async () => {
    const endless: Handler = (_, response) => {
      response.writeHead(302, { location: 'mailto:somebody' });
      response.write('moved');
    };
    const { url } = await answering(endless, endless, fine);
    const client = transport({ socketsPerHost: 2 });
    for (const _ of [1, 2]) await failureOf(() => client.request(get(url)));
    expect((await client.request(get(url))).status).toBe(200);
  });

  it('in a circle ends', async () => {
    const { seen, url } = await answering(status(302, { location: '/path' }));
    expect((await failureOf(() => transport().request(get(url)))).code).toBe('registry-refused');
    expect(seen).toHaveLength(6);
  });

  it('to nowhere is a failure of ours and not of the program', async () => {
    const { url } = await answering(status(302, { location: 'http://[' }));
    await failureOf(() => transport({ retry: { ...FAST, budget: 10 } }).request(get(url)));
  });
});

describe('a redirect of what writes', () => {
  /** Tells what it was sent. */
  const mirror: Handler = async (request, response) => {
    const { method, url, headers } = request;
    const body = (await readBody(request)).toString();
    response.end(`${method} ${url} ${headers.authorization} ${body}`);
  };
  const leading = async (code: number, location: string) => {
    const seen: string[] = [];
    const server = await opened(
      serve((request, response) => {
        seen.push(`${request.method} ${request.url}`);
        if (request.url === '/elsewhere') return mirror(request, response);
        return status(code, { location })(request, response);
      }),
    );
    return { seen, url: new URL(`${server.url}/path`) };
  };
  const headers = { authorization: 'Bearer secret' };
  const again: BodySource = { size: 1, open: async () => Readable.from(['x'], { objectMode: false }) };

  it.each([
    ['PUT', 307, Buffer.from('x')],
    ['PUT', 308, Buffer.from('x')],
    ['POST', 307, Buffer.from('x')],
    ['PUT', 307, again],
  ] as const)('is followed within its origin, with the body: %s, %d', async (method, code, body) => {
    const { url } = await leading(code, '/elsewhere');
    const response = await transport().request({ method, url, headers, body });
    expect(response.body.toString()).toBe(`${method} /elsewhere Bearer secret x`);
    expect(response.url.pathname).toBe('/elsewhere');
  });

  it('is followed without a body, too', async () => {
    const { url } = await leading(307, '/elsewhere');
    const response = await transport().request({ method: 'POST', url });
    expect(response.body.toString()).toBe('POST /elsewhere undefined ');
  });

  it.each(['PUT', 'POST'] as const)('leads to no other origin: %s', async method => {
    const { seen, url: other } = await leading(200, '');
    const { url } = await leading(307, other.href);
    const response = await transport().request({ method, url, headers, body: Buffer.from('x') });
    expect(response.status).toBe(307);
    expect(seen).toEqual([]);
  });

  it.each([301, 302, 303])('is the answer where it need not keep the method: %d', async code => {
    const { seen, url } = await leading(code, '/elsewhere');
    const response = await transport().request({ method: 'POST', url, body: Buffer.from('x') });
    expect(response.status).toBe(code);
    expect(seen).toEqual(['POST /path']);
  });

  it('is the answer where the body is given once', async () => {
    const { seen, url } = await leading(307, '/elsewhere');
    let begun = 0;
    const once: BodySource = {
      size: 1,
      isGivenOnce: true,
      open: () => {
        begun++;
        return again.open();
      },
    };
    expect((await transport().request({ method: 'PUT', url, body: once })).status).toBe(307);
    expect([seen.length, begun]).toEqual([1, 1]);
  });

  it('in a circle ends', async () => {
    const { seen, url } = await leading(307, '/path');
    const error = await failureOf(() => transport().request({ method: 'PUT', url, body: Buffer.from('x') }));
    expect(error.code).toBe('registry-refused');
    expect(seen).toHaveLength(6);
  });

  it('leads anew for each try', async () => {
    let answers = 0;
    const server = await opened(
      serve((request, response) => {
        if (request.url !== '/elsewhere') return status(307, { location: '/elsewhere' })(request, response);
        return (++answers < 3 ? status(503) : mirror)(request, response);
      }),
    );
    const request = { method: 'PUT', url: new URL(server.url), body: Buffer.from('x') } as const;
    expect((await transport().request(request)).body.toString()).toBe('PUT /elsewhere undefined x');
  });
});

describe('TLS', () => {
  it('trusts an installed certificate for its host, and no unknown one', async () => {
    const authority = newAuthority('test authority');
    const { privateKey, certificate } = newServer('127.0.0.1', authority);
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    const server = createTlsServer({ key, cert: pem(certificate) }, (_, response) => response.end('fine'));
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const brief = transport();
    expect((await brief.request({ ...get(url), ca: pem(authority.certificate) })).body.toString()).toBe(
      'fine',
    );
    const error = await failureOf(() => brief.request(get(url)));
    expect(error.code).toBe('service-unreachable');
    expect(error.message).toMatch(/tried once .*(certificate|CERT|ISSUER)/i);
  });
});

describe('connections', () => {
  it('are used again, and not more than 24 at a time to one host', async () => {
    let open = 0;
    let most = 0;
    const sockets = new Set<unknown>();
    const server = await opened(
      serve(async (request, response) => {
        sockets.add(request.socket);
        most = Math.max(most, ++open);
        await new Promise(setImmediate);
        open--;
        response.end();
      }),
    );
    const shared = transport();
    await Promise.all(Array.from({ length: 100 }, () => shared.request(get(new URL(server.url)))));
    expect(most).toBeLessThanOrEqual(24);
    expect(sockets.size).toBeLessThanOrEqual(24);
  });

  it('say who we are', async () => {
    const { seen, url } = await answering(fine);
    const named = new Transport({ userAgent: 'manifold/1.2.3' });
    onTestFinished(() => named.close());
    await named.request(get(url));
    expect(seen[0]?.headers['user-agent']).toBe('manifold/1.2.3');
  });
});
