import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Handler, readBody, serve } from '../../lab/parts/http.ts';
import { ManifoldError } from '../../src/errors.ts';
import type { BodySource } from '../../src/http/transport.ts';
import { idleTimeoutPassed, reset, status } from '../servers/answering.ts';
import { failureOf, opened, SHORT, transport } from '../servers/clients.ts';

/** Bytes that can be had any number of times; `streams` are those that were opened. */
function sourceOf(size: number, begin: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
  const streams: Readable[] = [];
  const source: BodySource = {
    size,
    open: async () => {
      const stream = Readable.from(begin(), { objectMode: false });
      streams.push(stream);
      return stream;
    },
  };
  return { source, streams };
}

const text = (...pieces: string[]) => pieces.map(piece => Buffer.from(piece));

/** A server that keeps each body that came whole, and answers the n-th by the n-th handler, later ones by the last. */
async function receiving(...handlers: Handler[]) {
  const bodies: Buffer[] = [];
  const requests: IncomingMessage[] = [];
  const server = await opened(
    serve(async (request, response) => {
      requests.push(request);
      const handler = handlers[Math.min(requests.length, handlers.length) - 1];
      bodies.push(await readBody(request));
      await handler?.(request, response);
    }),
  );
  return { bodies, requests, url: new URL(`${server.url}/blob?state=secret`) };
}

/** A server that answers without reading, and tells when the connection has ended. */
async function hasty(answer: Handler) {
  const server = await opened(
    serve(async (request, response) => {
      ended.push(new Promise(resolve => request.socket.once('close', () => resolve())));
      await answer(request, response);
    }),
  );
  const ended: Promise<void>[] = [];
  return { url: new URL(server.url), ended };
}

/** More than any buffer on the way takes, so that it never comes to its end. */
const ENDLESS = Number.MAX_SAFE_INTEGER;
function* endlessly() {
  const piece = Buffer.alloc(65_536);
  for (let given = 0; given < 256 * 1024 * 1024; given += piece.length) yield piece;
}

const created = status(201);

describe('a body from a source', () => {
  it('arrives byte by byte, however it is cut', async () => {
    const { bodies, requests, url } = await receiving(created);
    const client = transport();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 2000 })), async pieces => {
        const whole = Buffer.concat(pieces);
        const { source } = sourceOf(whole.length, () => pieces);
        expect((await client.request({ method: 'PUT', url, body: source })).status).toBe(201);
        expect(bodies.at(-1)?.equals(whole)).toBe(true);
        expect(requests.at(-1)?.headers['content-length']).toBe(String(whole.length));
      }),
      { numRuns: 50 },
    );
  });

  it('is opened anew for each try, and never left open', async () => {
    const { bodies, url } = await receiving(status(503), reset, created);
    const { source, streams } = sourceOf(6, () => text('abc', 'def'));
    expect((await transport().request({ method: 'PUT', url, body: source })).status).toBe(201);
    expect(bodies.map(String)).toEqual(['abcdef', 'abcdef', 'abcdef']);
    expect(streams.map(stream => stream.destroyed)).toEqual([true, true, true]);
  });

  it('is read no faster than the server takes it', async () => {
    let given = 0;
    const { source } = sourceOf(ENDLESS, function* () {
      for (const piece of endlessly()) {
        given += piece.length;
        yield piece;
      }
    });
    const { url } = await hasty(() => {});
    const brief = transport({ idleTimeout: 200, retry: SHORT });
    await failureOf(() => brief.request({ method: 'PUT', url, body: source }));
    // What the kernel's buffers take on loopback, twice.
    expect(given).toBeLessThan(32 * 1024 * 1024);
  });
});

