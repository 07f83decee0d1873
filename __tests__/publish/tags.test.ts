import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startFaultProxy } from '../../lab/parts/fault-proxy.ts';
import { sendJson } from '../../lab/parts/http.ts';
import { DEFAULT_RETRY, LAG_BUDGET } from '../../src/http/retry.ts';
import type { ManifestContent } from '../../src/oci/manifest.ts';
import { moveTags } from '../../src/publish/move-tags.ts';
import { readTags, type TagTarget } from '../../src/publish/tags.ts';
import { clientOf, failureOf, opened, SHORT } from '../servers/clients.ts';
import { TYPES } from '../servers/images.ts';
import { TAG_OPTIONS, taggedRegistry, tagOf } from './tagging.ts';

const putOf = (tag: string): RegExp => new RegExp(`/manifests/${tag}$`);

/** Tags of one image in several repositories. */
const tagsOf = (
  clients: ReturnType<typeof clientOf>[],
  tags: string[],
  content: ManifestContent,
): TagTarget[] => clients.flatMap(client => tags.map(tag => tagOf(client, tag, content)));

/** Moves tags of which nobody knows what they point at. */
const move = (tags: readonly TagTarget[], options: Partial<typeof TAG_OPTIONS> = {}) =>
  moveTags(tags, new Map(), { ...TAG_OPTIONS, ...options });

const namesOf = (tags: readonly { readonly name: string }[]): string[] => tags.map(({ name }) => name);

