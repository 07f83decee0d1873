import { describe, expect, it } from 'vitest';
import { startFaultProxy } from '../../lab/parts/fault-proxy.ts';
import { sendJson } from '../../lab/parts/http.ts';
import { manifestContent } from '../../src/oci/manifest.ts';
import { moveTags } from '../../src/publish/tags.ts';
import { clientOf, FAST, failureOf, opened, SHORT } from '../servers/clients.ts';
import { made, pushImage, storeManifest, TYPES } from '../servers/images.ts';
import { startRegistry } from '../servers/registry.ts';

/** A registry that holds an index, and an older one that its tags point at. */
async function setUp() {
  const registry = await opened(startRegistry());
  const contents = registry.repository('acme/app');
  const { manifest } = pushImage(contents);
  const indexes = ['old', 'new'].map(version => {
    const index = made(TYPES.index, {
      schemaVersion: 2,
      mediaType: TYPES.index,
      manifests: [manifest.descriptor],
      annotations: { version },
    });
    storeManifest(contents, index);
    return manifestContent(index.bytes, TYPES.index);
  });
  const [old, index] = indexes as [(typeof indexes)[0], (typeof indexes)[0]];
  for (const tag of ['1', 'latest']) contents.tags.set(tag, old.digest);
  return { registry, contents, old, index };
}

const putOf = (tag: string): RegExp => new RegExp(`/manifests/${tag}$`);

describe('moving tags', () => {
  it('points all of them in all registries at the index, and says which', async () => {
    const [one, two] = [await setUp(), await setUp()];
    const clients = [clientOf(one.registry), clientOf(two.registry)];
    const moved = await moveTags(one.index, clients, ['1', 'latest'], FAST);
    expect(moved).toEqual(clients.flatMap(({ name }) => [`${name}:1`, `${name}:latest`]));
    for (const { contents } of [one, two]) {
      expect(Object.fromEntries(contents.tags)).toEqual({ '1': one.index.digest, latest: one.index.digest });
    }
  });

  it('again changes nothing and fails nothing', async () => {
    const { registry, contents, index } = await setUp();
    const move = () => moveTags(index, [clientOf(registry)], ['1', 'latest'], FAST);
    const first = await move();
    expect(await move()).toEqual(first);
    expect(contents.tags.get('latest')).toBe(index.digest);
  });

  it('that fails for some names what was moved and what was not, and why', async () => {
    const { registry, contents, old, index } = await setUp();
    const deny = { errors: [{ code: 'DENIED', message: 'tag is protected' }] };
    registry.on({
      method: 'PUT',
      path: putOf('latest'),
      answer: (_, response) => sendJson(response, 403, deny),
    });
    const client = clientOf(registry);
    const error = await failureOf(() => moveTags(index, [client], ['1', 'latest'], FAST));
    expect(error.code).toBe('registry-forbidden');
    expect(error.message).toContain('1 of 2 tags were not set');
    expect(error.message).toContain(`. Moved: ${client.name}:1. Not moved: ${client.name}:latest.`);
    expect(error.message).toMatch(new RegExp(`\n {2}${client.name}:latest: .*tag is protected`));
    expect(error.hint).toContain('Re-run');
    expect(Object.fromEntries(contents.tags)).toEqual({ '1': index.digest, latest: old.digest });
  });

  it('that fails in one registry leaves the others moved', async () => {
    const [one, two] = [await setUp(), await setUp()];
    one.registry.on({ method: 'PUT', answer: (_, response) => sendJson(response, 403, {}) });
    const error = await failureOf(() =>
      moveTags(one.index, [clientOf(one.registry), clientOf(two.registry)], ['1'], FAST),
    );
    expect(error.message).toContain(`Moved: ${two.registry.host}/acme/app:1.`);
    expect(two.contents.tags.get('1')).toBe(one.index.digest);
  });

  it('that fails for all says that none was moved', async () => {
    const { registry, index } = await setUp();
    registry.on({ method: 'PUT', answer: (_, response) => sendJson(response, 401, {}) });
    const error = await failureOf(() => moveTags(index, [clientOf(registry)], ['1', 'latest'], FAST));
    expect(error.code).toBe('registry-unauthorized');
    expect(error.message).toMatch(/^2 of 2 tags were not set\. Not moved: \S+:1, \S+:latest\.\n/);
    expect(error.hint).toContain('docker/login-action');
  });

  it.each([
    ['its answer never came', { reset: 'after' } as const],
    ['it cannot be read back', undefined],
  ])('that the registry took, but %s, is neither called moved nor not moved', async (_, action) => {
    const { registry, contents, index } = await setUp();
    const proxy = await opened(startFaultProxy({ target: registry.url }));
    if (action !== undefined) proxy.fail({ method: 'PUT', action });
    else proxy.fail({ method: 'GET', path: putOf('1'), action: { status: 503 } });
    const error = await failureOf(() => moveTags(index, [clientOf(proxy, 'acme/app', SHORT)], ['1'], SHORT));
    expect(contents.tags.get('1')).toBe(index.digest);
    expect(error.message).toContain(`Not confirmed, may have moved: ${proxy.host}/acme/app:1.`);
    expect(error.message).not.toContain('Not moved');
  });

  it('is done when the registry shows it, late or not', async () => {
    const { registry, contents, old, index } = await setUp();
    const before = contents.manifests.get(old.digest);
    registry.on({
      method: 'GET',
      path: putOf('1'),
      times: 3,
      answer: (_, response) =>
        void response.writeHead(200, { 'content-type': TYPES.index }).end(before?.bytes),
    });
    await moveTags(index, [clientOf(registry)], ['1'], FAST);
    expect(registry.count('GET', putOf('1'))).toBe(4);
  });

  it('that somebody else undoes is an error that shows where the tag points', async () => {
    const { registry, contents, old, index } = await setUp();
    registry.on({
      method: 'PUT',
      answer: (_, response) => {
        contents.tags.set('1', old.digest);
        response.writeHead(201).end();
      },
    });
    const error = await failureOf(() => moveTags(index, [clientOf(registry)], ['1'], SHORT));
    expect(error.code).toBe('tag-moved');
    expect(error.message).toContain(old.digest);
    expect(error.hint).toContain('Re-run');
  });

  it('that the registry took and does not show is an error', async () => {
    const { registry, contents, index } = await setUp();
    contents.tags.clear();
    registry.on({ method: 'PUT', answer: (_, response) => void response.writeHead(201).end() });
    const error = await failureOf(() => moveTags(index, [clientOf(registry)], ['1'], SHORT));
    expect(error.code).toBe('tag-moved');
    expect(error.message).toContain('does not exist');
  });

  it('gets through passing faults', async () => {
    const { registry, contents, index } = await setUp();
    const proxy = await opened(startFaultProxy({ target: registry.url }));
    proxy.fail({ method: 'PUT', on: 1, action: { status: 503 } });
    proxy.fail({ method: 'PUT', on: 1, action: { reset: 'after' } });
    proxy.fail({ method: 'GET', on: 1, action: { status: 429, headers: { 'retry-after': '0' } } });
    await moveTags(index, [clientOf(proxy)], ['1', 'latest'], FAST);
    expect(Object.fromEntries(contents.tags)).toEqual({ '1': index.digest, latest: index.digest });
  });
});
