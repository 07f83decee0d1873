import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { type Endpoint, readBody, requestUrl, serve } from './http.ts';

let server: Endpoint;
let proxy: FaultProxy;
let served: string[];

beforeEach(async () => {
  served = [];
  server = await serve(async (request, response) => {
    const body = await readBody(request);
    served.push(`${request.method} ${request.url} ${body}`);
    response.writeHead(200, {
      location: `${server.url}/absolute`,
      'x-mine': requestUrl(request).host,
      'content-length': 10,
    });
    response.end('0123456789');
  });
  proxy = await startFaultProxy({ target: server.url });
});
afterEach(() => Promise.all([proxy.close(), server.close()]));

test('what no rule meets passes unchanged, and leads back to the proxy', async () => {
  const response = await fetch(`${proxy.url}/v2/x?y=1`, { method: 'PUT', body: 'bytes' });
  expect(await response.text()).toBe('0123456789');
  expect(response.headers.get('x-mine')).toBe(proxy.host);
  expect(response.headers.get('location')).toBe(`${proxy.url}/absolute`);
  expect(served).toEqual(['PUT /v2/x?y=1 bytes']);
  expect(proxy.log).toMatchObject([{ method: 'PUT', path: '/v2/x?y=1', status: 200 }]);
});

test('the n-th match of a rule is answered, and only that', async () => {
  const action = { status: 429, headers: { 'retry-after': '1' }, body: 'slow down' };
  const rule = proxy.fail({ method: 'GET', path: /manifests/, on: 2, action });
  const statuses = [];
  for (const path of ['/a', '/manifests/1', '/manifests/2', '/manifests/3']) {
    statuses.push((await fetch(proxy.url + path)).status);
  }
  expect(statuses).toEqual([200, 200, 429, 200]);
  expect(rule).toMatchObject({ matched: 3, applied: 1 });
  expect(served).toHaveLength(3);
  expect(proxy.count({ path: /manifests/ })).toBe(3);
});

test('a reset before the server leaves it untouched, one after does not', async () => {
  const before = proxy.fail({ action: { reset: 'before' } });
  await expect(fetch(proxy.url)).rejects.toThrow(/fetch failed|aborted/);
  expect(served).toHaveLength(0);
  before.remove();
  proxy.fail({ action: { reset: 'after' } });
  await expect(fetch(proxy.url)).rejects.toThrow(/fetch failed|aborted/);
  expect(served).toHaveLength(1);
});

test('a truncated body ends early and is noticed', async () => {
  proxy.fail({ action: { truncate: 4 } });
  await expect(fetch(proxy.url).then(response => response.text())).rejects.toThrow(
    /terminated|aborted|reset|closed/,
  );
});

test('headers are changed and removed, bodies are rewritten', async () => {
  proxy.fail({ on: 1, action: { headers: { 'X-Mine': 'theirs', location: undefined } } });
  proxy.fail({ on: [2], action: { rewrite: body => Buffer.from(`${body}!`) } });
  const response = await fetch(proxy.url);
  expect(response.headers.get('x-mine')).toBe('theirs');
  expect(response.headers.get('location')).toBeNull();
  expect(await (await fetch(proxy.url)).text()).toBe('0123456789!');
});

test('a dropped answer never comes, though the server has done the work', async () => {
  proxy.fail({ action: { drop: true } });
  const abort = new AbortController();
  const asked = fetch(proxy.url, { signal: abort.signal });
  await vi.waitFor(() => expect(served).toHaveLength(1));
  abort.abort();
  await expect(asked).rejects.toThrow(/fetch failed|aborted/);
});

test('a held request has arrived, but not at the server, until it is released', async () => {
  const hold = proxy.hold(2, { method: 'PUT' });
  await fetch(proxy.url, { method: 'PUT' });
  const second = fetch(proxy.url, { method: 'PUT', body: 'second' });
  expect(await hold.arrived).toMatchObject({ method: 'PUT', status: undefined });
  expect(served).toHaveLength(1);
  hold.release();
  expect((await second).status).toBe(200);
  expect(served).toHaveLength(2);
});

test('a held request that is discarded never happens', async () => {
  const hold = proxy.hold(1);
  const asked = fetch(proxy.url);
  await hold.arrived;
  hold.discard();
  await expect(asked).rejects.toThrow(/fetch failed|aborted/);
  expect(served).toHaveLength(0);
});

test('chances repeat with their seed', async () => {
  const statuses = async (): Promise<number[]> => {
    const seeded = await startFaultProxy({ target: server.url, seed: 7 });
    seeded.fail({ probability: 0.5, action: { status: 503 } });
    const found: number[] = [];
    for (let n = 0; n < 20; n++) found.push((await fetch(seeded.url)).status);
    await seeded.close();
    return found;
  };
  const first = await statuses();
  expect(new Set(first)).toEqual(new Set([200, 503]));
  expect(await statuses()).toEqual(first);
});

test('a server that is gone is a 502', async () => {
  await server.close();
  expect((await fetch(proxy.url)).status).toBe(502);
});