describe('moving tags', () => {
  it('points all of them in all registries at the image, and says which', async () => {
    const [one, two] = [await taggedRegistry(), await taggedRegistry()];
    const clients = [clientOf(one.registry), clientOf(two.registry)];
    const report = await move(tagsOf(clients, ['1', 'latest'], one.index));
    expect(namesOf(report.set)).toEqual(clients.flatMap(({ name }) => [`${name}:1`, `${name}:latest`]));
    expect(report.kept).toEqual([]);
    for (const { contents } of [one, two]) {
      expect(Object.fromEntries(contents.tags)).toEqual({ '1': one.index.digest, latest: one.index.digest });
    }
  });

  it('that are there already costs no request, and they count as set', async () => {
    const { registry, index } = await taggedRegistry();
    const tags = tagsOf([clientOf(registry)], ['1', 'latest'], index);
    const first = await move(tags);
    const states = await readTags(tags);
    registry.log.length = 0;
    const second = await moveTags(tags, states, TAG_OPTIONS);
    expect(namesOf(second.set)).toEqual(namesOf(first.set));
    expect(second.kept).toEqual([]);
    expect(registry.log).toEqual([]);
  });

  it('tells what each pointed at before, in the order in which they were asked for', async () => {
    const { registry, contents, old, index } = await taggedRegistry();
    contents.tags.set('1.1', index.digest);
    const tags = tagsOf([clientOf(registry)], ['latest', '1', '1.1', '1.1.0'], index);
    const { set } = await moveTags(tags, await readTags(tags), TAG_OPTIONS);
    expect(set.map(({ component, name, was, content }) => [component, name, was, content.digest])).toEqual(
      tags.map(({ name }, position) => [
        'app',
        name,
        [old.digest, old.digest, index.digest, undefined][position],
        index.digest,
      ]),
    );
  });

  it.each(['newest', 'overwrite'] as const)(
    'looks again before each later rank, and decides by what it finds: %s',
    async policy => {
      const { registry, contents, store, old, index } = await taggedRegistry();
      const newer = store('2.0.0');
      // A newer run is faster: it moves "latest" while we are at the full version.
      registry.on({
        method: 'PUT',
        path: putOf('1\\.1\\.0'),
        answer: () => void contents.tags.set('latest', newer.digest),
      });
      const tags = tagsOf([clientOf(registry)], ['latest', '1', '1.1.0'], index);
      const { set, kept } = await moveTags(tags, await readTags(tags), { ...TAG_OPTIONS, policy });
      const stays = policy === 'newest';
      expect(contents.tags.get('latest')).toBe(stays ? newer.digest : index.digest);
      expect(registry.count('PUT', putOf('latest'))).toBe(stays ? 0 : 1);
      expect(namesOf(kept)).toEqual(stays ? [tags[0]?.name] : []);
      if (stays) expect(kept[0]?.reason).toContain('version 2.0.0');
      expect(set.map(({ name, was }) => [name.split(':').at(-1), was])).toEqual([
        ...(stays ? [] : [['latest', newer.digest]]),
        ['1', old.digest],
        ['1.1.0', undefined],
      ]);
    },
  );

  it('moves the fixed ones first and "latest" last, over all registries', async () => {
    const [one, two] = [await taggedRegistry(), await taggedRegistry()];
    const order: string[] = [];
    const [slow] = [one.registry];
    for (const { registry } of [one, two]) {
      registry.on({
        method: 'PUT',
        answer: async ({ path }) => {
          // One of the registries takes its time: nothing of a later rank may overtake it.
          if (registry === slow) await new Promise(resolve => setTimeout(resolve, 20));
          order.push(path.split('/').at(-1) ?? '');
        },
      });
    }
    const clients = [clientOf(one.registry), clientOf(two.registry)];
    await move(tagsOf(clients, ['latest', '1', '1.1.0', 'latest-alpine', 'sha-c0ffee1', 'main'], one.index));
    const rank = (tag = '') =>
      tag.startsWith('latest') ? 2 : ['1.1.0', 'sha-c0ffee1'].includes(tag) ? 0 : 1;
    expect(order).toHaveLength(12);
    expect(order.map(rank)).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
  });

  it('moves none of a later rank before those of an earlier one are read back', async () => {
    const { registry, index } = await taggedRegistry();
    await move(tagsOf([clientOf(registry)], ['latest', '1', '1.1.0'], index));
    expect(registry.log.map(({ method, path }) => `${method} ${path.split('/').at(-1)}`)).toEqual([
      'PUT 1.1.0',
      'GET 1.1.0',
      'GET 1',
      'PUT 1',
      'GET 1',
      'GET latest',
      'PUT latest',
      'GET latest',
    ]);
  });

  it('is done when the registry shows it, late or not', async () => {
    const { registry, contents, old, index } = await taggedRegistry();
    const before = contents.manifests.get(old.digest);
    registry.on({
      method: 'GET',
      path: putOf('1'),
      times: 3,
      answer: (_, response) =>
        void response.writeHead(200, { 'content-type': TYPES.index }).end(before?.bytes),
    });
    await move([tagOf(clientOf(registry), '1', index)]);
    expect(registry.count('GET', putOf('1'))).toBe(4);
  });

  it('gets through passing faults, and through a registry that does not see the image yet', async () => {
    const { registry, contents, index } = await taggedRegistry();
    const proxy = await opened(startFaultProxy({ target: registry.url }));
    proxy.fail({ method: 'PUT', on: 1, action: { status: 503 } });
    proxy.fail({ method: 'PUT', on: 1, action: { reset: 'after' } });
    proxy.fail({ method: 'GET', on: 1, action: { status: 429, headers: { 'retry-after': '0' } } });
    const unknown = { errors: [{ code: 'MANIFEST_UNKNOWN', message: 'unknown' }] };
    registry.on({ method: 'PUT', times: 2, answer: (_, response) => sendJson(response, 404, unknown) });
    await move(tagsOf([clientOf(proxy)], ['1', 'latest'], index));
    expect(Object.fromEntries(contents.tags)).toEqual({ '1': index.digest, latest: index.digest });
  });
});

