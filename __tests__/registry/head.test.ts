import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { clientOf, failureOf, SHORT } from '../servers/clients.ts';
import { TYPES } from '../servers/images.ts';
import { sha256 } from '../servers/registry.ts';
import { answer, setUp } from '../servers/repository.ts';

describe('asking for a manifest without its bytes', () => {
  it('gives digest, type and size, by digest and by tag, for one request', async () => {
    const { registry, contents, image, client } = await setUp();
    const { digest, mediaType, size } = image.root.descriptor;
    contents.tags.set('1.0', digest);
    expect(await client.headManifest(digest)).toEqual({ digest, mediaType, size });
    expect(await client.headManifest('1.0')).toEqual({ digest, mediaType, size });
    expect(registry.log.map(({ method }) => method)).toEqual(['HEAD', 'HEAD']);
    expect(registry.log[0]?.headers.accept).toContain(TYPES.index);
  });

  it('finds nothing where there is nothing, for one request', async () => {
    const { registry, client } = await setUp();
    expect(await client.headManifest('1.0')).toBeUndefined();
    expect(registry.log).toHaveLength(1);
  });

  it('that was pushed a moment ago is repeated until the registry shows it', async () => {
    const { registry, image, client } = await setUp();
    registry.on({ times: 2, answer: answer(404, 'MANIFEST_UNKNOWN') });
    const { digest } = image.root.descriptor;
    expect((await client.headManifest(digest, { justPushed: true }))?.digest).toBe(digest);
  });

  it('refuses another digest than was asked for', async () => {
    const { registry, image, client } = await setUp();
    const headers = {
      'docker-content-digest': sha256(Buffer.from('other')),
      'content-type': TYPES.index,
      'content-length': 5,
    };
    registry.on({ answer: (_, response) => void response.writeHead(200, headers).end() });
    const error = await failureOf(() => client.headManifest(image.root.descriptor.digest));
    expect(error.code).toBe('digest-mismatch');
  });

  const digest = digestOf(Buffer.from('some manifest'));
  it.each([
    ['no digest', { 'content-type': TYPES.index, 'content-length': 5 }],
    [
      'a digest that is none',
      { 'docker-content-digest': 'x', 'content-type': TYPES.index, 'content-length': 5 },
    ],
    [
      'no size',
      { 'docker-content-digest': digest, 'content-type': TYPES.index, 'transfer-encoding': 'chunked' },
    ],
    ['size 0', { 'docker-content-digest': digest, 'content-type': TYPES.index, 'content-length': 0 }],
    ['no type', { 'docker-content-digest': digest, 'content-length': 5 }],
    [
      'a type that is no manifest',
      { 'docker-content-digest': digest, 'content-type': 'text/html', 'content-length': 5 },
    ],
  ])('reads it where the registry says %s', async (_, headers) => {
    const { registry, contents, image, client } = await setUp();
    contents.tags.set('1.0', image.root.descriptor.digest);
    registry.on({ method: 'HEAD', answer: (__, response) => void response.writeHead(200, headers).end() });
    expect(await client.headManifest('1.0')).toEqual(image.root.descriptor);
    expect(registry.log.map(({ method }) => method)).toEqual(['HEAD', 'GET']);
  });

  it.each([400, 405])('reads it where the registry answers %d to a HEAD', async status => {
    const { registry, contents, image, client } = await setUp();
    contents.tags.set('1.0', image.root.descriptor.digest);
    registry.on({ method: 'HEAD', answer: (_, response) => void response.writeHead(status).end() });
    expect(await client.headManifest('1.0')).toEqual(image.root.descriptor);
  });

  it('finds nothing where only the reading says so', async () => {
    const { registry, client } = await setUp();
    registry.on({ method: 'HEAD', answer: (_, response) => void response.writeHead(405).end() });
    expect(await client.headManifest('1.0')).toBeUndefined();
  });

  it('says why it is refused, which no answer to a HEAD does', async () => {
    const { registry, client } = await setUp();
    registry.on({ answer: answer(403, 'DENIED') });
    const error = await failureOf(() => client.headManifest('1.0'));
    expect(error.code).toBe('registry-forbidden');
    expect(error.message).toContain('DENIED');
  });

  it.each([
    [503, 'registry-unavailable'],
    [429, 'registry-rate-limited'],
  ])('does not read what the registry has no answer for: %d', async (status, code) => {
    const { registry } = await setUp();
    registry.on({ answer: answer(status, 'NO') });
    const error = await failureOf(() => clientOf(registry, 'acme/app', SHORT).headManifest('1.0'));
    expect(error.code).toBe(code);
    expect(registry.count('GET', /./)).toBe(0);
  });
});
