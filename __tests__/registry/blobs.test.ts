import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startFaultProxy } from '../../lab/parts/fault-proxy.ts';
import { serve } from '../../lab/parts/http.ts';
import { clientOf, FAST, failureOf, opened, SHORT } from '../servers/clients.ts';
import { type Answer, sha256 } from '../servers/registry.ts';

import { answer, setUp } from '../servers/repository.ts';

describe('reading a blob', () => {
  it('gives its bytes', async () => {
    const { client, image } = await setUp();
    expect(await client.getBlob(image.config.descriptor)).toEqual(image.config.bytes);
  });

  it.each([
    ['shorter', '{}'],
    ['other', 'x'.repeat(60)],
  ])('refuses %s bytes than its descriptor names', async (_, body) => {
    const { contents, client, image } = await setUp();
    const { digest, size } = image.config.descriptor;
    contents.blobs.set(digest, Buffer.from(body.slice(0, size)));
    expect((await failureOf(() => client.getBlob({ digest, size }))).code).toBe('digest-mismatch');
  });

  it('refuses one that is longer than its descriptor says, although its digest is right', async () => {
    const { client, image } = await setUp();
    const { digest, size } = image.config.descriptor;
    await failureOf(() => client.getBlob({ digest, size: size - 1 }));
    expect((await failureOf(() => client.getBlob({ digest, size: size + 1 }))).code).toBe('digest-mismatch');
  });

  it('follows the registry to its storage, without the token', async () => {
    const { registry, client, image } = await setUp();
    const storage = await opened(
      serve((request, response) => void response.end(request.headers.authorization ?? image.config.bytes)),
    );
    const redirect: Answer = (_, response) =>
      void response.writeHead(307, { location: `${storage.url}/blob` }).end();
    registry.on({ path: /blobs/, answer: redirect });
    expect(await client.getBlob(image.config.descriptor)).toEqual(image.config.bytes);
  });

  it('that breaks off is repeated', async () => {
    const { registry, image } = await setUp();
    const proxy = await opened(startFaultProxy({ target: registry.url }));
    proxy.fail({ path: /blobs/, on: 1, action: { truncate: 5 } });
    expect(await clientOf(proxy).getBlob(image.config.descriptor)).toEqual(image.config.bytes);
    expect(proxy.log).toHaveLength(2);
  });
});

