import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { readBody, serve } from '../../lab/parts/http.ts';
import { HostLimit, type Lane, type Lease } from '../../src/http/host-limit.ts';
import { isStream, type Transport } from '../../src/http/transport.ts';
import { reset, status } from '../servers/answering.ts';
import { opened, transport } from '../servers/clients.ts';

/** A server that holds every request until the test answers it. */
async function holding() {
  const held: ServerResponse[] = [];
  const sockets = new Set<unknown>();
  let arrived = (): void => {};
  const server = await opened(
    serve((request, response) => {
      sockets.add(request.socket);
      if (request.url === '/look') return void response.end();
      held.push(response);
      arrived();
    }),
  );
  const look = transport();
  return {
    url: new URL(server.url),
    held,
    sockets,
    /** Waits for so many, and as long as others take there and back, so that one too many would be here as well. */
    async gathered(count: number): Promise<ServerResponse[]> {
      while (held.length < count)
        await new Promise<void>(resolve => {
          arrived = resolve;
        });
      for (let i = 0; i < 3; i++) await look.request({ method: 'GET', url: new URL('/look', server.url) });
      return held.splice(0);
    },
  };
}

type Holding = Awaited<ReturnType<typeof holding>>;

/** Sends so many requests, and tells how many the host gets at once. */
async function mostAtOnce(client: Transport, host: Holding, expected: number): Promise<number> {
  const all = Array.from({ length: 40 }, () => client.request({ method: 'GET', url: host.url }));
  const first = await host.gathered(expected);
  for (const response of first) response.end();
  for (let answered = first.length; answered < 40; ) {
    const next = await host.gathered(1);
    for (const response of next) response.end();
    answered += next.length;
  }
  await Promise.all(all);
  return first.length;
}

/** Lets one request be refused so often, and then succeed. */
async function refuse(client: Transport, host: Holding, code: number, headers: Record<string, string>) {
  const sent = client.request({ method: 'GET', url: host.url });
  const [refused] = await host.gathered(1);
  refused?.writeHead(code, headers).end();
  const [again] = await host.gathered(1);
  again?.end();
  await sent;
}

describe('the requests that a host gets at a time', () => {
  it('are 24, over as many connections', async () => {
    const host = await holding();
    expect(await mostAtOnce(transport(), host, 24)).toBe(24);
    expect(host.sockets.size).toBeLessThanOrEqual(25); // one of them looks only
  });

  it.each([
    [10, 10],
    [2, 2],
    [1, 2],
  ])('are as many as was said, and at least two: %d is %d', async (socketsPerHost, expected) => {
    const host = await holding();
    expect(await mostAtOnce(transport({ socketsPerHost }), host, expected)).toBe(expected);
  });

  it.each([
    [429, {}],
    [403, { 'retry-after': '0' }],
    [503, { 'retry-after': '0' }],
  ] as const)(
    'are half as many after status %d, and of other hosts as many as before',
    async (code, headers) => {
      const [host, other] = [await holding(), await holding()];
      const client = transport();
      await refuse(client, host, code, headers);
      expect(await mostAtOnce(client, host, 12)).toBe(12);
      expect(await mostAtOnce(client, other, 24)).toBe(24);
    },
  );

  it('stay as many after a fault that says nothing of too many', async () => {
    const host = await holding();
    const client = transport();
    await refuse(client, host, 503, {});
    expect(await mostAtOnce(client, host, 24)).toBe(24);
  });

  it('are halved once, not once for each of many that were refused together', async () => {
    const host = await holding();
    const client = transport();
    const all = Array.from({ length: 24 }, () => client.request({ method: 'GET', url: host.url }));
    for (const response of await host.gathered(24)) response.writeHead(429).end();
    const next = await host.gathered(12);
    expect(next).toHaveLength(12);
    for (const response of next) response.end();
    for (const response of await host.gathered(12)) response.end();
    await Promise.all(all);
  });

  it('are two at the fewest, and grow back slowly with successes', async () => {
    const host = await holding();
    const client = transport();
    const refused = client.request({ method: 'GET', url: host.url });
    for (let i = 0; i < 8; i++) for (const response of await host.gathered(1)) response.writeHead(429).end();
    for (const response of await host.gathered(1)) response.end();
    await refused;
    // That was the first success; one more makes a full round of two.
    const pair = [1, 2, 3].map(() => client.request({ method: 'GET', url: host.url }));
    const first = await host.gathered(2);
    expect(first).toHaveLength(2);
    for (const response of first) response.end();
    for (const response of await host.gathered(1)) response.end();
    await Promise.all(pair);
    expect(await mostAtOnce(client, host, 3)).toBe(3);
    for (let i = 0; i < 10; i++) await mostAtOnce(client, host, 2);
    expect(await mostAtOnce(client, host, 24)).toBe(24);
  });

  it('are given back by those that failed or were destroyed', async () => {
    let failures = 0;
    const server = await opened(
      serve((request, response) => {
        if (failures++ < 6) return reset(request, response);
        return status(200, {}, 'x'.repeat(100_000))(request, response);
      }),
    );
    const client = transport({ socketsPerHost: 2 });
    const url = new URL(server.url);
    for (let i = 0; i < 5; i++) {
      const answer = await client.open({ method: 'GET', url });
      if (isStream(answer)) answer.body.destroy();
    }
    for (let i = 0; i < 5; i++)
      await expect(client.open({ method: 'GET', url, headers: { bad: '\n' } })).rejects.toThrow(/header/i);
    await Promise.all([1, 2, 3].map(() => client.request({ method: 'GET', url })));
  });

  it('are given back by redirects', async () => {
    const moved = status(302, { location: '/there' }, 'x'.repeat(100_000));
    const server = await opened(
      serve((request, response) =>
        request.url === '/there' ? void response.end() : moved(request, response),
      ),
    );
    const client = transport({ socketsPerHost: 2 });
    for (let i = 0; i < 5; i++) await client.request({ method: 'GET', url: new URL(server.url) });
  });

  it('grow by no failure of the server', async () => {
    const limit = new HostLimit(4);
    const lease = await limit.enter('short');
    lease.learn({ status: 429 });
    const next = await limit.enter('short');
    lease.leave();
    for (const outcome of [{ status: 500 }, { status: 502 }, {}]) next.learn(outcome);
    for (let i = 0; i < 5; i++) next.learn({ status: 500 });
    const second = await limit.enter('short');
    let third = false;
    const waiting = limit.enter('short').then(() => {
      third = true;
    });
    await turn();
    expect(third).toBe(false);
    for (const outcome of [{ status: 200 }, { status: 404 }]) second.learn(outcome);
    second.leave();
    await waiting;
  });

  it('let a waiting one fail when the transport is closed', async () => {
    const host = await holding();
    const client = transport({ socketsPerHost: 2 });
    const all = [1, 2, 3, 4, 5, 6].map(() => client.request({ method: 'GET', url: host.url }));
    const failed = Promise.allSettled(all);
    const source = new Readable({ read() {} });
    const body = { size: 1, open: async () => source };
    const upload = client.request({ method: 'PUT', url: host.url, body });
    await host.gathered(2);
    client.close();
    await expect(upload).rejects.toThrow(/abort/i);
    expect((await failed).map(result => result.status)).toEqual(Array(6).fill('rejected'));
    expect(source.destroyed).toBe(true);
    expect(host.held).toEqual([]);
  });
});

