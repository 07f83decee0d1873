import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { startFaultProxy } from '../../lab/parts/fault-proxy.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { manifestContent } from '../../src/oci/manifest.ts';
import { clientOf, failureOf, opened, SHORT } from '../servers/clients.ts';
import { made, TYPES } from '../servers/images.ts';
import { sha256 } from '../servers/registry.ts';

import { answer, setUp } from '../servers/repository.ts';

describe('reading a manifest', () => {
  it('gives its bytes, type and digest, by digest and by tag', async () => {
    const { contents, image, client } = await setUp();
    const { bytes, descriptor } = image.root;
    contents.tags.set('1.0', descriptor.digest);
    const expected = { bytes, mediaType: TYPES.index, digest: descriptor.digest };
    expect(await client.getManifest(descriptor.digest)).toEqual(expected);
    expect(await client.getManifest('1.0')).toEqual(expected);
  });

  it('asks for all kinds of manifests and indexes', async () => {
    const { registry, client } = await setUp();
    await client.findManifest('1.0');
    expect(registry.log[0]?.headers.accept?.split(', ')).toEqual(
      expect.arrayContaining([TYPES.index, TYPES.manifest, TYPES.dockerManifest]),
    );
  });

  it('takes the media type without its parameters', async () => {
    const { registry, image, client } = await setUp();
    const type = `${TYPES.index}; charset=utf-8`;
    registry.on({
      answer: (_, response) => void response.writeHead(200, { 'content-type': type }).end(image.root.bytes),
    });
    expect((await client.getManifest(image.root.descriptor.digest)).mediaType).toBe(TYPES.index);
  });

  it('refuses bytes of another digest, whatever the header says', async () => {
    const { registry, image, client } = await setUp();
    const { digest } = image.root.descriptor;
    const headers = { 'docker-content-digest': digest, 'content-type': TYPES.index };
    registry.on({ answer: (_, response) => void response.writeHead(200, headers).end('{"other":1}') });
    const error = await failureOf(() => client.getManifest(digest));
    expect(error.code).toBe('digest-mismatch');
    expect(error.message).toContain(digest);
    expect(error.message).toContain(sha256(Buffer.from('{"other":1}')));
  });

  it('refuses bytes of another digest where there is no header', async () => {
    const { registry, image, client } = await setUp();
    registry.on({ answer: (_, response) => void response.end('{"other":1}') });
    const error = await failureOf(() => client.getManifest(image.root.descriptor.digest));
    expect(error.code).toBe('digest-mismatch');
  });

  it('refuses a header that names another digest than the bytes have', async () => {
    const { registry, contents, image, client } = await setUp();
    contents.tags.set('1.0', image.root.descriptor.digest);
    const headers = { 'docker-content-digest': `sha256:${'0'.repeat(64)}` };
    registry.on({ answer: (_, response) => void response.writeHead(200, headers).end(image.root.bytes) });
    expect((await failureOf(() => client.getManifest('1.0'))).code).toBe('digest-mismatch');
  });

  describe('whose registry states its digest by another algorithm', () => {
    const stating = async (of: (bytes: Buffer) => string) => {
      const { registry, contents, image, client } = await setUp();
      contents.tags.set('1.0', image.root.descriptor.digest);
      const headers = { 'docker-content-digest': of(image.root.bytes), 'content-type': TYPES.index };
      registry.on({
        answer: ({ method }, response) =>
          void response.writeHead(200, headers).end(method === 'HEAD' ? undefined : image.root.bytes),
      });
      return { client, digest: image.root.descriptor.digest };
    };
    const sha512 = (bytes: Buffer) => `sha512:${createHash('sha512').update(bytes).digest('hex')}`;

    it.each([
      ['sha512', sha512],
      ['one that is not registered', () => 'multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8'],
    ])('takes the bytes, which keep their sha256: %s', async (_, of) => {
      const { client, digest } = await stating(of);
      expect((await client.getManifest('1.0')).digest).toBe(digest);
      expect((await client.getManifest(digest)).digest).toBe(digest);
      expect((await client.headManifest('1.0'))?.digest).toBe(digest);
    });

    it.each([
      ['a sha512 of other bytes', () => sha512(Buffer.from('other'))],
      ['a sha512 that is none', () => 'sha512:0'],
      ['a sha256 in other letters', (bytes: Buffer) => sha256(bytes).toUpperCase()],
      ['no digest', () => 'what'],
    ])('refuses %s', async (_, of) => {
      const { client, digest } = await stating(of);
      for (const reference of ['1.0', digest]) {
        const error = await failureOf(() => client.getManifest(reference));
        expect(error.code).toBe('digest-mismatch');
        expect(error.message).toContain(of(Buffer.from('other')).slice(0, 6));
      }
    });
  });

  it('that is not there finds nothing, or says what that means', async () => {
    const { client } = await setUp();
    const digest = digestOf(Buffer.from('absent'));
    expect(await client.findManifest(digest)).toBeUndefined();
    const error = await failureOf(() => client.getManifest(digest));
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toContain(`${client.name}@${digest}`);
  });

  it('that was pushed a moment ago is repeated until the registry shows it', async () => {
    const { registry, image, client } = await setUp();
    registry.on({ times: 3, answer: answer(404, 'MANIFEST_UNKNOWN') });
    const { digest } = image.root.descriptor;
    expect((await client.getManifest(digest, { justPushed: true })).digest).toBe(digest);
    expect(registry.log).toHaveLength(4);
  });

  it('that was pushed some time ago is not repeated', async () => {
    const { registry, image, client } = await setUp();
    registry.on({ times: 1, answer: answer(404, 'MANIFEST_UNKNOWN') });
    expect(await client.findManifest(image.root.descriptor.digest)).toBeUndefined();
  });
});

