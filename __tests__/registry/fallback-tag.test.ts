import { describe, expect, it } from 'vitest';
import { startFaultProxy } from '../../lab/parts/fault-proxy.ts';
import { sendJson, serve } from '../../lab/parts/http.ts';
import { listReferrers, pushReferrer } from '../../src/registry/referrers.ts';
import { clientOf, failureOf, opened, SHORT } from '../servers/clients.ts';
import { made, storeManifest, TYPES } from '../servers/images.ts';
import { ARTIFACT, readFallback, referrer, setUp, writeFallback } from '../servers/referrers.ts';
import type { Answer } from '../servers/registry.ts';

describe('a registry without the referrers API', () => {
  it('lists what was pushed by the fallback tag', async () => {
    const { contents, subject, tag, client } = await setUp();
    const { content, annotations } = referrer(subject, 1);
    await pushReferrer(client, content, subject.digest, { artifactType: ARTIFACT, annotations });
    expect([...contents.tags.keys()]).toEqual([tag]);
    const entry = {
      mediaType: TYPES.manifest,
      digest: content.digest,
      size: content.bytes.length,
      artifactType: ARTIFACT,
      annotations,
    };
    expect(readFallback(contents, tag)).toEqual({
      schemaVersion: 2,
      mediaType: TYPES.index,
      manifests: [entry],
    });
    expect(await listReferrers(client, subject.digest)).toEqual([entry]);
  });

  it.each([404, 400, 405])('is known by %d', async status => {
    const { registry, subject, client } = await setUp();
    registry.on({ path: /referrers/, answer: (_, response) => sendJson(response, status, {}) });
    expect(await listReferrers(client, subject.digest)).toEqual([]);
    expect(registry.count('GET', /manifests\/sha256-/)).toBe(1);
  });

  it('is asked for it once', async () => {
    const { registry, subject, client } = await setUp();
    for (let time = 1; time <= 3; time++) await listReferrers(client, subject.digest);
    expect(registry.count('GET', /referrers/)).toBe(1);
  });

  it.each([
    ['the write fails', 503, 'TOOMANYREQUESTS'],
    ['its parts are not seen yet', 404, 'MANIFEST_BLOB_UNKNOWN'],
  ])('keeps what others write into the fallback tag while %s', async (_, status, code) => {
    const { registry, contents, subject, tag, client } = await setUp();
    const foreign = referrer(subject, 7).content;
    storeManifest(contents, made(TYPES.manifest, Buffer.from(foreign.bytes).toString()));
    registry.on({
      method: 'PUT',
      path: new RegExp(`/manifests/${tag}$`),
      times: 1,
      answer: (_request, response) => {
        const theirs = { mediaType: TYPES.manifest, digest: foreign.digest, size: foreign.bytes.length };
        writeFallback(contents, tag, { schemaVersion: 2, mediaType: TYPES.index, manifests: [theirs] });
        sendJson(response, status, { errors: [{ code }] });
      },
    });
    const { content } = referrer(subject, 1);
    await pushReferrer(client, content, subject.digest, { artifactType: ARTIFACT });
    const digests = readFallback(contents, tag).manifests.map(({ digest }: { digest: string }) => digest);
    expect(digests).toEqual([foreign.digest, content.digest]);
  });

  it('keeps what others wrote into the fallback tag, also what we do not know', async () => {
    const { contents, subject, tag, client } = await setUp();
    const foreign = referrer(subject, 7).content;
    storeManifest(contents, made(TYPES.manifest, Buffer.from(foreign.bytes).toString()));
    const theirs = {
      mediaType: TYPES.manifest,
      digest: foreign.digest,
      size: foreign.bytes.length,
      'com.example.field': [1],
      urls: ['u'],
    };
    const document = {
      schemaVersion: 2,
      mediaType: TYPES.index,
      manifests: [theirs],
      annotations: { by: 'them' },
      extra: true,
    };
    writeFallback(contents, tag, document);
    const { content } = referrer(subject, 1);
    await pushReferrer(client, content, subject.digest, { artifactType: ARTIFACT });
    const written = readFallback(contents, tag);
    expect(written).toMatchObject({ annotations: { by: 'them' }, extra: true });
    expect(written.manifests[0]).toEqual(theirs);
    expect(written.manifests[1].digest).toBe(content.digest);
  });

  it('keeps all that is added at the same time, each once', async () => {
    const { contents, subject, tag, client, registry } = await setUp();
    const all = Array.from({ length: 12 }, (_, number) => referrer(subject, number).content);
    const other = clientOf(registry);
    await Promise.all(
      all.map((content, number) => pushReferrer(number % 2 ? client : other, content, subject.digest, {})),
    );
    const digests = readFallback(contents, tag).manifests.map(({ digest }: { digest: string }) => digest);
    expect(digests.sort()).toEqual(all.map(({ digest }) => digest).sort());
  });

  it('gets an entry again that somebody else overwrote', async () => {
    const { registry, contents, subject, tag, client } = await setUp();
    const foreign = made(TYPES.manifest, Buffer.from(referrer(subject, 7).content.bytes).toString());
    storeManifest(contents, foreign);
    registry.on({
      method: 'PUT',
      path: /manifests\/sha256-/,
      times: 1,
      // Their writing comes right after ours, and knows nothing of it.
      answer: (_, response) => {
        writeFallback(contents, tag, {
          schemaVersion: 2,
          mediaType: TYPES.index,
          manifests: [foreign.descriptor],
        });
        response.writeHead(201).end();
      },
    });
    const { content } = referrer(subject, 1);
    await pushReferrer(client, content, subject.digest, {});
    const digests = readFallback(contents, tag).manifests.map(({ digest }: { digest: string }) => digest);
    expect(digests).toEqual([foreign.descriptor.digest, content.digest]);
  });

  it('that shows late what was written to the fallback tag is waited for: a new tag', async () => {
    const { registry, contents, subject, tag, client } = await setUp();
    const { content } = referrer(subject, 1);
    let late = 0;
    registry.on({
      method: 'GET',
      path: /manifests\/sha256-/,
      answer: (_, response) => {
        if (contents.tags.has(tag) && late++ < 6) sendJson(response, 404, {});
      },
    });
    await pushReferrer(client, content, subject.digest, {});
    expect(late).toBeGreaterThan(6);
    expect(registry.count('PUT', /manifests\/sha256-/)).toBe(1);
  });

  it('that shows late what was written to the fallback tag is waited for: a tag that was there', async () => {
    const { registry, contents, subject, tag, client } = await setUp();
    const [first, second] = [referrer(subject, 1).content, referrer(subject, 2).content];
    await pushReferrer(client, first, subject.digest, {});
    const old = contents.manifests.get(contents.tags.get(tag) ?? '');
    let late = 0;
    registry.on({
      method: 'GET',
      path: /manifests\/sha256-/,
      answer: (_, response) => {
        if (readFallback(contents, tag).manifests.length > 1 && late++ < 6)
          response.writeHead(200, { 'content-type': old?.mediaType }).end(old?.bytes);
      },
    });
    await pushReferrer(client, second, subject.digest, {});
    const digests = readFallback(contents, tag).manifests.map(({ digest }: { digest: string }) => digest);
    expect(digests).toEqual([first.digest, second.digest]);
    expect(registry.count('PUT', /manifests\/sha256-/)).toBe(2);
  });

  it('that never keeps the entry is an error', async () => {
    const { registry, subject } = await setUp();
    registry.on({
      method: 'PUT',
      path: /manifests\/sha256-/,
      answer: (_, response) => void response.writeHead(201).end(),
    });
    const client = clientOf(registry, 'acme/app', SHORT);
    const error = await failureOf(() =>
      pushReferrer(client, referrer(subject, 1).content, subject.digest, {}),
    );
    expect(error.code).toBe('registry-refused');
    expect(error.message).toContain('fallback tag');
    expect(registry.count('PUT', /manifests\/sha256-/)).toBe(1);
  });

  it('whose entry somebody else always overwrites is an error', async () => {
    const { registry, contents, subject, tag, client } = await setUp();
    let number = 10;
    registry.on({
      method: 'PUT',
      path: /manifests\/sha256-/,
      answer: (_, response) => {
        writeFallback(contents, tag, {
          schemaVersion: 2,
          manifests: [],
          annotations: { n: String(number++) },
        });
        response.writeHead(201).end();
      },
    });
    const error = await failureOf(() =>
      pushReferrer(client, referrer(subject, 1).content, subject.digest, {}),
    );
    expect(error.message).toContain('written 5 times');
  });

  it('is known by a page for people, here or elsewhere', async () => {
    let strangers = 0;
    const elsewhere = await opened(
      serve((_, response) => {
        strangers++;
        response.writeHead(403).end('who are you?');
      }),
    );
    const pages: Answer[] = [
      (_, response) =>
        void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<p>'),
      (_, response) => void response.writeHead(302, { location: `${elsewhere.url}/referrers/signin` }).end(),
    ];
    for (const page of pages) {
      const { registry, subject, client } = await setUp();
      registry.on({ path: /referrers/, answer: page });
      expect(await listReferrers(client, subject.digest)).toEqual([]);
      expect(client.referrersApi.isMissing).toBe(true);
    }
    expect(strangers).toBe(0);
  });

  it('does not get the same entry twice', async () => {
    const { contents, subject, tag, client } = await setUp();
    const { content } = referrer(subject, 1);
    await pushReferrer(client, content, subject.digest, {});
    await pushReferrer(client, content, subject.digest, {});
    expect(readFallback(contents, tag).manifests).toHaveLength(1);
  });

  it('with an illegible fallback tag is an error and is not overwritten', async () => {
    const { contents, subject, tag, client } = await setUp();
    writeFallback(contents, tag, { schemaVersion: 2, manifests: 'none' });
    const before = contents.tags.get(tag);
    expect((await failureOf(() => listReferrers(client, subject.digest))).code).toBe('invalid-document');
    await failureOf(() => pushReferrer(client, referrer(subject, 1).content, subject.digest, {}));
    expect(contents.tags.get(tag)).toBe(before);
  });

  it('that fails at the fallback tag is an error and never "none"', async () => {
    const { registry, subject } = await setUp();
    registry.on({ path: /manifests\/sha256-/, answer: (_, response) => sendJson(response, 500, {}) });
    const error = await failureOf(() => listReferrers(clientOf(registry, 'acme/app', SHORT), subject.digest));
    expect(error.code).toBe('registry-unavailable');
  });

  it('gets its entry through a broken connection', async () => {
    const { registry, contents, subject, tag } = await setUp();
    const proxy = await opened(startFaultProxy({ target: registry.url }));
    proxy.fail({ method: 'PUT', on: n => n % 2 === 1, action: { reset: 'after' } });
    const { content } = referrer(subject, 1);
    await pushReferrer(clientOf(proxy), content, subject.digest, {});
    expect(readFallback(contents, tag).manifests).toHaveLength(1);
  });
});

it('what others wrote into the fallback tag stays, byte for byte', async () => {
  const { contents, subject, tag, client } = await setUp();
  const theirs = `{"schemaVersion":2, "mediaType":"${TYPES.index}",\n  "n":12345678901234567890,"x":1.0,"s":"\\u003c",\n  "manifests": [ ]\n}`;
  const stored = made(TYPES.index, theirs);
  storeManifest(contents, stored);
  contents.tags.set(tag, stored.descriptor.digest);
  const { content } = referrer(subject, 1);
  await pushReferrer(client, content, subject.digest, { artifactType: ARTIFACT });
  const text = contents.manifests.get(contents.tags.get(tag) ?? '')?.bytes.toString() ?? '';
  const [before = '', after = ''] = text.split(/\{"mediaType":"[^"]*manifest.v1\+json".*\}(?=\s*\])/s);
  expect(`${before}${after}`.replace(/\s/g, '')).toBe(theirs.replace(/\s/g, ''));
  expect(text).toContain('12345678901234567890,"x":1.0,"s":"\\u003c"');
});
