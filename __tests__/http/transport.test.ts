import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Handler, serve } from '../../lab/parts/http.ts';
import type { HttpResponse } from '../../src/http/transport.ts';
import { answering, fine, get, reset, status } from '../servers/answering.ts';
import { FAST, failureOf, opened, transport } from '../servers/clients.ts';

describe('a request that fails for a passing reason', () => {
  it.each([408, 425, 429, 499, 500, 502, 503, 504])('is repeated after status %d', async code => {
    const { seen, url } = await answering(status(code), status(code), fine);
    const response = await transport().request(get(url));
    expect(response.body.toString()).toBe('fine');
    expect(seen).toHaveLength(3);
  });

  it.each([
    ['seconds', '0'],
    ['a date', new Date(0).toUTCString()],
  ])('is repeated when the server says when, in %s', async (_, value) => {
    const { seen, url } = await answering(status(429, { 'retry-after': value }), fine);
    expect((await transport().request(get(url))).status).toBe(200);
    expect(seen).toHaveLength(2);
  });

  it.each([
    ['seconds', '60'],
    ['a date', new Date(Date.now() + 60_000).toUTCString()],
  ])('is not repeated when the server wants a longer wait than the budget, in %s', async (_, value) => {
    const { seen, url } = await answering(status(429, { 'retry-after': value }), fine);
    expect((await transport().request(get(url))).status).toBe(429);
    expect(seen).toHaveLength(1);
  });

  it('is repeated after a 403 that is a rate limit', async () => {
    const { seen, url } = await answering(status(403, {}, '{"message":"secondary rate limit"}'), fine);
    expect((await transport().request(get(url))).status).toBe(200);
    expect(seen).toHaveLength(2);
  });

  it.each([400, 401, 403, 404, 409, 501])('is told from status %d, which is not repeated', async code => {
    const { seen, url } = await answering(status(code, {}, 'denied'), fine);
    const response = await transport().request(get(url));
    expect([response.status, response.body.toString()]).toEqual([code, 'denied']);
    expect(seen).toHaveLength(1);
  });

  it('is repeated for an answer that the caller takes for passing', async () => {
    const { seen, url } = await answering(status(404), fine);
    const response = await transport().request({
      ...get(url),
      alsoTransient: answer => answer.status === 404,
    });
    expect(response.status).toBe(200);
    expect(seen).toHaveLength(2);
  });

  it('is repeated with its body and headers', async () => {
    const bodies: string[] = [];
    const keep = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      let body = '';
      for await (const chunk of request) body += chunk;
      bodies.push(`${request.headers['content-length']} ${request.headers['x-name']} ${body}`);
      response.writeHead(bodies.length < 3 ? 503 : 201).end();
    };
    const server = await opened(serve(keep));
    const body = Buffer.from('größe');
    const headers = { 'x-name': 'value' };
    const response = await transport().request({ method: 'POST', url: new URL(server.url), headers, body });
    expect(response.status).toBe(201);
    expect(bodies).toEqual(Array(3).fill('7 value größe'));
  });

  it('is repeated after a broken connection', async () => {
    const { seen, url } = await answering(reset, reset, fine);
    expect((await transport().request(get(url))).body.toString()).toBe('fine');
    expect(seen).toHaveLength(3);
  });

  it('is repeated after an answer that ends early, with or without a length', async () => {
    const short: Handler = (_, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('only this', () => response.destroy());
    };
    const chunked: Handler = (_, response) => {
      response.write('only this', () => response.destroy());
    };
    const { seen, url } = await answering(short, chunked, fine);
    expect((await transport().request(get(url))).body.toString()).toBe('fine');
    expect(seen).toHaveLength(3);
  });

  it('is repeated after silence, before the answer and in the middle of it', async () => {
    const silent: Handler = () => {};
    const stuck: Handler = (_, response) => {
      response.write('and then');
    };
    const { seen, url } = await answering(silent, stuck, fine);
    const patient = transport({ idleTimeout: 30, retry: { ...FAST, budget: 5000 } });
    expect((await patient.request(get(url))).body.toString()).toBe('fine');
    expect(seen).toHaveLength(3);
  });

  it('is told to the log each time, without the query, which may hold a signature', async () => {
    const messages: string[] = [];
    const { url, origin } = await answering(status(503), reset, fine);
    await transport({ onRetry: message => messages.push(message) }).request(get(url));
    expect(messages).toHaveLength(2);
    expect(messages[0]).toMatch(new RegExp(`^GET ${origin}/path: status 503; trying again in 0\\.0 s$`));
    expect(messages[1]).toContain('ECONNRESET');
    expect(messages.join()).not.toContain('secret');
  });
});

