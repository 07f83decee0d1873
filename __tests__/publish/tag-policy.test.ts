import { describe, expect, it } from 'vitest';
import { moveTags } from '../../src/publish/move-tags.ts';
import {
  listTags,
  readTags,
  refuseImmutable,
  type TagOptions,
  type TagTarget,
} from '../../src/publish/tags.ts';
import { clientOf, failureOf } from '../servers/clients.ts';
import { made, storeManifest, TYPES } from '../servers/images.ts';
import { type Built, publish, setUp, tagEntries } from './built.ts';
import { TAG_OPTIONS, taggedRegistry, tagOf } from './tagging.ts';

const SUFFIX = { platformSuffix: '-{{arch}}' };

async function moved(tags: readonly TagTarget[], options: Partial<TagOptions> = {}) {
  return moveTags(tags, await readTags(tags), { ...TAG_OPTIONS, ...options });
}

describe('a tag that points at another image', () => {
  it.each([
    ['newest', '2.0.0', 'stays'],
    ['newest', '0.9.0', 'moves'],
    ['overwrite', '2.0.0', 'moves'],
    ['never-move', '0.9.0', 'stays'],
  ] as const)('by the policy %s, version %s there and 1.1.0 here, %s', async (policy, version, end) => {
    const { registry, contents, store, index } = await taggedRegistry();
    const there = store(version);
    contents.tags.set('1', there.digest);
    const tags = [tagOf(clientOf(registry), '1', index), tagOf(clientOf(registry), 'new', index)];
    const { set, kept } = await moved(tags, { policy });
    const stays = end === 'stays';
    expect(contents.tags.get('1')).toBe(stays ? there.digest : index.digest);
    expect(contents.tags.get('new')).toBe(index.digest);
    expect(kept.map(({ name }) => name)).toEqual(stays ? [tags[0]?.name] : []);
    expect(set.map(({ name }) => name)).toEqual(stays ? [tags[1]?.name] : tags.map(({ name }) => name));
    expect(registry.count('PUT', /\/manifests\/1$/)).toBe(stays ? 0 : 1);
    if (stays)
      expect(kept[0]).toMatchObject({ component: 'app', reason: expect.stringMatching(/^it points at/) });
  });

  it('of another kind, which says nothing of itself, moves', async () => {
    const { registry, contents, index } = await taggedRegistry();
    const odd = made(TYPES.manifest, 'no JSON at all');
    storeManifest(contents, odd);
    contents.tags.set('1', odd.descriptor.digest);
    expect((await moved([tagOf(clientOf(registry), '1', index)])).kept).toEqual([]);
    expect(contents.tags.get('1')).toBe(index.digest);
  });
});

describe('a tag that never moves, by its pattern', () => {
  const options = { ...TAG_OPTIONS, immutable: ['1*', 'v?'] };

  it('is refused when it exists with another digest: all are named, and nothing was written', async () => {
    const { registry, contents, old, index } = await taggedRegistry();
    contents.tags.set('v1', old.digest);
    const tags = ['1', 'v1', 'latest', '1-new'].map(tag => tagOf(clientOf(registry), tag, index));
    const states = await readTags(tags);
    const error = await failureOf(() => refuseImmutable(tags, states, options));
    expect(error.code).toBe('tag-immutable');
    expect(error.message.split('\n').slice(1)).toEqual(
      ['1', 'v1'].map(
        tag => `  ${registry.host}/acme/app:${tag} points at ${old.digest}, this image is ${index.digest}`,
      ),
    );
    expect(registry.count('PUT', /./)).toBe(0);
  });

  it('is all right when it is new, or points at this image already', async () => {
    const { registry, contents, index } = await taggedRegistry();
    contents.tags.set('1', index.digest);
    const tags = ['1', '1-new', 'latest'].map(tag => tagOf(clientOf(registry), tag, index));
    const states = await readTags(tags);
    expect(() => refuseImmutable(tags, states, options)).not.toThrow();
  });
});

/** The list of a component's tags, in one registry. */
async function listed(options: Partial<TagOptions>, tags: string[], from?: Built) {
  const all = from ?? (await setUp());
  const destinations = { images: undefined, tags: tagEntries(...tags), byDigestOnly: false };
  const { publication } = await publish(all, { destinations });
  const [target] = publication.targets;
  await target?.client.putManifest(publication.image.content);
  const list = listTags([publication], { ...TAG_OPTIONS, ...options });
  return {
    ...all,
    publication,
    list,
    contents: all.registries[0]?.repository('acme/app') as never as Contents,
  };
}

type Contents = ReturnType<Built['registries'][0]['repository']>;

