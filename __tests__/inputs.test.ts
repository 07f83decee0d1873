import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../src/errors.ts';
import { type BuildInputs, type MergeInputs, readInputs, readMode } from '../src/inputs.ts';
import { anyText } from './servers/arbitraries.ts';
import { failureOf } from './servers/clients.ts';

/** The environment of a step with these inputs, as the runner makes it. */
const step = (inputs: Record<string, string>): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]));

const BUILD = { mode: 'build', platform: 'linux/arm64', images: 'ghcr.io/acme/app' };
const MERGE = { mode: 'merge', tags: '1.2.3' };
const build = (inputs: Record<string, string> = {}): BuildInputs =>
  readInputs(step({ ...BUILD, ...inputs })) as BuildInputs;
const merge = (inputs: Record<string, string> = {}): MergeInputs =>
  readInputs(step({ ...MERGE, ...inputs })) as MergeInputs;

describe('the inputs of build', () => {
  it('have defaults', () => {
    expect(build()).toEqual({
      mode: 'build',
      retryBudget: 120_000,
      githubToken: undefined,
      platform: { os: 'linux', architecture: 'arm64' },
      images: [{ registry: 'ghcr.io', path: 'acme/app' }],
      component: 'app',
      builder: undefined,
      context: undefined,
      file: undefined,
      target: undefined,
      buildArgs: '',
      labels: '',
      cacheFrom: '',
      cacheTo: '',
      provenance: undefined,
      matrixSize: undefined,
      retentionDays: 1,
    });
  });

  it('are taken as they are given', () => {
    const inputs = build({
      component: 'my-app',
      builder: 'b',
      context: './sub',
      file: 'Containerfile',
      target: 'final',
      'build-args': 'A=1,2\nB=3',
      labels: 'a=b',
      'cache-from': 'type=gha',
      'cache-to': 'type=gha,mode=max',
      provenance: 'mode=max',
      'matrix-size': '4',
      'retention-days': '90',
      'retry-budget': '0',
      'github-token': 'token',
    });
    expect(inputs).toMatchObject({
      component: 'my-app',
      builder: 'b',
      context: './sub',
      file: 'Containerfile',
      target: 'final',
      buildArgs: 'A=1,2\nB=3',
      labels: 'a=b',
      cacheFrom: 'type=gha',
      cacheTo: 'type=gha,mode=max',
      provenance: 'mode=max',
      matrixSize: 4,
      retentionDays: 90,
      retryBudget: 0,
      githubToken: 'token',
    });
  });

  it('take lists by line or comma, without comments, blanks and doubles', () => {
    const images =
      '# where\nghcr.io/acme/app, quay.io/acme/app\n\n  ghcr.io/acme/app  \n,\n  # docker.io/acme/app';
    expect(build({ images }).images).toEqual([
      { registry: 'ghcr.io', path: 'acme/app' },
      { registry: 'quay.io', path: 'acme/app' },
    ]);
  });

  it('take the platform of the matrix row where none is said', () => {
    const matrix = JSON.stringify({ platform: 'linux/arm/v7', runner: 'x' });
    expect(build({ platform: '', matrix }).platform).toEqual({
      os: 'linux',
      architecture: 'arm',
      variant: 'v7',
    });
    expect(build({ platform: 'linux/amd64', matrix }).platform).toEqual({
      os: 'linux',
      architecture: 'amd64',
    });
  });

  it.each(['', 'null', '{}', '{"platform":5}', '[]', '"linux/amd64"'])(
    'lack a platform with the matrix row %j',
    async matrix => {
      const error = await failureOf(() => build({ platform: '', matrix }));
      expect(error.code).toBe('missing-input');
      expect(error.message).toContain('"platform"');
      expect(error.hint).toContain('matrix.platform');
    },
  );
});

describe('the inputs of merge', () => {
  it('have defaults', () => {
    expect(merge()).toEqual({
      mode: 'merge',
      retryBudget: 120_000,
      githubToken: undefined,
      platforms: undefined,
      component: undefined,
      tags: ['1.2.3'],
      sign: 'keyless',
      trustedRoot: undefined,
      signingConfig: undefined,
    });
  });

  it('are taken as they are given, each platform and tag once', () => {
    const inputs = merge({
      tags: 'latest,1.2\nlatest',
      platforms: 'linux/arm64,linux/aarch64\nlinux/amd64',
      component: 'app',
      sign: 'none',
      'trusted-root': 'root.json',
      'signing-config': 'config.json',
    });
    expect(inputs).toMatchObject({
      tags: ['latest', '1.2'],
      platforms: [
        { os: 'linux', architecture: 'arm64' },
        { os: 'linux', architecture: 'amd64' },
      ],
      component: 'app',
      sign: 'none',
      trustedRoot: 'root.json',
      signingConfig: 'config.json',
    });
  });
});

