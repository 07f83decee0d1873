import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { parseTagEntry } from '../../src/oci/tags.ts';
import type { Publication, Target } from '../../src/publish/publication.ts';
import { bringChildren, keepChildren, pushIndex } from '../../src/publish/push.ts';
import { FAST, failureOf, SHORT } from '../servers/clients.ts';
import type { TestRegistry } from '../servers/registry.ts';
import { type Built, type BuiltOptions, publish, setUp } from './built.ts';

interface Options extends BuiltOptions {
  readonly keepTags?: string;
  /** Repositories that the image goes to, by the number of the registry and the name. */
  readonly targets?: readonly (readonly [registry: number, name: string])[];
  readonly singlePlatform?: 'manifest';
}

/** Builds, and the way to push what is made of them. */
async function built(options: Options = {}) {
  const all = await setUp(options);
  const { targets } = options;
  const images = targets?.map(([number, path]) => ({ registry: all.registries[number]?.host ?? '', path }));
  const { publication } = await publish(all, {
    destinations: {
      images: images === undefined ? undefined : () => images,
      tags: [parseTagEntry('1.0')],
      byDigestOnly: false,
    },
    ...(options.singlePlatform === undefined ? {} : { singlePlatform: options.singlePlatform }),
  });
  for (const { log } of all.registries) log.length = 0;
  const lines: string[] = [];
  const push = async () => {
    const { connect } = all;
    const onProgress = (line: string): unknown => lines.push(line);
    const everywhere = (work: (target: Target) => Promise<void>) =>
      Promise.all(publication.targets.map(work));
    await everywhere(target => bringChildren(publication, target, { connect, onProgress }));
    await everywhere(target => pushIndex(publication, target, new Map()));
    const { keepTags } = options;
    if (keepTags === undefined) return;
    const keeping = { template: keepTags, retry: options.retry ?? FAST };
    await everywhere(target => keepChildren(publication, target, keeping));
  };
  return { ...all, publication, push, lines };
}

const puts = ({ log }: TestRegistry): string[] =>
  log
    .filter(({ method, path }) => method === 'PUT' && path.includes('/manifests/'))
    .map(({ path }) => path.split('/').at(-1) ?? '');

/** All manifests below the index. */
const manifestsOf = ({ images }: Pick<Built, 'images'>): string[] =>
  [...images.values()].flatMap(({ manifest, attestation }) =>
    [manifest, attestation].flatMap(thing => thing?.descriptor.digest ?? []),
  );

const holds = (registry: TestRegistry | undefined, name: string, { image }: Publication): boolean =>
  registry?.repository(name).manifests.has(image.content.digest) === true;

describe('an image that is pushed by digest', () => {
  it('is one request where the builds are, and no tag', async () => {
    const all = await built({ registries: [{}, {}] });
    await all.push();
    for (const registry of all.registries) {
      expect(registry.log.map(({ method }) => method)).toEqual(['PUT']);
      expect(holds(registry, 'acme/app', all.publication)).toBe(true);
      expect(registry.repository('acme/app').tags.size).toBe(0);
    }
  });

  it('that is a plain manifest is there already', async () => {
    const all = await built({ platforms: ['linux/amd64'], singlePlatform: 'manifest' });
    await all.push();
    expect(all.registries[0]?.log).toEqual([]);
  });

  it('is none where one of its tags shows that it is there', async () => {
    const { publication, registries } = await built();
    const [target] = publication.targets as [Target];
    const shown = (name: string) => new Map([[`${name}:1.0`, publication.image.content]]);
    await pushIndex(publication, target, shown(target.client.name));
    expect(registries[0]?.log).toEqual([]);
    // A repository whose name begins alike is another one.
    await pushIndex(publication, target, shown(`${target.client.name}-api`));
    expect(holds(registries[0], 'acme/app', publication)).toBe(true);
  });

  it('waits for a registry that does not see the builds yet', async () => {
    const all = await built();
    const unknown = { errors: [{ code: 'MANIFEST_BLOB_UNKNOWN', message: 'unknown' }] };
    all.registries[0]?.on({
      method: 'PUT',
      times: 3,
      answer: (_, response) => sendJson(response, 404, unknown),
    });
    await all.push();
    expect(holds(all.registries[0], 'acme/app', all.publication)).toBe(true);
  });
});

