import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Handler, readBody, serve } from '../../lab/parts/http.ts';
import { mayPass } from '../../src/http/faults.ts';
import {
  type BodySource,
  type HttpRequest,
  type HttpStream,
  isStream,
  type Transport,
} from '../../src/http/transport.ts';
import { answering, fine, get, idleTimeoutPassed, reset, status } from '../servers/answering.ts';
import { FAST, failureOf, opened, SHORT, transport } from '../servers/clients.ts';

const MEBIBYTE = 1024 * 1024;

async function streamOf(client: Transport, request: HttpRequest): Promise<HttpStream> {
  const answer = await client.open(request);
  if (!isStream(answer)) throw new Error(`no stream, but status ${answer.status}`);
  return answer;
}

/** What reading a stream to its end throws. */
async function faultOf({ body }: HttpStream): Promise<NodeJS.ErrnoException> {
  return buffer(body).then(
    bytes => {
      throw new Error(`the stream ended well after ${bytes.length} bytes`);
    },
    error => error,
  );
}

/** Answers with headers and the first bytes at once; the test goes on from there. */
async function beginning(length?: number) {
  const responses: ServerResponse[] = [];
  const { seen, url } = await answering((_, response) => {
    responses.push(response);
    response.writeHead(200, length === undefined ? {} : { 'content-length': length });
    response.write('begun');
  });
  return { seen, url, responses };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('an answer as a stream', () => {
  it('may be longer than any answer that is kept in memory', async () => {
    const { url } = await answering((_, response) => {
      response.end(Buffer.alloc(20 * MEBIBYTE, 7));
    });
    const answer = await streamOf(transport(), get(url));
    expect(answer.status).toBe(200);
    expect(answer.url.href).toBe(url.href);
    expect(answer.headers['content-length']).toBe(String(20 * MEBIBYTE));
    expect((await buffer(answer.body)).equals(Buffer.alloc(20 * MEBIBYTE, 7))).toBe(true);
  });

  it('is refused beyond a limit that was given', async () => {
    const { url } = await answering(status(200, {}, 'x'.repeat(1001)));
    const limited = await streamOf(transport(), { ...get(url), maxBytes: 1000 });
    expect(await faultOf(limited)).toMatchObject({ code: 'invalid-document' });
    const exact = await streamOf(transport(), { ...get(url), maxBytes: 1001 });
    expect(await buffer(exact.body)).toHaveLength(1001);
  });

  it('is asked for until it begins', async () => {
    const { seen, url } = await answering(status(503), reset, status(429, { 'retry-after': '0' }), fine);
    const { body } = await streamOf(transport(), get(url));
    expect(String(await buffer(body))).toBe('fine');
    expect(seen).toHaveLength(4);
  });

  it('is not judged by what the caller takes for passing', async () => {
    const { seen, url } = await answering(fine);
    const { body } = await streamOf(transport({ retry: SHORT }), { ...get(url), alsoTransient: () => true });
    expect(String(await buffer(body))).toBe('fine');
    expect(seen).toHaveLength(1);
  });

  it('comes from where a redirect leads, which gets no credentials', async () => {
    const other = await opened(
      serve((request, response) => void response.end(request.headers.authorization)),
    );
    const { url } = await answering(status(307, { location: `${other.url}/blob?key=1` }));
    const headers = { authorization: 'Bearer secret' };
    const answer = await streamOf(transport(), { ...get(url), headers });
    expect(answer.url.href).toBe(`${other.url}/blob?key=1`);
    expect(String(await buffer(answer.body))).toBe('');
  });

  it('leaves its connection for the next request', async () => {
    const { seen, url } = await answering(fine);
    const client = transport();
    for (let i = 0; i < 3; i++) await buffer((await streamOf(client, get(url))).body);
    expect(new Set(seen.map(request => request.socket)).size).toBe(1);
  });

  it('that is destroyed halfway leaves no connection behind', async () => {
    const { url, responses } = await beginning();
    const { body } = await streamOf(transport(), get(url));
    const closed = responses.map(response => once(response, 'close'));
    body.destroy();
    await Promise.all(closed);
    expect(closed).toHaveLength(1);
  });
});

describe('an answer that is not good', () => {
  it.each([301, 401, 404, 501])('comes as a whole: %d', async code => {
    const { seen, url } = await answering(status(code, {}, 'no'));
    const answer = await transport().open(get(url));
    expect(isStream(answer)).toBe(false);
    expect(answer).toMatchObject({ status: code, body: Buffer.from('no') });
    expect(seen).toHaveLength(1);
  });

  it('comes with the beginning of a page without end, and its connection is closed', async () => {
    let closed: Promise<unknown> | undefined;
    const endless: Handler = (_, response) => {
      closed = once(response, 'close');
      response.writeHead(404);
      const pour = (): void => {
        while (!response.destroyed && response.write('no '.repeat(10_000)));
        if (!response.destroyed) response.once('drain', pour);
      };
      pour();
    };
    const { url } = await answering(endless);
    for (const send of [transport().open(get(url)), transport().request(get(url))]) {
      const answer = await send;
      expect(answer.status).toBe(404);
      expect(answer.body).toHaveLength(64 * 1024);
      await closed;
    }
  });

  it('is the last one at the end of the budget', async () => {
    const { url } = await answering(status(503, {}, 'busy'));
    const answer = await transport({ retry: SHORT }).open(get(url));
    expect(answer).toMatchObject({ status: 503, body: Buffer.from('busy') });
  });
});

describe('a stream that breaks off', () => {
  it.each([
    ['short of its length', 100],
    ['in the middle of its chunks', undefined],
  ])('%s ends in a fault that may pass', async (_, length) => {
    const { seen, url, responses } = await beginning(length);
    const answer = await streamOf(transport(), get(url));
    answer.body.once('data', () => responses[0]?.destroy());
    const fault = await faultOf(answer);
    expect(fault.message).toContain('cut off');
    expect(mayPass(fault)).toBe(true);
    expect(seen).toHaveLength(1);
  });

  it('by a reset does so too', async () => {
    const { url, responses } = await beginning(100);
    const answer = await streamOf(transport(), get(url));
    answer.body.once('data', () => responses[0]?.socket?.resetAndDestroy());
    expect(mayPass(await faultOf(answer))).toBe(true);
  });

  it('because the transport was closed says so', async () => {
    const { url } = await beginning();
    const closing = transport();
    const answer = await streamOf(closing, get(url));
    answer.body.once('data', () => closing.close());
    const fault = await faultOf(answer);
    expect(fault.name).toBe('AbortError');
    expect(mayPass(fault)).toBe(false);
  });
});

describe('the time that a stream may take', () => {
  const MINUTE = 60_000;

  it('ends with silence', async () => {
    const { url } = await beginning();
    const answer = await streamOf(transport({ idleTimeout: 30 }), get(url));
    const fault = await faultOf(answer);
    expect(fault.code).toBe('ETIMEDOUT');
    expect(mayPass(fault)).toBe(true);
  });

  it('does not end as long as bytes come, whereas a request as a whole has five minutes', async () => {
    const { url, responses } = await beginning();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { body } = await streamOf(transport({ idleTimeout: 2 * MINUTE }), get(url));
    const patient = transport({ retry: { ...FAST, budget: 0 }, idleTimeout: 60 * MINUTE });
    const whole = failureOf(() => patient.request(get(url)));
    await vi.waitUntil(() => responses.length === 2);
    for (let minutes = 0; minutes < 10; minutes++) {
      vi.advanceTimersByTime(MINUTE);
      for (const response of responses) response.write('more');
      await once(body, 'data');
    }
    expect((await whole).message).toContain('not complete after 300 s');
    responses[0]?.end();
    await once(body, 'end');
  });

  it('is its own while the reader is not ready for more, and the rest waits at the server', async () => {
    const { url, responses } = await beginning();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { body } = await streamOf(transport({ idleTimeout: MINUTE }), get(url));
    responses[0]?.write(Buffer.alloc(8 * MEBIBYTE));
    await vi.waitUntil(() => body.readableLength >= body.readableHighWaterMark || body.read(0));
    for (let i = 0; i < 20; i++) await turn();
    expect(body.readableLength).toBeLessThan(MEBIBYTE);
    vi.advanceTimersByTime(10 * MINUTE);
    expect(body.destroyed).toBe(false);
    // From here on it is the server that has to go on.
    let length = 0;
    body.on('data', chunk => {
      length += chunk.length;
    });
    await vi.waitUntil(() => length === 8 * MEBIBYTE + 5);
    const failed = once(body, 'error');
    vi.advanceTimersByTime(MINUTE / 2);
    expect(body.destroyed).toBe(false);
    vi.advanceTimersByTime(MINUTE);
    expect(await failed).toMatchObject([{ code: 'ETIMEDOUT' }]);
  });
});

describe('a reader', () => {
  it('may pause for longer than a server', async () => {
    const { url } = await answering((_, response) => void response.end(Buffer.alloc(8 * MEBIBYTE)));
    const { body } = await streamOf(transport({ idleTimeout: 300 }), get(url));
    await idleTimeoutPassed(300);
    expect(await buffer(body)).toHaveLength(8 * MEBIBYTE);
  });
});

describe('a copy', () => {
  it('from one host to another goes on when either of them breaks off', async () => {
    const bytes = Buffer.alloc(3 * MEBIBYTE, 'layer');
    const half: Handler = (_, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, MEBIBYTE), () => response.destroy());
    };
    const { seen, url } = await answering(half, (_, response) => void response.end(bytes));
    const bodies: Buffer[] = [];
    let tries = 0;
    const target = await opened(
      serve(async (request, response) => {
        tries++;
        bodies.push(await readBody(request));
        response.writeHead(bodies.length < 2 ? 503 : 201).end();
      }),
    );
    const client = transport();
    const body: BodySource = {
      size: bytes.length,
      open: async () => (await streamOf(client, get(url))).body,
    };
    const answer = await client.request({ method: 'PUT', url: new URL(target.url), body });
    expect(answer.status).toBe(201);
    expect(bodies.map(got => got.equals(bytes))).toEqual([true, true]);
    expect([seen.length, tries]).toEqual([3, 3]);
  });
});