describe('an input of another mode', () => {
  it.each([
    ['build', 'platforms', 'linux/amd64', 'give it as "platform"'],
    ['build', 'tags', 'latest', 'Tags move in the merge'],
    ['build', 'trusted-root', 'root.json', 'mode: merge'],
    ['merge', 'images', 'ghcr.io/acme/app', 'names that the builds pushed to'],
    ['merge', 'platform', 'linux/amd64', '"platforms"'],
    ['merge', 'build-args', 'A=1', 'mode: build'],
  ])('is refused, not ignored: %s with %s', async (mode, name, value, remedy) => {
    const building = { INPUT_MODE: mode, INPUT_IMAGES: 'ghcr.io/acme/app', INPUT_PLATFORM: 'linux/amd64' };
    const base = mode === 'build' ? building : { INPUT_MODE: mode, INPUT_TAGS: 'latest' };
    const error = await failureOf(() => readInputs({ ...base, [`INPUT_${name.toUpperCase()}`]: value }));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(`"${name}" means nothing in "mode: ${mode}"`);
    expect(error.hint).toContain(remedy);
  });
});

describe('an empty input', () => {
  const names = [
    'component',
    'builder',
    'context',
    'file',
    'target',
    'build-args',
    'labels',
    'cache-from',
    'cache-to',
    'provenance',
  ];
  const more = ['matrix', 'matrix-size', 'retention-days', 'retry-budget', 'github-token'];

  it.each([...names, ...more])('%s is the same as an absent one', name => {
    for (const value of ['', '  ', '\n']) expect(build({ [name]: value })).toEqual(build());
  });

  it.each(['platforms', 'component', 'sign', 'trusted-root', 'signing-config', 'retry-budget'])(
    '%s is so in merge too',
    name => {
      for (const value of ['', '  ', '\n']) expect(merge({ [name]: value })).toEqual(merge());
    },
  );
});

describe('an input that is wrong', () => {
  it.each([
    [{}, 'missing-input', 'mode'],
    [{ mode: '' }, 'missing-input', 'mode'],
    [{ mode: 'push' }, 'unknown-mode', 'push'],
    [{ mode: 'Build' }, 'unknown-mode', 'Build'],
    [{ ...BUILD, images: '' }, 'missing-input', 'images'],
    [{ ...BUILD, images: '# none' }, 'missing-input', 'images'],
    [{ ...BUILD, images: 'ghcr.io/acme/app:1' }, 'invalid-reference', 'ghcr.io/acme/app:1'],
    [{ ...BUILD, images: 'ghcr.io/acme/app,Bad' }, 'invalid-reference', 'Bad'],
    [{ ...BUILD, platform: 'linux/amd64,linux/arm64' }, 'invalid-platform', 'linux/amd64,linux/arm64'],
    [{ ...BUILD, platform: 'linux' }, 'invalid-platform', 'linux'],
    [{ ...BUILD, platform: '', matrix: '{' }, 'invalid-input', 'matrix'],
    [{ ...BUILD, platform: '', matrix: '{"platform":"x"}' }, 'invalid-platform', 'x'],
    [{ ...BUILD, component: 'My App' }, 'invalid-input', 'My App'],
    [{ ...BUILD, 'matrix-size': '0' }, 'invalid-input', 'matrix-size'],
    [{ ...BUILD, 'matrix-size': 'two' }, 'invalid-input', 'two'],
    [{ ...BUILD, 'retention-days': '91' }, 'invalid-input', 'retention-days'],
    [{ ...BUILD, 'retention-days': '1.5' }, 'invalid-input', '1.5'],
    [{ ...BUILD, 'retry-budget': '-1' }, 'invalid-input', 'retry-budget'],
    [{ ...BUILD, 'retry-budget': '1e3' }, 'invalid-input', '1e3'],
    [{ ...MERGE, tags: '' }, 'missing-input', 'tags'],
    [{ ...MERGE, tags: 'a b' }, 'invalid-reference', 'a b'],
    [{ ...MERGE, platforms: 'linux/amd64,nonsense' }, 'invalid-platform', 'nonsense'],
    [{ ...MERGE, sign: 'keyles' }, 'invalid-input', 'keyles'],
    [{ ...MERGE, sign: 'true' }, 'invalid-input', 'sign'],
    [{ ...MERGE, component: '..' }, 'invalid-input', '..'],
  ])('%j is %s, with what was found and what to do', async (inputs, code, named) => {
    const error = await failureOf(() => readInputs(step(inputs)));
    expect(error.code).toBe(code);
    expect(error.message).toContain(named);
    expect(error.hint).toBeTruthy();
  });

  it('makes nothing but a ManifoldError, whatever it is', () => {
    const name = fc.constantFrom(
      'mode',
      'platform',
      'images',
      'component',
      'matrix',
      'matrix-size',
      'retention-days',
      'retry-budget',
      'tags',
      'platforms',
      'sign',
    );
    const value = fc.oneof(fc.string(), fc.json(), anyText);
    fc.assert(
      fc.property(
        fc.constantFrom(BUILD, MERGE),
        fc.dictionary(name, value, { maxKeys: 3 }),
        (valid, wrong) => {
          try {
            readInputs(step({ ...valid, ...wrong }));
          } catch (error) {
            expect(error).toBeInstanceOf(ManifoldError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

it('the mode alone can be read before everything else', async () => {
  expect(readMode(step({ mode: ' merge ' }))).toBe('merge');
  expect((await failureOf(() => readMode({}))).hint).toContain('build or merge');
});