describe('a tag that fails', () => {
  const deny = { errors: [{ code: 'DENIED', message: 'tag is protected' }] };

  it('names what was moved and what was not, and why', async () => {
    const { registry, contents, old, index } = await taggedRegistry();
    registry.on({
      method: 'PUT',
      path: putOf('latest'),
      answer: (_, response) => sendJson(response, 403, deny),
    });
    const client = clientOf(registry);
    const error = await failureOf(() => move(tagsOf([client], ['1', 'latest'], index)));
    expect(error.code).toBe('registry-forbidden');
    expect(error.message).toContain('1 of 2 tags were not set');
    expect(error.message).toContain(`. Moved: ${client.name}:1. Not moved: ${client.name}:latest.`);
    expect(error.message).toMatch(new RegExp(`\n {2}${client.name}:latest: .*tag is protected`));
    // Another image could never take the place of this one under a tag that never moves.
    expect(error.hint).toContain('Use "Re-run failed jobs"');
    expect(error.hint).toContain('Do not use "Re-run all jobs"');
    expect(Object.fromEntries(contents.tags)).toEqual({ '1': index.digest, latest: old.digest });
  });

  it('names those beside it in the order in which they were asked for, and none that stays', async () => {
    const { registry, contents, index } = await taggedRegistry();
    contents.tags.set('1.1', index.digest);
    registry.on({
      method: 'PUT',
      path: putOf('latest'),
      answer: (_, response) => sendJson(response, 403, deny),
    });
    const client = clientOf(registry);
    const tags = tagsOf([client], ['1', '1.1', '1.1.0', 'latest'], index);
    const states = await readTags(tags);
    const { message } = await failureOf(() => moveTags(tags, states, TAG_OPTIONS));
    expect(message).toContain(
      `1 of 3 tags were not set. Moved: ${client.name}:1, ${client.name}:1.1.0. Not moved: ${client.name}:latest.`,
    );
  });

  it('as it must not move, and another run made it while earlier ones moved, stays', async () => {
    const { registry, contents, old, index } = await taggedRegistry();
    contents.tags.delete('latest');
    registry.on({
      method: 'PUT',
      path: putOf('1\\.1\\.0'),
      answer: () => void contents.tags.set('latest', old.digest),
    });
    const tags = tagsOf([clientOf(registry)], ['1.1.0', 'latest'], index);
    const options = { policy: 'overwrite', immutable: ['latest'] } as const;
    const error = await failureOf(() => move(tags, options));
    expect(error.code).toBe('tag-immutable');
    expect(error.message).toContain(`Moved: ${tags[0]?.name}. Not moved: ${tags[1]?.name}.`);
    expect(contents.tags.get('latest')).toBe(old.digest);
  });

  it('keeps those of later ranks from being tried, in every registry, and names them', async () => {
    const [one, two] = [await taggedRegistry(), await taggedRegistry()];
    one.registry.on({
      method: 'PUT',
      path: putOf('1'),
      answer: (_, response) => sendJson(response, 403, deny),
    });
    const clients = [clientOf(one.registry), clientOf(two.registry)];
    const [here, there] = namesOf(clients);
    const tags = tagsOf(clients, ['latest', '1', '1.1.0'], one.index);
    const { message } = await failureOf(() => move(tags));
    expect(message).toContain('3 of 6 tags were not set');
    const [, moved = ''] = /[.] Moved: (.*?)[.] /.exec(message) ?? [];
    expect(moved.split(', ').sort()).toEqual([`${here}:1.1.0`, `${there}:1`, `${there}:1.1.0`].sort());
    expect(message).toContain(`Not moved: ${here}:1.`);
    expect(message).toContain(`Not tried: ${here}:latest, ${there}:latest.`);
    for (const { registry } of [one, two]) expect(registry.count('PUT', putOf('latest'))).toBe(0);
  });

  it('for all says that none was moved', async () => {
    const { registry, index } = await taggedRegistry();
    registry.on({ method: 'PUT', answer: (_, response) => sendJson(response, 401, {}) });
    const error = await failureOf(() => move(tagsOf([clientOf(registry)], ['1', '2'], index)));
    expect(error.code).toBe('registry-unauthorized');
    expect(error.message).toMatch(/^2 of 2 tags were not set\. Not moved: \S+:1, \S+:2\.\n/);
    expect(error.hint).toContain('docker/login-action');
  });

  it('as the registry keeps it for ever was not moved', async () => {
    const { registry, index } = await taggedRegistry();
    const immutable = {
      errors: [
        {
          code: 'TAG_INVALID',
          message: 'The image tag already exists and cannot be overwritten because the tag is immutable.',
        },
      ],
    };
    registry.on({ method: 'PUT', answer: (_, response) => sendJson(response, 400, immutable) });
    const error = await failureOf(() => move([tagOf(clientOf(registry), '1', index)]));
    expect(error.code).toBe('tag-immutable');
    expect(error.message).toContain('Not moved');
    expect(error.message).not.toContain('may have moved');
  });

  it.each([
    ['its answer never came and it cannot be looked at', { reset: 'after' } as const],
    ['it cannot be read back', undefined],
  ])('though the registry took it, as %s, is neither called moved nor not moved', async (_, action) => {
    const { registry, contents, index } = await taggedRegistry();
    const proxy = await opened(startFaultProxy({ target: registry.url }));
    if (action !== undefined) proxy.fail({ method: 'PUT', action });
    proxy.fail({ method: 'GET', path: putOf('1'), action: { status: 503 } });
    const tag = tagOf(clientOf(proxy, 'acme/app', SHORT), '1', index);
    const error = await failureOf(() => move([tag], { retry: SHORT }));
    expect(contents.tags.get('1')).toBe(index.digest);
    expect(error.message).toContain(`Not confirmed, may have moved: ${proxy.host}/acme/app:1.`);
    expect(error.message).not.toContain('Not moved');
  });

  it.each([
    ['no answer', { reset: 'before' } as const],
    ['a passing fault', { status: 503 }],
  ])('by %s, and shows another image, may move yet', async (_, action) => {
    const { registry, contents, old, index } = await taggedRegistry();
    const proxy = await opened(startFaultProxy({ target: registry.url }));
    proxy.fail({ method: 'PUT', action });
    const tag = tagOf(clientOf(proxy, 'acme/app', SHORT), '1', index);
    const error = await failureOf(() => move([tag], { retry: SHORT }));
    expect(contents.tags.get('1')).toBe(old.digest);
    expect(error.message).toContain(`Not confirmed, may have moved: ${tag.name}.`);
  });

  it.each([401, 403, 404, 400, 503])('by %d, and shows our image, has moved', async status => {
    const { registry, contents, index } = await taggedRegistry();
    // An earlier try took effect, and its answer was lost.
    registry.on({
      method: 'PUT',
      answer: (_, response) => {
        contents.tags.set('1', index.digest);
        sendJson(response, status, deny);
      },
    });
    const tag = tagOf(clientOf(registry, 'acme/app', SHORT), '1', index);
    expect(namesOf((await move([tag], { retry: SHORT })).set)).toEqual([tag.name]);
  });

  it('by a lost answer, and shows our image, has moved', async () => {
    const { registry, contents, index } = await taggedRegistry();
    const proxy = await opened(startFaultProxy({ target: registry.url }));
    proxy.fail({ method: 'PUT', action: { reset: 'after' } });
    const tag = tagOf(clientOf(proxy, 'acme/app', SHORT), '1', index);
    expect(namesOf((await move([tag], { retry: SHORT })).set)).toEqual([tag.name]);
    expect(contents.tags.get('1')).toBe(index.digest);
  });

  it('is not waited for longer than registries lag, however long one may try', async () => {
    const { registry, index } = await taggedRegistry();
    registry.on({ method: 'PUT', answer: (_, response) => void response.writeHead(201).end() });
    let ahead = 0;
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + ahead);
    onTestFinished(() => clock.mockRestore());
    registry.on({
      method: 'GET',
      path: putOf('1'),
      answer: () => {
        ahead += LAG_BUDGET;
      },
    });
    const retry = { ...DEFAULT_RETRY, base: 1, longest: 2 };
    const error = await failureOf(() => move([tagOf(clientOf(registry), '1', index)], { retry }));
    expect(error.code).toBe('tag-moved');
    expect(registry.count('GET', putOf('1'))).toBe(1);
  });

  it('because somebody else undoes it shows where it points', async () => {
    const { registry, contents, old, index } = await taggedRegistry();
    registry.on({
      method: 'PUT',
      answer: (_, response) => {
        contents.tags.set('1', old.digest);
        response.writeHead(201).end();
      },
    });
    const error = await failureOf(() => move([tagOf(clientOf(registry), '1', index)], { retry: SHORT }));
    expect(error.code).toBe('tag-moved');
    expect(error.message).toContain(old.digest);
    expect(error.hint).toContain('concurrency:');
    expect(error.hint).toContain('Re-run');
  });

  it('as the registry took it and does not show it', async () => {
    const { registry, contents, index } = await taggedRegistry();
    contents.tags.clear();
    registry.on({ method: 'PUT', answer: (_, response) => void response.writeHead(201).end() });
    const error = await failureOf(() => move([tagOf(clientOf(registry), '1', index)], { retry: SHORT }));
    expect(error.code).toBe('tag-moved');
    expect(error.message).toContain('does not exist');
  });
});

describe('looking where tags point', () => {
  it('leaves out those that do not exist', async () => {
    const { registry, old, index } = await taggedRegistry();
    const client = clientOf(registry);
    const states = await readTags(tagsOf([client], ['1', 'new'], index));
    expect([...states].map(([name, { digest }]) => [name, digest])).toEqual([
      [`${client.name}:1`, old.digest],
    ]);
  });

  it.each([403, 500])('is an error when the registry answers %d: that is not "absent"', async status => {
    const { registry, index } = await taggedRegistry();
    registry.on({ method: 'GET', answer: (_, response) => sendJson(response, status, {}) });
    const tag = tagOf(clientOf(registry, 'acme/app', SHORT), '1', index);
    await failureOf(() => readTags([tag]));
  });
});