describe('a source that fails', () => {
  const reading = (error: Error) =>
    async function* () {
      yield Buffer.from('abc');
      throw error;
    };
  const broken = (code: string) => Object.assign(new Error(`it broke: ${code}`), { code });

  it.each(['ECONNRESET', 'ETIMEDOUT'])('for a passing reason (%s) is opened again', async code => {
    const { bodies, url } = await receiving(created);
    let tries = 0;
    const { source } = sourceOf(6, () => (++tries < 3 ? reading(broken(code))() : text('abc', 'def')));
    const messages: string[] = [];
    const client = transport({ onRetry: message => messages.push(message) });
    expect((await client.request({ method: 'PUT', url, body: source })).status).toBe(201);
    expect(bodies.map(String)).toEqual(['abcdef']);
    expect(messages).toHaveLength(2);
    expect(messages[0]).toContain(`the source of the body: it broke: ${code}`);
  });

  it.each([
    ['an error of ours', new ManifoldError('digest-mismatch', 'These are other bytes.')],
    ['an error that will not pass', broken('ENOENT')],
    ['an error without a code', new Error('what')],
  ])('with %s ends the request with that very error', async (_, error) => {
    const { bodies, requests, url } = await receiving(created);
    const { source, streams } = sourceOf(6, reading(error));
    await expect(transport().request({ method: 'PUT', url, body: source })).rejects.toBe(error);
    const closed: BodySource = { size: 6, open: () => Promise.reject(error) };
    await expect(transport().request({ method: 'PUT', url, body: closed })).rejects.toBe(error);
    expect(streams).toHaveLength(1);
    expect(requests.length).toBeLessThanOrEqual(1);
    expect(bodies).toEqual([]);
  });

  it('while it waits for its turn ends the request with that very error', async () => {
    const client = transport({ socketsPerHost: 2 });
    const { url } = await receiving((_, response) => void setImmediate(() => response.end()));
    const error = new Error('what');
    const source: BodySource = {
      size: 6,
      open: async () => {
        const stream = new Readable({ read() {} });
        process.nextTick(() => stream.destroy(error));
        return stream;
      },
    };
    const others = [1, 2, 3].map(() => client.request({ method: 'GET', url }));
    await expect(client.request({ method: 'PUT', url, body: source })).rejects.toBe(error);
    await Promise.all(others);
  });

  it('after its last byte has not given the server a whole body', async () => {
    const { bodies, url } = await receiving(created);
    const error = new ManifoldError('digest-mismatch', 'These are other bytes.');
    const { source } = sourceOf(3, reading(error));
    await expect(transport().request({ method: 'PUT', url, body: source })).rejects.toBe(error);
    expect(bodies).toEqual([]);
  });

  it('by ending early is opened again, and is blamed when that does not help', async () => {
    const { bodies, url } = await receiving(created);
    let tries = 0;
    const { source } = sourceOf(6, () => (++tries < 2 ? text('abc') : text('abc', 'def')));
    expect((await transport().request({ method: 'PUT', url, body: source })).status).toBe(201);
    expect(bodies.map(String)).toEqual(['abcdef']);

    const short = sourceOf(6, () => text('abc')).source;
    const error = await failureOf(() =>
      transport({ retry: SHORT }).request({ method: 'PUT', url, body: short }),
    );
    expect(error.code).toBe('service-unreachable');
    expect(error.message).toContain('the source of the body: they ended after 3 of 6');
    expect(error.message).not.toContain('secret');
    expect(bodies).toHaveLength(1);
  });

  it('by being destroyed halfway has ended early', async () => {
    const { url } = await receiving(created);
    const source: BodySource = {
      size: 6,
      open: async () => {
        const stream = new Readable({ read() {} });
        stream.push('abc');
        setImmediate(() => stream.destroy());
        return stream;
      },
    };
    const brief = transport({ retry: SHORT });
    const error = await failureOf(() => brief.request({ method: 'PUT', url, body: source }));
    expect(error.message).toContain('ended after 3 of 6');
  });

  it('by giving too much is an error, and the server has no whole body', async () => {
    const { bodies, url } = await receiving(created);
    const { source, streams } = sourceOf(6, () => text('abc', 'def', 'g'));
    const error = await failureOf(() => transport().request({ method: 'PUT', url, body: source }));
    expect(error.code).toBe('invalid-document');
    expect(error.message).toContain('6 bytes');
    expect(streams.map(stream => stream.destroyed)).toEqual([true]);
    expect(bodies).toEqual([]);
  });
});

