import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { manifestContent } from '../../src/oci/manifest.ts';
import { moveTags } from '../../src/publish/move-tags.ts';
import { readTags, type TagOptions, type TagTarget } from '../../src/publish/tags.ts';
import { clientOf, FAST, failureOf, SHORT } from '../servers/clients.ts';
import { made, storeManifest, TYPES } from '../servers/images.ts';
import { TAG_OPTIONS, taggedRegistry, tagOf } from './tagging.ts';

const pathOf = (tag: string): RegExp => new RegExp(`/manifests/${tag}$`);

/** Tags "1" and "latest" are at version 1.0.0, and ours is 1.1.0. */
async function race() {
  const all = await taggedRegistry();
  const { registry, contents } = all;
  /** When we have moved a tag, another run points this one, or several, at its own image. */
  const overtake = (tag: string, digest: string, tags: readonly string[] = [tag]): void =>
    registry.on({
      method: 'PUT',
      path: pathOf(tag),
      answer: (_, response) => {
        for (const each of tags) contents.tags.set(each, digest);
        response.writeHead(201).end();
      },
    });
  return { ...all, client: clientOf(registry, 'acme/app', SHORT), overtake };
}

async function moved(tags: readonly TagTarget[], options: Partial<TagOptions> = {}) {
  return moveTags(tags, await readTags(tags), { ...TAG_OPTIONS, retry: SHORT, ...options });
}