/** The clock by which budgets are counted, as far as it is moved. Timers go by another. */
function fakeClock(): (milliseconds: number) => void {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  return milliseconds => vi.advanceTimersByTime(milliseconds);
}

describe('whoever sends a request', () => {
  it('may look before each repetition, and never before the first try', async () => {
    const looked: number[] = [];
    const { seen, url } = await answering(status(503), status(503), fine);
    const beforeRetry = async (): Promise<void> => void looked.push(seen.length);
    expect((await transport().request({ ...get(url), beforeRetry })).status).toBe(200);
    expect(looked).toEqual([1, 2]);
  });

  it('may end it there', async () => {
    const { seen, url } = await answering(status(503), fine);
    const changed = new Error('it has changed');
    const beforeRetry = async (): Promise<void> => {
      throw changed;
    };
    await expect(transport().request({ ...get(url), beforeRetry })).rejects.toBe(changed);
    expect(seen).toHaveLength(1);
  });
});

describe('the end of the budget', () => {
  it('brings the last answer', async () => {
    const { seen, url } = await answering(status(503, {}, 'busy'));
    const response = await transport({ retry: { budget: 20, base: 1, longest: 2 } }).request(get(url));
    expect([response.status, response.body.toString()]).toEqual([503, 'busy']);
    expect(seen.length).toBeGreaterThan(1);
  });

  it('without any answer is an error that says what was tried and why it failed', async () => {
    const { url } = await answering(reset);
    const error = await failureOf(() =>
      transport({ retry: { budget: 20, base: 1, longest: 2 } }).request(get(url)),
    );
    expect(error.code).toBe('service-unreachable');
    expect(error.message).toMatch(
      /^GET http:\/\/127\.0\.0\.1:\d+\/path got no answer, tried \d+ times in .* s: .*ECONNRESET/,
    );
    expect(error.message).not.toContain('secret');
    expect(error.hint).toContain(url.host);
    expect(error.cause).toBeInstanceOf(Error);
  });

  it('is counted from the first failure: a try that took longer than all of it is followed by another', async () => {
    const pass = fakeClock();
    const { seen, url } = await answering((...exchanged) => {
      pass(FAST.budget * 2);
      return status(503)(...exchanged);
    }, fine);
    expect((await transport().request(get(url))).status).toBe(200);
    expect(seen).toHaveLength(2);
  });

  it('is counted from the first failure, and not from the last', async () => {
    const pass = fakeClock();
    const slow: Handler = (...exchanged) => {
      pass(FAST.budget * 0.6);
      return status(503)(...exchanged);
    };
    const { seen, url } = await answering(slow);
    expect((await transport().request(get(url))).status).toBe(503);
    expect(seen).toHaveLength(3);
  });

  it('is not counted while a request waits for its place', async () => {
    const pass = fakeClock();
    const held: ServerResponse[] = [];
    const { seen, url } = await answering(
      (_, response) => void held.push(response),
      (_, response) => {
        pass(FAST.budget * 2);
        for (const each of [...held, response]) each.end();
      },
      status(503),
      fine,
    );
    const client = transport({ socketsPerHost: 2 });
    const answers = await Promise.all([1, 2, 3].map(() => client.request(get(url))));
    expect(answers.map(answer => answer.status)).toEqual([200, 200, 200]);
    expect(seen).toHaveLength(4);
  });

  it('of nothing still allows one try', async () => {
    const { seen, url } = await answering(status(503));
    await transport({ retry: { budget: 0, base: 1, longest: 1 } }).request(get(url));
    expect(seen).toHaveLength(1);
  });

  it('names who refuses the connection', async () => {
    const server = await serve(() => {});
    await server.close();
    const url = new URL(server.url.replace('127.0.0.1', 'localhost'));
    const error = await failureOf(() =>
      transport({ retry: { budget: 5, base: 1, longest: 1 } }).request(get(url)),
    );
    expect(error.message).toContain('ECONNREFUSED');
  });
});

