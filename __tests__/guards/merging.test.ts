import { describe, expect, it } from 'vitest';
import { parseTagEntry } from '../../src/oci/tags.ts';
import { failureOf } from '../servers/clients.ts';
import type { TestRegistry } from '../servers/registry.ts';
import { startRun, tagEntries } from '../servers/run.ts';

const OLD = `sha256:${'0'.repeat(64)}`;
const UNSIGNED = { sign: [], trustedRoot: undefined, signingConfig: undefined } as const;
const BOTH = ['linux/amd64', 'linux/arm64'];

async function built(...kinds: Parameters<typeof startRun>) {
  const run = await startRun(...kinds);
  for (const platform of BOTH) await run.build(platform);
  return run;
}

const writes = (registry: TestRegistry | undefined): number => registry?.count('PUT', /./) ?? -1;

describe('the tags of a merge', () => {
  it('move after all registries hold every signature, and have shown it', async () => {
    const run = await built({ referrers: 'api' }, { referrers: 'api' });
    const order: string[] = [];
    for (const registry of run.registries) {
      registry.on({
        answer: ({ method, path }) => {
          const [, tag] = /\/manifests\/(?:(1\.0|latest)|keep-.*)$/.exec(path) ?? ['', 'none'];
          if (method === 'PUT') order.push(tag === 'none' ? 'content' : tag === undefined ? 'keep' : 'tag');
          else if (path.includes('/referrers/')) order.push('look');
        },
      });
    }
    await run.merge({ keepTags: 'keep-{{short}}' });
    expect(order.filter(step => step === 'tag')).toHaveLength(4);
    // Two images and their attestations, in each registry; what is not signed gets no name at all.
    expect(order.filter(step => step === 'keep')).toHaveLength(8);
    expect(order.indexOf('keep')).toBeGreaterThan(order.lastIndexOf('content'));
    expect(order.indexOf('keep')).toBeGreaterThan(order.lastIndexOf('look'));
    expect(order.indexOf('tag')).toBeGreaterThan(order.lastIndexOf('keep'));
  });

  it('are none, nor one that keeps a child, where a signature is not shown', async () => {
    const run = await built({ referrers: 'api' });
    run.registries[0]?.on({
      method: 'PUT',
      path: /\/manifests\/sha256:/,
      answer: ({ body }, response) => {
        const subject = JSON.parse(body.toString()).subject?.digest;
        if (subject !== undefined) response.writeHead(201, { 'oci-subject': subject }).end();
      },
    });
    const error = await failureOf(() => run.merge({ keepTags: 'keep-{{short}}', retryBudget: 0 }));
    expect(error.code).toBe('signature-unverified');
    expect(run.tags()).toEqual({});
  });

  it('that never move are looked at before anything is pushed', async () => {
    const run = await built();
    const [registry] = run.registries;
    const older = (await run.merge({ ...UNSIGNED, tags: tagEntries('other') })).outputs.digest ?? '';
    await run.build('linux/arm64', { attempt: 2, content: 'mended' });
    registry?.repository('acme/app').tags.set('1.0', older);
    const before = writes(registry);
    const error = await failureOf(() => run.merge({ immutableTags: ['1.*'] }, 2));
    expect(error.code).toBe('tag-immutable');
    expect(writes(registry)).toBe(before);
    expect(run.sigstore.log).toEqual([]);
  });

  it('that never move are looked at again when signing is done', async () => {
    const run = await built({ referrers: 'api' });
    const tags = run.registries[0]?.repository('acme/app').tags;
    const older = (await run.merge({ ...UNSIGNED, tags: tagEntries('other') })).outputs.digest ?? '';
    await run.build('linux/arm64', { attempt: 2, content: 'mended' });
    // Another run publishes the same version meanwhile.
    run.sigstore.on('/api/v2/signingCert', () => void tags?.set('1.0', older));
    const error = await failureOf(() => run.merge({ immutableTags: ['1.*'], tagPolicy: 'overwrite' }, 2));
    expect(error.code).toBe('tag-immutable');
    expect(run.tags()).toEqual({ '1.0': older, other: older });
  });

  it('that another run moved to a newer image meanwhile stay there', async () => {
    const run = await built({ referrers: 'api' });
    const tags = run.registries[0]?.repository('acme/app').tags;
    const newer = (await run.merge({ ...UNSIGNED, tags: tagEntries('2.0.0') })).outputs.digest ?? '';
    run.sigstore.on('/api/v2/signingCert', () => void tags?.set('latest', newer));
    const told = await run.merge({ tags: tagEntries('1.0.0', 'latest') });
    expect(run.tags()).toMatchObject({ latest: newer, '1.0.0': told.outputs.digest });
    expect(told.outputs['unmoved-tags']).toBe(`${run.images[0]}:latest`);
    expect(JSON.parse(told.outputs.json ?? '').components.app).toMatchObject({
      tags: [`${run.images[0]}:1.0.0`],
      unmoved: [{ name: `${run.images[0]}:latest`, reason: expect.stringContaining('version 2.0.0') }],
    });
    expect(told.lines.join('\n')).toContain('latest stays where it is');
  });
});