describe('uploading a blob', () => {
  const bytes = Buffer.from('some bytes');

  it('stores it once: what is there is not sent again', async () => {
    const { registry, contents, client } = await setUp();
    const descriptor = { digest: sha256(bytes), size: bytes.length };
    expect(await client.putBlob(bytes)).toEqual(descriptor);
    expect(contents.blobs.get(descriptor.digest)).toEqual(bytes);
    expect(await client.putBlob(bytes)).toEqual(descriptor);
    expect(registry.count('PUT', /./)).toBe(1);
  });

  it.each([
    ['relative', (path: string) => path],
    ['relative with its own query', (path: string) => `${path}?_state=a%2Bb%3D%26c&n=1`],
    ['absolute', (path: string, host: string) => `http://${host}${path}`],
    [
      'absolute with its own query',
      (path: string, host: string) => `http://${host}${path}?_state=a%2Bb%3D%26c&n=1`,
    ],
  ])('follows a location that is %s', async (_, location) => {
    const options = {
      location: (path: string, { headers }: { headers: { host?: string | undefined } }) =>
        location(path, headers.host ?? ''),
    };
    const { registry, client, contents } = await setUp(options);
    await client.putBlob(bytes);
    expect(contents.blobs.get(sha256(bytes))).toEqual(bytes);
    const sent = new URL(registry.log.at(-1)?.path ?? '', 'http://registry').searchParams;
    expect(sent.get('digest')).toBe(sha256(bytes));
    expect(sent.get('_state')).toBe(location('', '').includes('_state') ? 'a+b=&c' : null);
  });

  it.each([['before'], ['after']] as const)(
    'succeeds when the connection breaks %s the registry has taken it',
    async moment => {
      const { registry, contents } = await setUp();
      const proxy = await opened(startFaultProxy({ target: registry.url }));
      proxy.fail({ method: 'PUT', on: 1, action: { reset: moment } });
      await clientOf(proxy).putBlob(bytes);
      expect(contents.blobs.get(sha256(bytes))).toEqual(bytes);
    },
  );

  it('succeeds when the session is lost between its start and its end', async () => {
    const { registry, contents, client } = await setUp();
    registry.on({ method: 'PUT', times: 1, answer: answer(404, 'BLOB_UPLOAD_UNKNOWN') });
    await client.putBlob(bytes);
    expect(contents.blobs.get(sha256(bytes))).toEqual(bytes);
  });

  it.each<[string, Answer]>([
    ['ends with 500', answer(500, 'UNKNOWN')],
    ['ends with 503', answer(503, 'UNAVAILABLE')],
    ['wants other bytes', answer(416, 'BLOB_UPLOAD_INVALID')],
    ['does not know its bytes', answer(400, 'DIGEST_INVALID')],
    [
      'breaks',
      (_, response) => {
        response.socket?.resetAndDestroy();
        response.destroy();
      },
    ],
  ])('begins a new session when one %s, and leaves the old one alone', async (_, fault) => {
    const { registry, contents, client } = await setUp();
    registry.on({ method: 'PUT', times: 3, answer: fault });
    await client.putBlob(bytes, true);
    expect(contents.blobs.get(sha256(bytes))).toEqual(bytes);
    const sessions = registry.log.filter(({ method }) => method === 'PUT').map(({ path }) => path);
    expect(new Set(sessions).size).toBe(4);
  });

  it('looks whether a session that broke has left the blob behind, before it sends it again', async () => {
    const { registry } = await setUp();
    const proxy = await opened(startFaultProxy({ target: registry.url }));
    proxy.fail({ method: 'PUT', on: 1, action: { reset: 'after' } });
    await clientOf(proxy).putBlob(bytes, true);
    expect(registry.log.map(({ method }) => method)).toEqual(['POST', 'PUT', 'HEAD']);
  });

  it('is tried in new sessions for as long as a request is tried, and then given up', async () => {
    const { registry } = await setUp();
    registry.on({ method: 'PUT', answer: answer(503, 'UNAVAILABLE') });
    const error = await failureOf(() => clientOf(registry, 'acme/app', SHORT).putBlob(bytes));
    expect(error.code).toBe('registry-unavailable');
    expect(error.message).toContain(sha256(bytes));
    expect(error.message).toMatch(/broke off (?:once|\d+ times in .* s)\. The last time: /);
    expect(error.message).toContain('the registry answered 503 UNAVAILABLE: unavailable.');
    expect(error.cause).toMatchObject({ code: 'registry-unavailable' });
  });

  it('is given up with the last fault where no session is ever answered', async () => {
    const { registry } = await setUp();
    const proxy = await opened(startFaultProxy({ target: registry.url }));
    proxy.fail({ method: 'PUT', action: { reset: 'before' } });
    const error = await failureOf(() => clientOf(proxy, 'acme/app', SHORT).putBlob(bytes));
    expect(error.code).toBe('service-unreachable');
    expect(error.hint).toContain('can be reached from this runner');
    expect(error.message).toMatch(/The last time: PUT .* got no answer, tried once in .*ECONNRESET/);
    expect(error.cause).toMatchObject({ code: 'service-unreachable' });
  });

  it('is given up as the last session ended: a rate limit is called one', async () => {
    const { registry } = await setUp();
    registry.on({ method: 'PUT', times: 1, answer: answer(503, 'UNAVAILABLE') });
    registry.on({ method: 'PUT', answer: answer(429, 'TOOMANYREQUESTS') });
    const error = await failureOf(() => clientOf(registry, 'acme/app', SHORT).putBlob(bytes));
    expect(error.code).toBe('registry-rate-limited');
    expect(error.hint).toContain('limits requests');
    expect(error.message).toContain('429 TOOMANYREQUESTS');
  });

  it('that took longer than the budget before it broke has another session', async () => {
    const { registry, contents, client } = await setUp();
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    registry.on({
      method: 'PUT',
      times: 1,
      answer: (seen, response) => {
        vi.advanceTimersByTime(FAST.budget * 2);
        return answer(503, 'UNAVAILABLE')(seen, response);
      },
    });
    await client.putBlob(bytes, true);
    expect(contents.blobs.has(sha256(bytes))).toBe(true);
    expect(registry.count('PUT', /./)).toBe(2);
  });

  it('is refused by a registry that sends a session elsewhere, as its bytes are given once', async () => {
    const { registry, client } = await setUp();
    registry.on({
      method: 'PUT',
      answer: (_, response) => void response.writeHead(307, { location: '/elsewhere' }).end(),
    });
    const error = await failureOf(() => client.putBlob(bytes));
    expect(error.code).toBe('registry-refused');
    expect(error.message).toContain('answered 307');
    expect(registry.count('PUT', /./)).toBe(1);
  });

  it('is not given up for a fault that lasts longer than a few sessions', async () => {
    const { registry, contents, client } = await setUp();
    registry.on({ method: 'PUT', times: 12, answer: answer(503, 'UNAVAILABLE') });
    await client.putBlob(bytes);
    expect(contents.blobs.has(sha256(bytes))).toBe(true);
  });

  it('is given up when every session is said to be over', async () => {
    const { registry, client } = await setUp();
    registry.on({ method: 'PUT', answer: answer(404, 'BLOB_UPLOAD_UNKNOWN') });
    expect((await failureOf(() => client.putBlob(bytes))).code).toBe('registry-not-found');
    expect(registry.count('PUT', /./)).toBe(5);
  });

  it('stores no bytes too', async () => {
    const { contents, client } = await setUp();
    await client.putBlob(Buffer.alloc(0));
    expect(contents.blobs.has(sha256(Buffer.alloc(0)))).toBe(true);
  });

  it.each([
    ['POST', 'Starting an upload'],
    ['PUT', 'Uploading the blob'],
  ])('says what it was doing when %s is refused', async (method, doing) => {
    const { registry, client } = await setUp();
    registry.on({ method, answer: answer(403, 'DENIED') });
    const error = await failureOf(() => client.putBlob(bytes));
    expect(error.code).toBe('registry-forbidden');
    expect(error.message).toContain(doing);
  });

  it('to a registry that opens a session without an address is an error', async () => {
    const { registry, client } = await setUp();
    registry.on({ method: 'POST', answer: (_, response) => void response.writeHead(202).end() });
    expect((await failureOf(() => client.putBlob(bytes))).code).toBe('registry-refused');
  });
});
