import { describe, expect, it } from 'vitest';
import { formatPlatform } from '../../src/oci/platform.ts';
import { formatTagEntry } from '../../src/oci/tags.ts';
import { failureOf } from '../servers/clients.ts';
import { merge } from './step.ts';

const OF_ITS_OWN = { 'trusted-root': 'root.json', 'signing-config': 'config.json' };

describe('the inputs of merge', () => {
  it('have defaults', () => {
    expect(merge()).toEqual({
      mode: 'merge',
      retryBudget: 120_000,
      records: undefined,
      githubToken: undefined,
      insecureRegistries: new Set(),
      components: [],
      platforms: undefined,
      allowMissing: [],
      images: undefined,
      tags: [{ tag: '1.2.3' }],
      metadata: undefined,
      pushByDigestOnly: false,
      annotations: [],
      format: 'oci',
      singlePlatform: 'index',
      platformTagSuffix: undefined,
      keepTags: undefined,
      tagPolicy: 'newest',
      immutableTags: [],
      sign: undefined,
      key: undefined,
      signatureFormats: ['bundle'],
      signatureAnnotations: {},
      audience: 'sigstore',
      trustedRoot: undefined,
      signingConfig: undefined,
      run: undefined,
    });
  });

  it.each([
    [{ component: 'app, app-api\napp' }, { components: ['app', 'app-api'] }],
    [
      { 'push-by-digest-only': 'true', tags: '' },
      { pushByDigestOnly: true, tags: [] },
    ],
    [{ 'push-by-digest-only': 'False' }, { pushByDigestOnly: false }],
    [{ 'oci-mediatypes': 'false' }, { format: 'docker' }],
    [{ 'oci-mediatypes': 'TRUE' }, { format: 'oci' }],
    [{ 'single-platform': 'manifest' }, { singlePlatform: 'manifest' }],
    [{ 'platform-tag-suffix': '-{{arch}}' }, { platformTagSuffix: '-{{arch}}' }],
    [{ 'keep-tags': 'keep-{{short}}' }, { keepTags: 'keep-{{short}}' }],
    [{ 'keep-tags': 'keep-{{platform}}-{{digest}}' }, { keepTags: 'keep-{{platform}}-{{digest}}' }],
    [{ 'tag-policy': 'never-move' }, { tagPolicy: 'never-move' }],
    [{ 'tag-policy': 'overwrite' }, { tagPolicy: 'overwrite' }],
    [{ 'immutable-tags': 'v*.*.*, ?.0\n# all\nstable' }, { immutableTags: ['v*.*.*', '?.0', 'stable'] }],
    [{ sign: 'none' }, { sign: [] }],
    [OF_ITS_OWN, { trustedRoot: 'root.json', signingConfig: 'config.json' }],
    [{ records: 'shared' }, { records: 'shared' }],
    [{ 'github-token': 'token' }, { githubToken: 'token' }],
    [{ 'insecure-registries': 'localhost:5000' }, { insecureRegistries: new Set(['localhost:5000']) }],
    [{ 'run-id': '123' }, { run: { id: '123', repository: undefined } }],
    [{ 'run-id': '123', repository: 'acme/.app' }, { run: { id: '123', repository: 'acme/.app' } }],
  ])('%j are read as %j', (inputs, expected) => {
    expect(merge(inputs as unknown as Record<string, string>)).toMatchObject(expected);
  });

  it.each([
    ['platforms', (text: string) => merge({ platforms: text }).platforms],
    ['allow-missing', (text: string) => merge({ 'allow-missing': text }).allowMissing],
  ])('take "%s" in every spelling, each platform once', (_, read) => {
    const found = read('linux/arm64, aarch64\nlinux/arm64/v8\n# more\nx86_64\narmhf,linux/arm/v6');
    expect(found?.map(formatPlatform)).toEqual([
      'linux/arm64',
      'linux/amd64',
      'linux/arm/v7',
      'linux/arm/v6',
    ]);
  });

  it('take tags, bare and with their repositories, by line or comma', () => {
    const { tags } = merge({ tags: '# all\n1.2.3, latest\n\nghcr.io/acme/app:edge , localhost:5000/app:1' });
    expect(tags.map(formatTagEntry)).toEqual([
      '1.2.3',
      'latest',
      'ghcr.io/acme/app:edge',
      'localhost:5000/app:1',
    ]);
  });

  it('take annotations by line, with their commas, quotes and lines', () => {
    const text = 'index:title=one, two\n"index:text=first\nsecond ""third"""\n# none\nindex:a=say "hi"';
    expect(merge({ annotations: text }).annotations.map(({ key, value }) => [key, value])).toEqual([
      ['title', 'one, two'],
      ['text', 'first\nsecond "third"'],
      ['a', 'say "hi"'],
    ]);
  });

  it('take what docker/metadata-action wrote', () => {
    const { metadata } = merge({ tags: '', metadata: '{"tags":["ghcr.io/acme/app:1"]}' });
    expect(metadata?.tags.map(formatTagEntry)).toEqual(['ghcr.io/acme/app:1']);
  });

  it('take images, with what stands for the component', () => {
    const images = 'ghcr.io/acme/{{component}}\nname=quay.io/acme/app,enable=false';
    expect(merge({ images }).images).toEqual(['ghcr.io/acme/{{component}}']);
  });
});

