import { describe, expect, it } from 'vitest';
import { failureOf } from '../servers/clients.ts';
import { build } from './step.ts';

describe('the inputs of build', () => {
  it('have defaults', () => {
    expect(build()).toEqual({
      mode: 'build',
      retryBudget: 120_000,
      records: undefined,
      githubToken: undefined,
      insecureRegistries: new Set(),
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
      format: 'oci',
      matrixSize: undefined,
      matrixIndex: undefined,
      workflowRef: undefined,
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
      'matrix-index': '3',
      'workflow-ref': 'acme/app/.github/workflows/ci.yml@refs/heads/main',
      records: 'shared/records',
      'insecure-registries': 'Registry.internal:5000, 10.0.0.1',
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
      matrixIndex: 3,
      workflowRef: 'acme/app/.github/workflows/ci.yml@refs/heads/main',
      records: 'shared/records',
      insecureRegistries: new Set(['registry.internal:5000', '10.0.0.1']),
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

  it('know no matrix in a job that has none, whatever the runner counts', () => {
    const sizes = { 'matrix-size': '1', 'matrix-index': '0' };
    expect(build({ ...sizes, matrix: 'null' })).toMatchObject({
      matrixSize: undefined,
      matrixIndex: undefined,
    });
    expect(build({ ...sizes, matrix: '{}' })).toMatchObject({ matrixSize: 1, matrixIndex: 0 });
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
  const more = ['matrix', 'matrix-size', 'retention-days', 'retry-budget', 'github-token', 'records'];
  const runner = ['matrix-index', 'workflow-ref', 'insecure-registries'];

  it.each([...names, ...more, ...runner])('%s is the same as an absent one', name => {
    for (const value of ['', '  ', '\n']) expect(build({ [name]: value })).toEqual(build());
  });
});

describe('an input of build that is wrong', () => {
  it.each([
    [{ images: '' }, 'missing-input', 'images'],
    [{ images: '# none' }, 'missing-input', 'images'],
    [{ images: 'ghcr.io/acme/app:1' }, 'invalid-reference', 'ghcr.io/acme/app:1'],
    [{ images: 'ghcr.io/acme/app,Bad' }, 'invalid-reference', 'Bad'],
    [{ platform: 'linux/amd64,linux/arm64' }, 'invalid-platform', 'linux/amd64,linux/arm64'],
    [{ platform: 'linux' }, 'invalid-platform', 'linux'],
    [{ platform: '', matrix: '{' }, 'invalid-input', 'matrix'],
    [{ platform: '', matrix: '{"platform":"x"}' }, 'invalid-platform', 'x'],
    [{ component: 'My App' }, 'invalid-input', 'My App'],
    [{ 'matrix-size': '0' }, 'invalid-input', 'matrix-size'],
    [{ 'matrix-size': 'two' }, 'invalid-input', 'two'],
    [{ 'matrix-index': '-1' }, 'invalid-input', 'matrix-index'],
    [{ 'retention-days': '91' }, 'invalid-input', 'retention-days'],
    [{ 'retention-days': '1.5' }, 'invalid-input', '1.5'],
    [{ 'retry-budget': '-1' }, 'invalid-input', 'retry-budget'],
    [{ 'retry-budget': '1e3' }, 'invalid-input', '1e3'],
    [{ 'insecure-registries': 'http://registry' }, 'invalid-input', 'http://registry'],
    [{ 'insecure-registries': 'registry/path' }, 'invalid-input', 'registry/path'],
    [{ 'insecure-registries': 'user@registry' }, 'invalid-input', 'user@registry'],
    [{ 'insecure-registries': 'registry:x' }, 'invalid-input', 'registry:x'],
    [{ 'insecure-registries': 'registry?x' }, 'invalid-input', 'registry?x'],
  ])('%j is %s, with what was found and what to do', async (inputs, code, named) => {
    const error = await failureOf(() => build(inputs));
    expect(error.code).toBe(code);
    expect(error.message).toContain(named);
    expect(error.hint).toBeTruthy();
  });
});