describe('a tag that another run moved after us', () => {
  it('to a newer image stays there when it was seen twice, and the warning says that it was overtaken', async () => {
    const { registry, store, client, contents, index, overtake } = await race();
    const newer = store('2.0.0');
    overtake('1', newer.digest);
    const { set, kept } = await moved(['1', 'latest'].map(tag => tagOf(client, tag, index)));
    const reason = 'another run overtook this one, and it points at version 2.0.0, which is newer than 1.1.0';
    expect(kept).toEqual([{ component: 'app', name: `${client.name}:1`, reason }]);
    expect(set.map(({ name }) => name)).toEqual([`${client.name}:latest`]);
    // Looked at before, and twice after it was moved.
    expect(registry.count('GET', pathOf('1'))).toBe(3);
    expect(Object.fromEntries(contents.tags)).toEqual({ '1': newer.digest, latest: index.digest });
  });

  it('and that a registry that lags shows once only is ours', async () => {
    const { registry, store, client, index } = await race();
    const recalled = store('2.0.0');
    const tags = [tagOf(client, '1', index)];
    const look = await readTags(tags);
    registry.on({
      method: 'GET',
      path: pathOf('1'),
      times: 1,
      answer: (_, response) =>
        void response.writeHead(200, { 'content-type': recalled.mediaType }).end(recalled.bytes),
    });
    const { set, kept } = await moveTags(tags, look, { ...TAG_OPTIONS, retry: FAST });
    expect([set.length, kept]).toEqual([1, []]);
  });

  it('does not keep the tags of later ranks from being looked at again', async () => {
    const { registry, store, client, index, overtake } = await race();
    overtake('1', store('2.0.0').digest, ['1', 'latest']);
    const { set, kept } = await moved(['1', 'latest'].map(tag => tagOf(client, tag, index)));
    expect(set).toEqual([]);
    expect(kept.map(({ name }) => name)).toEqual([`${client.name}:1`, `${client.name}:latest`]);
    expect(registry.count('PUT', pathOf('latest'))).toBe(0);
  });

  it.each([
    ['to an older image, by "newest"', '0.9.0', 'newest'],
    ['to a newer image, by "overwrite", which asks for ours in any case', '2.0.0', 'overwrite'],
  ] as const)('%s is looked at again, and then an error', async (_, version, policy) => {
    const { registry, store, client, index, overtake } = await race();
    const other = store(version);
    overtake('1', other.digest);
    const error = await failureOf(() => moved([tagOf(client, '1', index)], { policy }));
    expect(error.code).toBe('tag-moved');
    expect(error.message).toContain(other.digest);
    expect(registry.count('GET', pathOf('1'))).toBeGreaterThan(2);
  });

  it('and that was new stays by "never-move", whatever it points at: it exists', async () => {
    const { store, client, contents, index, overtake } = await race();
    const older = store('0.9.0');
    overtake('new', older.digest);
    const { kept } = await moved([tagOf(client, 'new', index)], { policy: 'never-move' });
    expect(kept[0]?.reason).toMatch(/^another run overtook this one, and it points at .*"tag-policy: never/);
    expect(contents.tags.get('new')).toBe(older.digest);
  });

  it.each(['newest', 'never-move'] as const)(
    'although it is one of "immutable-tags" is an error: two images would have its name (%s)',
    async policy => {
      const { store, client, index, overtake } = await race();
      overtake('new', store('2.0.0').digest);
      const options = { policy, immutable: ['n*'] };
      const error = await failureOf(() => moved([tagOf(client, 'new', index)], options));
      expect(error.code).toBe('tag-moved');
    },
  );

  it('is named apart where other tags fail', async () => {
    const { registry, store, client, index, overtake } = await race();
    overtake('1', store('2.0.0').digest);
    registry.on({ method: 'PUT', path: pathOf('2'), answer: (_, response) => sendJson(response, 403, {}) });
    const { message } = await failureOf(() => moved(['1', '2'].map(tag => tagOf(client, tag, index))));
    expect(message).toMatch(/^1 of 2 tags were not set\. /);
    expect(message).toContain(
      `Overtaken by another run, and left there: ${client.name}:1. Not moved: ${client.name}:2.`,
    );
  });
});

describe('a tag that another run moved while its registry was ill', () => {
  /** The first try ends with a passing fault, and when it is over, the tag points elsewhere. */
  async function ill(version: string, change: Partial<TagOptions> = {}, tag = '1') {
    const all = await race();
    const { registry, contents, client, index, store } = all;
    const other = store(version);
    registry.on({
      method: 'PUT',
      path: pathOf(tag),
      times: 1,
      answer: (_, response) => {
        contents.tags.set(tag, other.digest);
        sendJson(response, 503, {});
      },
    });
    const tags = [tagOf(client, tag, index)];
    const options = { ...TAG_OPTIONS, retry: FAST, ...change };
    const result = moveTags(tags, await readTags(tags), options);
    const puts = () => registry.count('PUT', pathOf(tag));
    return { ...all, other, result, puts, shown: () => contents.tags.get(tag) };
  }

  it('to a newer image stays there: nothing is sent again', async () => {
    const { other, result, puts, shown } = await ill('2.0.0');
    const { set, kept } = await result;
    expect([set, kept.length, puts()]).toEqual([[], 1, 1]);
    expect(shown()).toBe(other.digest);
  });

  it.each([
    ['to an older image', '1.0.5', {}],
    ['by "overwrite"', '2.0.0', { policy: 'overwrite' }],
  ] as const)('%s is moved all the same', async (_, version, change) => {
    const { index, result, puts, shown } = await ill(version, change);
    expect((await result).set).toHaveLength(1);
    expect([shown(), puts()]).toEqual([index.digest, 2]);
  });

  it('and that did not exist stays by "never-move"', async () => {
    const { other, result, shown } = await ill('0.9.0', { policy: 'never-move' }, 'new');
    expect((await result).kept).toHaveLength(1);
    expect(shown()).toBe(other.digest);
  });

  it('and that never moves is an error, and keeps the image that it was given', async () => {
    const { other, result, puts, shown } = await ill('0.9.0', { immutable: ['n*'] }, 'new');
    expect((await failureOf(() => result)).code).toBe('tag-immutable');
    expect([shown(), puts()]).toEqual([other.digest, 1]);
  });

  it('and that shows another image at each look is an error, and nothing is sent again', async () => {
    const { registry, contents, store, result, puts } = await ill('2.0.0');
    const images = [store('2.0.0'), store('3.0.0')];
    registry.on({
      method: 'GET',
      path: pathOf('1'),
      answer: () => {
        const [next] = images;
        if (next !== undefined) images.push(...images.splice(0, 1));
        contents.tags.set('1', next?.digest ?? '');
      },
    });
    expect((await failureOf(() => result)).code).toBe('tag-moved');
    expect(puts()).toBe(1);
  });

  it('to our own image is there', async () => {
    const { result, puts } = await ill('1.1.0');
    expect((await result).set).toHaveLength(1);
    expect(puts()).toBe(1);
  });
});

describe('a tag of a single platform that another run moved after us', () => {
  /** A manifest of a platform, which says nothing of where it comes from. */
  const manifest = (platform: string) =>
    made(TYPES.manifest, { schemaVersion: 2, mediaType: TYPES.manifest, config: { platform }, layers: [] });

  async function singles() {
    const all = await race();
    const { client, contents, index, overtake } = all;
    const [ours, theirs] = [manifest('ours'), manifest('theirs')];
    for (const each of [ours, theirs]) storeManifest(contents, each);
    overtake('1-amd64', theirs.descriptor.digest);
    const leader = tagOf(client, '1', index);
    const content = manifestContent(ours.bytes, TYPES.manifest);
    const follower = tagOf(client, '1-amd64', content, {
      rank: leader.rank,
      lineage: { ...leader.lineage, digest: content.digest },
      leader: leader.name,
    });
    return { ...all, tags: [leader, follower], digest: theirs.descriptor.digest };
  }

  it('stays where the tag that it goes with was overtaken', async () => {
    const { store, contents, overtake, tags, digest } = await singles();
    overtake('1', store('2.0.0').digest);
    const { set, kept } = await moved(tags, { retry: FAST });
    expect(set).toEqual([]);
    expect(kept.map(({ name }) => name)).toEqual(tags.map(({ name }) => name));
    expect(kept[1]?.reason).toContain('version 2.0.0');
    expect(contents.tags.get('1-amd64')).toBe(digest);
  });

  it('to what it showed before is an error, wherever the tag is that it goes with: it may be the registry that lags', async () => {
    const { store, contents, overtake, tags, digest } = await singles();
    contents.tags.set('1-amd64', digest);
    overtake('1', store('2.0.0').digest);
    const { message } = await failureOf(() => moved(tags));
    expect(message).toContain(`Not confirmed, may have moved: ${tags[1]?.name}.`);
  });

  it('in another registry is an error, too, while one of its name shows our image', async () => {
    const [here, there] = [await race(), await race()];
    here.overtake('1', here.store('2.0.0').digest);
    const tags = [tagOf(here.client, '1', here.index), tagOf(there.client, '1', there.index)];
    const error = await failureOf(() => moved(tags, { retry: FAST }));
    expect(error.code).toBe('tag-moved');
    expect(error.message).toContain(
      `Moved: ${tags[1]?.name}. Not confirmed, may have moved: ${tags[0]?.name}.`,
    );
    expect(error.message).toContain('shows what this run made');
  });

  it('is an error where the tag that it goes with is ours', async () => {
    const { tags } = await singles();
    const error = await failureOf(() => moved(tags));
    expect(error.code).toBe('tag-moved');
    expect(error.message).toContain(
      `Moved: ${tags[0]?.name}. Not confirmed, may have moved: ${tags[1]?.name}.`,
    );
  });
});