describe('an answer that comes before the body is through', () => {
  it.each([401, 413])('counts: %d', async code => {
    const { source, streams } = sourceOf(ENDLESS, endlessly);
    const { url, ended } = await hasty(status(code, {}, 'no'));
    const response = await transport().request({ method: 'PUT', url, body: source });
    expect([response.status, response.body.toString()]).toEqual([code, 'no']);
    expect(streams.map(stream => stream.destroyed)).toEqual([true]);
    await Promise.all(ended);
    expect(ended).toHaveLength(1);
  });

  it('of a passing kind is tried again', async () => {
    let answers = 0;
    const { source, streams } = sourceOf(ENDLESS, endlessly);
    const { url, ended } = await hasty((request, response) =>
      status(++answers < 3 ? 429 : 403)(request, response),
    );
    expect((await transport().request({ method: 'PUT', url, body: source })).status).toBe(403);
    expect(streams.map(stream => stream.destroyed)).toEqual([true, true, true]);
    await Promise.all(ended);
  });

  it('counts though the connection breaks behind its first bytes', async () => {
    const source: BodySource = {
      size: ENDLESS,
      open: async () => {
        const stream = new Readable({ read() {} });
        stream.push('abc');
        setImmediate(() => stream.push('def'));
        return stream;
      },
    };
    const { url } = await hasty((_, response) => {
      response.writeHead(413, { 'content-length': 100 });
      response.write('too large', () => setImmediate(() => response.socket?.end()));
    });
    const response = await transport({ retry: SHORT }).request({ method: 'PUT', url, body: source });
    expect(response.status).toBe(413);
  });

  it('counts though the connection is reset behind its first bytes', async () => {
    const stream = new Readable({ read() {} });
    const source: BodySource = {
      size: ENDLESS,
      open: async () => {
        stream.push('abc');
        setImmediate(() => stream.push('def'));
        return stream;
      },
    };
    const { url } = await hasty((_, response) => {
      response.writeHead(413, { 'content-length': 100 });
      response.write('too large');
      // The client has the answer: it wants no more of the source.
      stream.once('close', () => response.socket?.resetAndDestroy());
    });
    const patient = transport({ retry: { ...SHORT, budget: 0 } });
    expect((await patient.request({ method: 'PUT', url, body: source })).status).toBe(413);
  });

  it('ends a connection that is still busy with bytes from memory, too', async () => {
    const { url, ended } = await hasty(status(413));
    const body = Buffer.alloc(32 * 1024 * 1024);
    expect((await transport().request({ method: 'PUT', url, body })).status).toBe(413);
    await Promise.all(ended);
  });
});

describe('a server', () => {
  it('that has a big body may take longer than usual to answer', async () => {
    const { url } = await receiving(async (_, response) => {
      await idleTimeoutPassed(150);
      response.writeHead(201).end();
    });
    const bytes = Buffer.alloc(1_000_000);
    const { source } = sourceOf(40 * bytes.length, () => Array(40).fill(bytes));
    const client = transport({ idleTimeout: 150 });
    expect((await client.request({ method: 'PUT', url, body: source })).status).toBe(201);
  });
});

describe('a request that cannot be sent', () => {
  it('leaves no source open', async () => {
    const { source, streams } = sourceOf(3, () => text('abc'));
    const url = new URL('http://127.0.0.1:1/');
    const headers = { bad: '\n' };
    const error = await failureOf(() => transport().request({ method: 'PUT', url, headers, body: source }));
    expect(error.message).toContain('ERR_INVALID_CHAR');
    expect(streams.map(stream => stream.destroyed)).toEqual([true]);
  });
});

describe('a transport that is closed', () => {
  it('ends the source of what it is sending', async () => {
    const closing = transport();
    const { source, streams } = sourceOf(ENDLESS, endlessly);
    const { url, ended } = await hasty(request => {
      closing.close();
      request.resume();
    });
    await expect(closing.request({ method: 'PUT', url, body: source })).rejects.toThrow(/abort/i);
    await Promise.all(ended);
    expect(streams.map(stream => stream.destroyed)).toEqual([true]);
  });
});