describe('what a registry says no with', () => {
  it.each([
    [401, 'registry-unauthorized', 'docker/login-action'],
    [403, 'registry-forbidden', 'packages: write'],
    [429, 'registry-rate-limited', 'Wait'],
    [500, 'registry-unavailable', 'later'],
    [400, 'registry-refused', 'answer above'],
  ])('%d is %s, with the remedy and its own words', async (status, code, remedy) => {
    const { registry } = await setUp();
    registry.on({ answer: answer(status, 'THE_CODE') });
    const error = await failureOf(() => clientOf(registry, 'acme/app', SHORT).findManifest('1.0'));
    expect(error.code).toBe(code);
    expect(error.hint).toContain(remedy);
    expect(error.message).toContain(`${status} THE_CODE: the_code`);
    expect(error.message).toContain('/acme/app:1.0');
  });

  it('404 for a blob is registry-not-found', async () => {
    const { client } = await setUp();
    const error = await failureOf(() => client.getBlob({ digest: digestOf(Buffer.from('x')), size: 1 }));
    expect(error.code).toBe('registry-not-found');
  });

  it('403 with the text of a rate limit is registry-rate-limited', async () => {
    const { registry } = await setUp();
    registry.on({ answer: (_, response) => void response.writeHead(403).end('secondary rate limit') });
    const error = await failureOf(() => clientOf(registry, 'acme/app', SHORT).findManifest('1.0'));
    expect(error.code).toBe('registry-rate-limited');
    expect(registry.log.length).toBeGreaterThan(1);
  });

  it.each([
    '<html>\n::error::injected</html>',
    '{"errors":[]}',
    '{"errors":"no"}',
    'null',
    '',
    '{"errors":[{"code":null}]}',
  ])('in the form %j is an error in one line too', async body => {
    const { registry, client } = await setUp();
    registry.on({ answer: (_, response) => void response.writeHead(400).end(body) });
    const error = await failureOf(() => client.findManifest('1.0'));
    expect(error.code).toBe('registry-refused');
    expect(error.message).not.toContain('\n');
  });
});

