import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIndex } from '../../src/oci/manifest.ts';
import { formatPlatform } from '../../src/oci/platform.ts';
import { childrenOf, createIndexImage, type IndexImageOptions } from '../../src/publish/index-image.ts';
import { failureOf } from '../servers/clients.ts';
import { TYPES } from '../servers/images.ts';
import { type BuiltOptions, buildsOf, setUp } from './built.ts';

const OPTIONS: IndexImageOptions = {
  format: 'oci',
  singlePlatform: 'index',
  annotations: { title: 'an image' },
  descriptorAnnotations: platform => ({ 'made-for': formatPlatform(platform) }),
  missing: [],
};

async function built(options: BuiltOptions = {}) {
  const all = await setUp(options);
  return { ...all, builds: (await buildsOf(all)).builds };
}

describe('the index of a merge', () => {
  it('holds the images, each beside its attestations, with the annotations of both', async () => {
    const { builds, images } = await built();
    const { content, isPlain } = createIndexImage(builds, OPTIONS);
    const { manifests, annotations } = parseIndex(content, 'here');
    const [amd64, arm64] = ['linux/amd64', 'linux/arm64'].map(platform => images.get(platform));
    expect(manifests.map(({ digest }) => digest)).toEqual(
      [amd64, arm64].flatMap(image => [
        image?.manifest.descriptor.digest,
        image?.attestation?.descriptor.digest,
      ]),
    );
    expect(annotations).toEqual({ title: 'an image' });
    expect(manifests[2]?.annotations).toEqual({ 'made-for': 'linux/arm64' });
    expect(isPlain).toBe(false);
  });

  it('is the same bytes whatever order the builds come in', async () => {
    const { builds } = await built({
      platforms: ['linux/arm64', 'linux/arm/v7', 'linux/amd64', 'linux/s390x'],
    });
    const { content, platforms } = createIndexImage(builds, OPTIONS);
    fc.assert(
      fc.property(fc.shuffledSubarray([...builds], { minLength: builds.length }), shuffled => {
        const again = createIndexImage(shuffled, OPTIONS);
        expect(Buffer.compare(again.content.bytes, content.bytes)).toBe(0);
        expect(again.platforms).toEqual(platforms);
      }),
    );
  });

  it('gives its platforms in its own order, each with its manifest and its build', async () => {
    const { builds, images, records } = await built();
    const { platforms, content } = createIndexImage(builds, OPTIONS);
    const order = ['linux/amd64', 'linux/arm64'];
    expect(platforms.map(({ platform }) => formatPlatform(platform))).toEqual(order);
    expect(platforms.map(({ manifest }) => manifest.digest)).toEqual(
      order.map(platform => images.get(platform)?.manifest.descriptor.digest),
    );
    expect(platforms.map(({ record }) => record)).toEqual([...records].reverse());
    expect(childrenOf(createIndexImage(builds, OPTIONS)).map(({ digest }) => digest)).toEqual(
      parseIndex(content, 'here').manifests.map(({ digest }) => digest),
    );
  });

  it('of one platform is an index all the same', async () => {
    const { builds } = await built({ platforms: ['linux/amd64'] });
    const { content } = createIndexImage(builds, OPTIONS);
    expect(content.mediaType).toBe(TYPES.index);
    expect(parseIndex(content, 'here').manifests).toHaveLength(2);
  });

  it('of two builds for one platform is not made', async () => {
    const { builds, push, record, repositories, connect, ...rest } = await built();
    const records = [...rest.records, record('linux/amd64', push('linux/amd64', { content: 'another' }))];
    const doubled = await buildsOf({ ...rest, push, record, repositories, connect, records });
    const error = await failureOf(() => createIndexImage(doubled.builds, OPTIONS));
    expect(error.code).toBe('doubled-platform');
    expect(builds).toHaveLength(2);
  });
});

describe('a plain image of a single platform', () => {
  const PLAIN: IndexImageOptions = {
    ...OPTIONS,
    singlePlatform: 'manifest',
    annotations: {},
    descriptorAnnotations: () => ({}),
  };

  it('is the very manifest that was built', async () => {
    const { builds, images } = await built({ platforms: ['linux/amd64'] });
    const made = createIndexImage(builds, PLAIN);
    expect(made.content.bytes).toEqual(images.get('linux/amd64')?.manifest.bytes);
    expect(made.isPlain).toBe(true);
  });

  it('names nothing below it, and leaves the attestations behind', async () => {
    const { builds } = await built({ platforms: ['linux/amd64'] });
    expect(builds[0]?.built.image.attestations).toHaveLength(1);
    const made = createIndexImage(builds, PLAIN);
    expect(made.platforms.map(({ attestations }) => attestations)).toEqual([[]]);
    expect(childrenOf(made)).toEqual([]);
  });

  it('is not made of several platforms, which are named', async () => {
    const { builds } = await built();
    const error = await failureOf(() => createIndexImage(builds, PLAIN));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('linux/amd64, linux/arm64');
    expect(error.hint).toContain('single-platform');
  });

  it.each([
    ['on the index', { annotations: { title: 'x' } }],
    ['on a descriptor', { descriptorAnnotations: () => ({ title: 'x' }) }],
  ])('has no place for an annotation %s, and says so', async (_, change) => {
    const { builds } = await built({ platforms: ['linux/amd64'] });
    const error = await failureOf(() => createIndexImage(builds, { ...PLAIN, ...change }));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('title');
  });
});