describe('copies within one host', () => {
  it.each([2, 3, 24])('all end, though each needs two places of %d', async socketsPerHost => {
    const bytes = Buffer.alloc(300_000, 'layer');
    let refusals = 3;
    const server = await opened(
      serve(async (request, response) => {
        if (request.method === 'GET') return void response.end(bytes);
        const body = await readBody(request);
        response.writeHead(refusals-- > 0 ? 429 : body.equals(bytes) ? 201 : 400).end();
      }),
    );
    const client = transport({ socketsPerHost });
    const url = new URL(server.url);
    const open = async () => {
      await client.request({ method: 'GET', url }); // as a login would be
      const answer = await client.open({ method: 'GET', url });
      if (!isStream(answer)) throw new Error(`status ${answer.status}`);
      return answer.body;
    };
    const copies = Array.from({ length: 60 }, () =>
      client.request({ method: 'PUT', url, body: { size: bytes.length, open } }),
    );
    expect((await Promise.all(copies)).map(answer => answer.status)).toEqual(Array(60).fill(201));
  });

  it('go on when the limit is halved under open downloads', async () => {
    const limit = new HostLimit(24);
    const downloads = await Promise.all(Array.from({ length: 12 }, () => limit.enter('download')));
    for (let i = 0; i < 4; i++) {
      const probe = await limit.enter('upload');
      probe.learn({ status: 429 });
      probe.leave();
    }
    const order: Lane[] = [];
    const then = (lane: Lane) => (lease: Lease) => {
      order.push(lane);
      return lease;
    };
    const short = limit.enter('short').then(then('short'));
    const uploads = downloads.map(download =>
      limit
        .enter('upload')
        .then(then('upload'))
        .then(lease => {
          lease.leave();
          download.leave();
        }),
    );
    await Promise.all(uploads);
    (await short).leave();
    expect(order).toHaveLength(13);
  });
});

describe('a stream', () => {
  it('holds its place until it is read', async () => {
    const server = await opened(serve((_, response) => void response.end('x'.repeat(200_000))));
    const client = transport({ socketsPerHost: 4 });
    const request = { method: 'GET', url: new URL(server.url) } as const;
    const answers = await Promise.all([client.open(request), client.open(request)]);
    let third = false;
    const waiting = client.open(request).then(answer => {
      third = true;
      return answer;
    });
    // Others go on meanwhile.
    for (let i = 0; i < 3; i++) await client.request(request);
    expect(third).toBe(false);
    for (const answer of answers) if (isStream(answer)) await buffer(answer.body);
    const last = await waiting;
    if (isStream(last)) await buffer(last.body);
  });
});