describe('a fault that will not pass', () => {
  it('is not tried again: a name that does not exist', async () => {
    const retries: string[] = [];
    const client = transport({ onRetry: message => retries.push(message) });
    const error = await failureOf(() => client.request(get(new URL('http://no-such-host.invalid/'))));
    expect(error.code).toBe('service-unreachable');
    expect(error.message).toContain('tried once');
    // A resolver that cannot be asked is another matter.
    if (!error.message.includes('EAI_AGAIN')) expect(retries).toEqual([]);
  });
});

describe('what only the caller takes for passing', () => {
  it('is waited for from when it comes first, however long the server was ill before', async () => {
    const pass = fakeClock();
    const { url } = await answering(
      status(503),
      (...exchanged) => {
        pass(40_000);
        return status(503)(...exchanged);
      },
      status(404),
      fine,
    );
    const retry = { budget: 60_000, base: 1, longest: 1 };
    const alsoTransient = ({ status: code }: HttpResponse): boolean => code === 404;
    expect((await transport({ retry }).request({ ...get(url), alsoTransient })).status).toBe(200);
  });

  it('is not waited for as long as a fault of the server', async () => {
    const lagging = { alsoTransient: () => true };
    // The server wants 31 s; within a budget of minutes that is waited for only where a server is at fault.
    const { seen, url } = await answering(status(404, { 'retry-after': '31' }), fine);
    const patient = transport({ retry: { budget: 120_000, base: 1, longest: 5 } });
    expect((await patient.request({ ...get(url), ...lagging })).status).toBe(404);
    expect(seen).toHaveLength(1);
  });
});

describe('a transport', () => {
  it('leaves no timer behind its answers', async () => {
    const { url } = await answering(status(503), fine);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const client = transport();
    await client.request(get(url));
    await vi.waitUntil(() => vi.getTimerCount() === 0);
  });
});

describe('a transport that was closed', () => {
  it('leaves no connection open, and opens none', async () => {
    const sockets: Socket[] = [];
    const server = createServer((_, response) => response.end()).on('connection', socket =>
      sockets.push(socket),
    );
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const closing = transport();
    await closing.request(get(url));
    closing.close();
    for (const socket of sockets) if (!socket.closed) await once(socket, 'close');
    await expect(closing.request(get(url))).rejects.toThrow(/abort/i);
    await transport().request(get(url));
    expect(sockets).toHaveLength(2);
  });

  it('ends what waits for its next try, and sends nothing any more', async () => {
    const closing = transport({ retry: { budget: 120_000, base: 60_000, longest: 60_000 } });
    const { seen, url } = await answering((_request, response) => {
      response.writeHead(503, { 'retry-after': '60' }).end();
      response.on('finish', () => closing.close());
    });
    await expect(closing.request(get(url))).rejects.toThrow(/abort/i);
    await expect(closing.request(get(url))).rejects.toThrow(/abort/i);
    expect(seen).toHaveLength(1);
  });

  it('ends what is under way', async () => {
    const closing = transport();
    const { url } = await answering(() => closing.close());
    await expect(closing.request(get(url))).rejects.toThrow(/abort/i);
  });
});