describe('an image that goes where its builds did not', () => {
  it('is copied whole, within its registry by mounting, and the index comes last', async () => {
    const all = await built({ targets: [[0, 'acme/other']] });
    await all.push();
    const [registry] = all.registries as [TestRegistry];
    const arrived = registry.repository('acme/other');
    const held = registry.repository('acme/app');
    for (const digest of manifestsOf(all)) {
      expect(arrived.manifests.get(digest)?.bytes).toEqual(held.manifests.get(digest)?.bytes);
    }
    expect([...arrived.blobs.keys()].sort()).toEqual([...held.blobs.keys()].sort());
    expect(registry.count('PUT', /\/blobs\//)).toBe(0);
    expect(puts(registry).at(-1)).toBe(all.publication.image.content.digest);
    expect(arrived.tags.size).toBe(0);
    expect(all.lines.length).toBeGreaterThan(0);
    expect(all.lines.join('\n')).toContain('acme/other');
  });

  it('is copied to another registry, what several platforms share once', async () => {
    const all = await built({
      registries: [{}, {}],
      to: 1,
      targets: [
        [0, 'acme/app'],
        [1, 'acme/app'],
      ],
    });
    const shared = JSON.parse(all.images.get('linux/amd64')?.manifest.bytes.toString() ?? '').layers[0]
      .digest;
    await all.push();
    const [, second] = all.registries as [TestRegistry, TestRegistry];
    expect(holds(second, 'acme/app', all.publication)).toBe(true);
    expect(second.count('PUT', new RegExp(`digest=${encodeURIComponent(shared)}|digest=${shared}`))).toBe(1);
    expect(puts(all.registries[0] as TestRegistry)).toEqual([all.publication.image.content.digest]);
  });

  it('comes from a name in the same registry, where one is, though it was read elsewhere', async () => {
    const all = await built({
      registries: [{}, {}],
      targets: [
        [0, 'acme/app'],
        [1, 'acme/other'],
      ],
    });
    await all.push();
    const [first, second] = all.registries as [TestRegistry, TestRegistry];
    expect(first.count('GET', /./)).toBe(0);
    expect(second.count('PUT', /\/blobs\//)).toBe(0);
    expect(second.count('POST', /from=acme(?:%2F|\/)app/)).toBeGreaterThan(0);
    expect(holds(second, 'acme/other', all.publication)).toBe(true);
  });

  it('comes from another name of the builds where one has lost it', async () => {
    const all = await built({
      registries: [{}, {}, {}],
      to: 2,
      targets: [[2, 'acme/release']],
      retry: SHORT,
    });
    const [, lost] = [...all.images.values()];
    const digest = lost?.manifest.descriptor.digest ?? '';
    all.registries[0]?.repository('acme/app').manifests.delete(digest);
    await all.push();
    expect(all.registries[2]?.repository('acme/release').manifests.get(digest)?.bytes).toEqual(
      lost?.manifest.bytes,
    );
  });

  it('waits for a source that does not show what was pushed to it a moment ago', async () => {
    const all = await built({
      registries: [{}, {}],
      targets: [
        [0, 'acme/app'],
        [1, 'acme/other'],
      ],
    });
    all.registries[1]?.on({
      method: 'GET',
      path: /acme\/app\/manifests/,
      times: 3,
      answer: (_, response) => sendJson(response, 404, {}),
    });
    await all.push();
    expect(holds(all.registries[1], 'acme/other', all.publication)).toBe(true);
  });

  it('as a plain manifest is copied too', async () => {
    const all = await built({
      platforms: ['linux/amd64'],
      singlePlatform: 'manifest',
      targets: [[0, 'acme/other']],
    });
    await all.push();
    expect(holds(all.registries[0], 'acme/other', all.publication)).toBe(true);
  });

  it('leaves no index there when a child cannot be copied', async () => {
    const all = await built({ targets: [[0, 'acme/other']], retry: SHORT });
    const { manifest } = all.images.get('linux/arm64') ?? {};
    all.registries[0]?.on({
      method: 'PUT',
      path: new RegExp(`acme/other/manifests/${manifest?.descriptor.digest}`),
      answer: (_, response) => sendJson(response, 403, {}),
    });
    expect((await failureOf(all.push)).code).toBe('registry-forbidden');
    expect(holds(all.registries[0], 'acme/other', all.publication)).toBe(false);
  });
});

describe('children that are kept by tags', () => {
  it.each([
    ['where they were built', 'acme/app'],
    ['where they were copied to', 'acme/other'],
  ])('have one each, images and attestations, after the index: %s', async (_, name) => {
    const all = await built({ keepTags: 'keep-{{arch}}-{{short}}', targets: [[0, name]] });
    await all.push();
    const [registry] = all.registries as [TestRegistry];
    const short = (digest = '') => digest.slice('sha256:'.length, 'sha256:'.length + 12);
    const expected = [...all.images].flatMap(([platform, { manifest, attestation }]) => [
      [`keep-${platform.split('/')[1]}-${short(manifest.descriptor.digest)}`, manifest.descriptor.digest],
      [`keep-unknown-${short(attestation?.descriptor.digest)}`, attestation?.descriptor.digest],
    ]);
    expect(new Set(registry.repository(name).tags)).toEqual(new Set(expected));
    const inOrder = puts(registry);
    const first = inOrder.findIndex(reference => reference.startsWith('keep-'));
    expect(inOrder.slice(first)).toHaveLength(4);
    expect(inOrder.indexOf(all.publication.image.content.digest)).toBe(first - 1);
  });

  it('are none without a template', async () => {
    const all = await built();
    await all.push();
    expect(all.registries[0]?.repository('acme/app').tags.size).toBe(0);
  });

  it('that cannot be tagged are an error, and the image is there all the same', async () => {
    const all = await built({ keepTags: 'keep-{{digest}}' });
    all.registries[0]?.on({
      method: 'PUT',
      path: /\/manifests\/keep-/,
      answer: (_, response) => sendJson(response, 403, {}),
    });
    expect((await failureOf(all.push)).code).toBe('registry-forbidden');
    expect(holds(all.registries[0], 'acme/app', all.publication)).toBe(true);
  });

  it.each(['does not exist', 'points at'])(
    'are read back: a tag that the registry took and that %s',
    async end => {
      const all = await built({ keepTags: 'keep-{{digest}}', retry: SHORT });
      const [registry] = all.registries as [TestRegistry];
      const contents = registry.repository('acme/app');
      const [other] = [...contents.manifests.keys()];
      const { digest } = all.images.get('linux/arm64')?.attestation?.descriptor ?? {};
      const tag = `keep-${digest?.slice('sha256:'.length)}`;
      registry.on({
        method: 'PUT',
        path: new RegExp(`/manifests/${tag}`),
        answer: (_, response) => {
          if (end === 'points at') contents.tags.set(tag, other ?? '');
          response.writeHead(201).end();
        },
      });
      const error = await failureOf(all.push);
      expect(error.code).toBe('tag-moved');
      expect(error.message).toContain(`took the tag for ${digest}, but ${all.names[0]}:${tag} ${end}`);
      expect(error.hint).toContain('"keep-tags"');
    },
  );

  it('are looked for again where the registry shows them late', async () => {
    const all = await built({ keepTags: 'keep-{{digest}}' });
    const [registry] = all.registries as [TestRegistry];
    registry.on({
      method: 'HEAD',
      path: /\/manifests\/keep-/,
      times: 6,
      answer: (_, response) => void response.writeHead(404).end(),
    });
    await all.push();
    expect(registry.repository('acme/app').tags.size).toBe(4);
    expect(registry.count('HEAD', /\/manifests\/keep-/)).toBe(10);
  });

  it('are waited for where the registry does not see their parts yet', async () => {
    const all = await built({ keepTags: 'keep-{{digest}}' });
    const [registry] = all.registries as [TestRegistry];
    const lag = (method: string, path: RegExp, code: string) =>
      registry.on({
        method,
        path,
        times: 2,
        answer: (_, response) => sendJson(response, 404, { errors: [{ code, message: code }] }),
      });
    lag('PUT', /\/manifests\/keep-/, 'BLOB_UNKNOWN');
    lag('GET', /\/manifests\/sha256/, 'MANIFEST_UNKNOWN');
    await all.push();
    expect(registry.repository('acme/app').tags.size).toBe(4);
  });
});