describe('an empty input', () => {
  it.each(
    [
      ['component', 'platforms', 'allow-missing', 'images', 'metadata', 'push-by-digest-only', 'annotations'],
      ['oci-mediatypes', 'single-platform', 'platform-tag-suffix', 'keep-tags', 'tag-policy'],
      ['immutable-tags', 'sign', 'trusted-root', 'signing-config', 'run-id', 'repository', 'records'],
      ['retry-budget', 'github-token', 'insecure-registries'],
    ].flat(),
  )('%s is the same as an absent one', name => {
    for (const value of ['', '  ', '\n']) expect(merge({ [name]: value })).toEqual(merge());
  });
});

describe('an input of merge that is wrong', () => {
  it.each([
    [{ tags: 'a b' }, 'invalid-reference', 'a b'],
    [{ tags: 'ghcr.io/acme/app' }, 'invalid-reference', 'no tag'],
    [{ tags: 'app@sha256:0' }, 'invalid-reference', 'digest'],
    [{ platforms: 'linux/amd64,nonsense' }, 'invalid-platform', 'nonsense'],
    [{ 'allow-missing': 'nonsense' }, 'invalid-platform', 'nonsense'],
    [{ component: '..' }, 'invalid-input', '..'],
    [{ component: 'app,My App' }, 'invalid-input', 'My App'],
    [{ images: 'ghcr.io/acme/app:1' }, 'invalid-reference', 'ghcr.io/acme/app:1'],
    [{ metadata: 'ghcr.io/acme/app:1' }, 'invalid-input', 'metadata'],
    [{ 'push-by-digest-only': 'yes' }, 'invalid-input', 'push-by-digest-only'],
    [{ annotations: 'title' }, 'invalid-input', 'title'],
    [{ 'oci-mediatypes': 'no' }, 'invalid-input', 'oci-mediatypes'],
    [{ 'single-platform': 'image' }, 'invalid-input', 'single-platform'],
    [{ 'keep-tags': 'keep' }, 'invalid-input', 'names no digest'],
    [{ 'keep-tags': 'keep-{{sha}}-{{short}}' }, 'invalid-input', '{{sha}}'],
    [{ 'keep-tags': 'keep {{short}}' }, 'invalid-reference', 'no tag'],
    [{ 'tag-policy': 'never' }, 'invalid-input', 'tag-policy'],
    [{ 'immutable-tags': 'v*,/^v/' }, 'invalid-input', '/^v/'],
    [{ sign: 'keyles' }, 'invalid-input', 'keyles'],
    [{ sign: 'true' }, 'invalid-input', 'sign'],
    [{ 'trusted-root': 'root.json' }, 'missing-input', '"signing-config"'],
    [{ 'signing-config': 'config.json' }, 'missing-input', '"trusted-root"'],
    [{ 'run-id': '0' }, 'invalid-input', 'run-id'],
    [{ 'run-id': 'latest' }, 'invalid-input', 'latest'],
    [{ 'run-id': '99999999999999999999' }, 'invalid-input', 'run-id'],
    [{ 'run-id': '1', repository: 'acme' }, 'invalid-input', 'acme'],
    [{ 'run-id': '1', repository: 'acme/app/x' }, 'invalid-input', 'acme/app/x'],
    [{ repository: 'acme/app' }, 'missing-input', '"run-id"'],
  ])('%j is %s, with what was found and what to do', async (inputs, code, named) => {
    const error = await failureOf(() => merge(inputs));
    expect(error.code).toBe(code);
    expect(error.message).toContain(named);
    expect(error.hint).toBeTruthy();
  });

  it('does not leave its line in the log', async () => {
    const repository = 'acme/app\n::warning::x';
    expect((await failureOf(() => merge({ 'run-id': '1', repository }))).message).not.toContain('\n');
  });
});