describe('pushing a manifest', () => {
  it('stores it under its digest without a tag, or under a tag', async () => {
    const { contents, client, image } = await setUp();
    const index = made(TYPES.index, { schemaVersion: 2, manifests: [image.manifest.descriptor] });
    const content = manifestContent(index.bytes, TYPES.index);
    await client.putManifest(content);
    expect(contents.manifests.get(content.digest)).toEqual({ bytes: index.bytes, mediaType: TYPES.index });
    expect([...contents.tags]).toEqual([]);
    await client.putManifest(content, '1.0');
    expect([...contents.tags]).toEqual([['1.0', content.digest]]);
  });

  it('refuses a registry that stores it under another digest', async () => {
    const { registry, client } = await setUp();
    const headers = { 'docker-content-digest': `sha256:${'0'.repeat(64)}` };
    registry.on({ method: 'PUT', answer: (_, response) => void response.writeHead(201, headers).end() });
    const error = await failureOf(() => client.putManifest(manifestContent(Buffer.from('{}'), TYPES.index)));
    expect(error.code).toBe('digest-mismatch');
  });

  it.each([
    ['takes', Buffer.from('{}')],
    ['refuses', Buffer.from('{"other":1}')],
  ])('%s a registry that says by sha512 what it stored', async (judgement, stored) => {
    const { registry, client } = await setUp();
    const headers = {
      'docker-content-digest': `sha512:${createHash('sha512').update(stored).digest('hex')}`,
    };
    registry.on({ method: 'PUT', answer: (_, response) => void response.writeHead(201, headers).end() });
    const push = () => client.putManifest(manifestContent(Buffer.from('{}'), TYPES.index));
    if (judgement === 'takes') expect(await push()).toEqual({ subject: undefined });
    else expect((await failureOf(push)).code).toBe('digest-mismatch');
  });

  describe('whose parts the registry does not see', () => {
    const UNSEEN = [
      [404, 'MANIFEST_BLOB_UNKNOWN'],
      [400, 'BLOB_UNKNOWN'],
      [404, 'MANIFEST_UNKNOWN'],
    ] as const;

    it.each(UNSEEN)('is repeated when they were pushed just now: %d %s', async (status, code) => {
      const { registry, client, image } = await setUp();
      registry.on({ method: 'PUT', path: /manifests/, times: 2, answer: answer(status, code) });
      const content = manifestContent(image.manifest.bytes, TYPES.manifest);
      await client.putManifest(content, content.digest, { justPushed: true });
      expect(registry.count('PUT', /./)).toBe(3);
    });

    it.each(UNSEEN)('is refused at once when they were not: %d %s', async (status, code) => {
      const { registry, client, image } = await setUp();
      registry.on({ method: 'PUT', answer: answer(status, code) });
      const content = manifestContent(image.manifest.bytes, TYPES.manifest);
      expect((await failureOf(() => client.putManifest(content))).message).toContain(code);
      expect(registry.count('PUT', /./)).toBe(1);
    });

    it('is repeated when this client pushed one of them: a blob', async () => {
      const { registry, client, image } = await setUp();
      registry.on({ method: 'PUT', path: /manifests/, times: 1, answer: answer(404, 'BLOB_UNKNOWN') });
      await client.putBlob(image.config.bytes);
      await client.putManifest(manifestContent(image.manifest.bytes, TYPES.manifest));
      expect(registry.count('PUT', /manifests/)).toBe(2);
    });

    it('is repeated when this client pushed one of them: a manifest', async () => {
      const { registry, client, image } = await setUp();
      await client.putManifest(manifestContent(image.manifest.bytes, TYPES.manifest));
      registry.on({ method: 'PUT', times: 1, answer: answer(404, 'MANIFEST_UNKNOWN') });
      await client.putManifest(manifestContent(image.root.bytes, TYPES.index));
      expect(registry.count('PUT', /manifests/)).toBe(3);
    });

    it('is refused at once when the caller knows that they are old', async () => {
      const { registry, client, image } = await setUp();
      await client.putBlob(image.config.bytes);
      registry.on({ method: 'PUT', path: /manifests/, answer: answer(404, 'BLOB_UNKNOWN') });
      const content = manifestContent(image.manifest.bytes, TYPES.manifest);
      await failureOf(() => client.putManifest(content, content.digest, { justPushed: false }));
      expect(registry.count('PUT', /manifests/)).toBe(1);
    });
  });

  it('fails when its parts stay unknown', async () => {
    const { registry } = await setUp();
    const index = made(TYPES.index, {
      schemaVersion: 2,
      manifests: [made(TYPES.manifest, 'absent').descriptor],
    });
    const client = clientOf(registry, 'acme/app', SHORT);
    const content = manifestContent(index.bytes, TYPES.index);
    const error = await failureOf(() => client.putManifest(content, '1.0', { justPushed: true }));
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toContain('MANIFEST_BLOB_UNKNOWN');
    expect(registry.count('PUT', /./)).toBeGreaterThan(1);
  });

  it('is sent again where the registry leads within itself', async () => {
    const { registry, contents, client, image } = await setUp();
    const { digest } = image.manifest.descriptor;
    contents.manifests.delete(digest);
    const location = `/v2/acme/app/manifests/${digest}?moved`;
    registry.on({ times: 1, answer: (_, response) => void response.writeHead(307, { location }).end() });
    await client.putManifest(manifestContent(image.manifest.bytes, TYPES.manifest));
    expect(contents.manifests.get(digest)?.bytes).toEqual(image.manifest.bytes);
  });

  it('that is refused for good is not repeated', async () => {
    const { registry, client, image } = await setUp();
    registry.on({ method: 'PUT', answer: answer(400, 'MANIFEST_INVALID') });
    await failureOf(() => client.putManifest(manifestContent(image.manifest.bytes, TYPES.manifest)));
    expect(registry.count('PUT', /./)).toBe(1);
  });

  it('succeeds when the connection breaks after the registry has taken it', async () => {
    const { registry, contents, image } = await setUp();
    const proxy = await opened(startFaultProxy({ target: registry.url }));
    proxy.fail({ method: 'PUT', on: 1, action: { reset: 'after' } });
    await clientOf(proxy).putManifest(manifestContent(image.manifest.bytes, TYPES.manifest), '1.0');
    expect(contents.tags.get('1.0')).toBe(image.manifest.descriptor.digest);
  });
});