describe('the tags of a merge that signs nothing', () => {
  /** A run whose merge copies from the first registry to the second, and another image in the first. */
  async function copying(other: string) {
    const run = await startRun({}, {});
    for (const platform of BOTH) await run.build(platform, { to: 1 });
    const { outputs } = await run.merge({ ...UNSIGNED, tags: tagEntries(other) });
    const [first, second] = run.registries;
    /** While blobs are on their way, another run points a tag at its own image. */
    const meanwhile = (tag: string): void =>
      second?.on({
        method: 'PUT',
        path: /\/blobs\//,
        answer: () => void first?.repository('acme/app').tags.set(tag, outputs.digest ?? ''),
      });
    return { run, meanwhile, digest: outputs.digest ?? '', inputs: { ...UNSIGNED, images: run.images } };
  }

  it('that never move are respected when they appear during copying', async () => {
    const { run, meanwhile, digest, inputs } = await copying('other');
    await run.build('linux/arm64', { attempt: 2, content: 'mended', to: 1 });
    meanwhile('1.0');
    const immutable = { immutableTags: ['1.*'], tagPolicy: 'overwrite' } as const;
    const error = await failureOf(() => run.merge({ ...inputs, ...immutable }, 2));
    expect(error.code).toBe('tag-immutable');
    expect(run.tags()).toEqual({ '1.0': digest, other: digest });
    expect(run.tags(1)).toEqual({});
  });

  it('that never move are looked at before anything is copied', async () => {
    const { run, digest, inputs } = await copying('other');
    await run.build('linux/arm64', { attempt: 2, content: 'mended', to: 1 });
    run.registries[0]?.repository('acme/app').tags.set('1.0', digest);
    const error = await failureOf(() => run.merge({ ...inputs, immutableTags: ['1.*'] }, 2));
    expect(error.code).toBe('tag-immutable');
    expect(writes(run.registries[1])).toBe(0);
  });

  it('that another run moved to a newer image during copying stay there', async () => {
    const { run, meanwhile, digest, inputs } = await copying('2.0.0');
    meanwhile('latest');
    const told = await run.merge({ ...inputs, tags: tagEntries('1.0.0', 'latest') });
    expect(run.tags()).toEqual({ '1.0.0': told.outputs.digest, latest: digest, '2.0.0': digest });
    expect(run.tags(1)).toEqual({ '1.0.0': told.outputs.digest, latest: told.outputs.digest });
    expect(told.outputs['unmoved-tags']).toBe(`${run.images[0]}:latest`);
    expect(told.lines.join('\n')).toContain('latest stays where it is');
  });

  it('are told with what they pointed at before', async () => {
    const { run, digest, inputs } = await copying('latest');
    await run.build('linux/arm64', { attempt: 2, content: 'mended', to: 1 });
    const told = await run.merge({ ...inputs, images: undefined }, 2);
    const [name] = run.images;
    expect(told.lines).toContain(`Tagged ${name}:1.0 (new).`);
    expect(told.lines).toContain(`Tagged ${name}:latest (was ${digest}).`);
    const again = await run.merge({ ...inputs, images: undefined }, 3);
    expect(again.lines).toContain(`Tagged ${name}:latest (as before).`);
  });
});