describe('the tags of single platforms', () => {
  it('are none without a suffix', async () => {
    const { list } = await listed({}, ['1.0', 'latest']);
    expect(list.map(({ tag }) => tag)).toEqual(['1.0', 'latest']);
  });

  it('point at the images of their platforms, and have the rank of the tag that they go with', async () => {
    const { list, images } = await listed(SUFFIX, ['1.0.0', 'latest']);
    const digest = (platform: string) => images.get(platform)?.manifest.descriptor.digest;
    const singles = list.filter(({ name, leader }) => name !== leader);
    expect(singles.map(({ tag, content, rank }) => [tag, content.digest, rank])).toEqual([
      ['1.0.0-amd64', digest('linux/amd64'), 'fixed'],
      ['1.0.0-arm64', digest('linux/arm64'), 'fixed'],
      ['latest-amd64', digest('linux/amd64'), 'latest'],
      ['latest-arm64', digest('linux/arm64'), 'latest'],
    ]);
  });

  it('are fixed where the tag that they go with is, by its pattern', async () => {
    const { list } = await listed({ ...SUFFIX, immutable: ['stable'] }, ['stable']);
    expect(list.map(({ tag, rank }) => [tag, rank])).toEqual([
      ['stable', 'fixed'],
      ['stable-amd64', 'fixed'],
      ['stable-arm64', 'fixed'],
    ]);
  });

  it('are set like others, and a second time cost nothing', async () => {
    const { list, registries } = await listed(SUFFIX, ['1.0']);
    expect((await moved(list)).set).toHaveLength(3);
    const puts = registries[0]?.count('PUT', /./);
    expect((await moved(list)).set).toHaveLength(3);
    expect(registries[0]?.count('PUT', /./)).toBe(puts);
  });

  it('stay where they are when the tag that they go with stays', async () => {
    const { list, contents, images } = await listed(SUFFIX, ['latest']);
    const newer = made(TYPES.index, {
      schemaVersion: 2,
      mediaType: TYPES.index,
      manifests: [],
      annotations: {
        'org.opencontainers.image.source': 'https://github.com/acme/app',
        'org.opencontainers.image.created': '2099-01-01T00:00:00Z',
      },
    });
    storeManifest(contents, newer);
    const other = images.get('linux/arm64')?.manifest.descriptor.digest ?? '';
    contents.tags.set('latest', newer.descriptor.digest);
    contents.tags.set('latest-amd64', other);
    const { set, kept } = await moved(list);
    expect(set).toEqual([]);
    expect(kept.map(({ name }) => name.split(':').at(-1))).toEqual([
      'latest',
      'latest-amd64',
      'latest-arm64',
    ]);
    expect(contents.tags.get('latest-amd64')).toBe(other);
    expect(contents.tags.has('latest-arm64')).toBe(false);
  });

  it('follow the tag that they go with, whatever they pointed at', async () => {
    const { list, contents, images } = await listed(SUFFIX, ['latest']);
    contents.tags.set('latest-amd64', images.get('linux/arm64')?.manifest.descriptor.digest ?? '');
    await moved(list);
    expect(contents.tags.get('latest-amd64')).toBe(images.get('linux/amd64')?.manifest.descriptor.digest);
  });

  it('are set where the tag that they go with is there already', async () => {
    const { list, contents, publication, images } = await listed(SUFFIX, ['latest']);
    contents.tags.set('latest', publication.image.content.digest);
    contents.tags.set('latest-amd64', images.get('linux/arm64')?.manifest.descriptor.digest ?? '');
    await moved(list);
    expect(contents.tags.get('latest-amd64')).toBe(images.get('linux/amd64')?.manifest.descriptor.digest);
  });

  it('do not move when no tag that exists does', async () => {
    const { list, contents, images } = await listed(SUFFIX, ['latest']);
    const other = images.get('linux/arm64')?.manifest.descriptor.digest ?? '';
    contents.tags.set('latest-amd64', other);
    const { kept } = await moved(list, { policy: 'never-move' });
    expect(kept.map(({ name }) => name.split(':').at(-1))).toEqual(['latest-amd64']);
    expect(contents.tags.get('latest-amd64')).toBe(other);
  });

  it('are refused where one of them is the name of another tag', async () => {
    const error = await failureOf(() => listed(SUFFIX, ['1.0', '1.0-amd64']));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('With "platform-tag-suffix" the tag "1.0-amd64" of linux/amd64');
  });

  it('are refused where one of them is the tag of another component in the same repository', async () => {
    const all = await setUp();
    const of = async (component: string, tag: string) => {
      const set = { ...all.set, component };
      const destinations = { images: undefined, tags: tagEntries(tag), byDigestOnly: false };
      return (await publish({ ...all, set }, { destinations })).publication;
    };
    const both = [await of('app', '1'), await of('api', '1-amd64')];
    expect(listTags(both, TAG_OPTIONS)).toHaveLength(2);
    const error = await failureOf(() => listTags(both, { ...TAG_OPTIONS, ...SUFFIX }));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(`app and api would both be ${all.names[0]}:1-amd64`);
  });
});