describe('a merge to where the builds did not push', () => {
  it('copies what its platforms share once', async () => {
    const run = await startRun({}, {});
    const [pushed] = [await run.build('linux/amd64', { to: 1 }), await run.build('linux/arm64', { to: 1 })];
    const layer = JSON.parse(pushed?.manifest.bytes.toString() ?? '').layers[0].digest.slice(
      'sha256:'.length,
    );
    const told = await run.merge({ ...UNSIGNED, images: run.images });
    for (const position of [0, 1]) {
      expect(run.tags(position)).toEqual({ '1.0': told.outputs.digest, latest: told.outputs.digest });
    }
    const uploads = run.registries[1]?.log.filter(
      ({ method, path }) => method === 'PUT' && path.includes('/blobs/') && path.includes(layer),
    );
    expect(uploads).toHaveLength(1);
    expect(told.lines.filter(line => line.includes(layer))).toHaveLength(1);
  });
});

describe('a merge of several components', () => {
  const PLAN = ['app', 'app-api', 'app.api'];

  async function planned(change: Record<string, object> = {}) {
    const run = await startRun();
    const components = PLAN.map(component => ({
      component,
      images: run.imagesOf(component),
      platforms: BOTH,
      tags: ['1.0'],
      needed: true,
      ...change[component],
    }));
    await run.plan(components);
    return run;
  }

  it('gives each its own image, though their names begin alike', async () => {
    const run = await planned();
    for (const component of PLAN) {
      for (const platform of BOTH) await run.build(platform, { component, content: component });
    }
    const told = await run.merge({ ...UNSIGNED, tags: [] });
    const { components } = JSON.parse(told.outputs.json ?? '');
    expect(Object.keys(components).sort()).toEqual([...PLAN].sort());
    expect(told.outputs.digest).toBeUndefined();
    for (const component of PLAN) {
      expect(run.tags(0, component)).toEqual({ '1.0': components[component].digest });
      expect(components[component].tags).toEqual([`${run.imagesOf(component)[0]}:1.0`]);
    }
    expect(new Set(PLAN.map(component => components[component].digest)).size).toBe(3);
    expect(told.pages).toHaveLength(3);
  });

  it('publishes none of them when one lacks a platform', async () => {
    const run = await planned();
    for (const component of PLAN) await run.build('linux/amd64', { component });
    for (const component of PLAN.slice(1)) await run.build('linux/arm64', { component });
    const error = await failureOf(() => run.merge({ ...UNSIGNED, tags: [] }));
    expect(error.code).toBe('missing-platform');
    expect(writes(run.registries[0])).toBe(0);
  });

  it('has nothing to do where the plan needs nothing: that is said, and no registry is asked', async () => {
    const none = { needed: false };
    const run = await planned({ app: none, 'app-api': none, 'app.api': none });
    const told = await run.merge({ ...UNSIGNED, tags: [] });
    expect(told.lines.join('\n')).toContain('nothing to merge');
    expect(JSON.parse(told.outputs.json ?? '')).toEqual({ components: {} });
    expect(told.outputs.tags).toBe('');
    expect(run.registries[0]?.log).toEqual([]);
  });
});

it('a platform that may be missing is named in outputs, log and page', async () => {
  const run = await startRun();
  await run.build('linux/amd64');
  const allowMissing = [{ os: 'linux', architecture: 'arm64' }];
  const platforms = [{ os: 'linux', architecture: 'amd64' }, ...allowMissing];
  const inputs = { components: ['app'], platforms, allowMissing, tags: [parseTagEntry('1.0')] };
  const told = await run.merge({ ...UNSIGNED, ...inputs });
  expect(JSON.parse(told.outputs.json ?? '').components.app.missing).toEqual(['linux/arm64']);
  expect(told.lines.join('\n')).toContain('published without linux/arm64');
  expect(told.pages.join()).toContain('Published without linux/arm64');
  expect(run.tags()).not.toEqual({ '1.0': OLD });
});
