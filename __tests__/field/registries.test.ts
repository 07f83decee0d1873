import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { parseAnnotation } from '../../src/oci/annotations.ts';
import { formatRecord } from '../../src/records/record.ts';
import { failureOf } from '../servers/clients.ts';
import { ORIGIN, TYPES } from '../servers/images.ts';
import type { TestRegistry } from '../servers/registry.ts';
import { startRun, tagEntries } from '../servers/run.ts';

// What people who publish multi-platform images got hurt by, as far as it is about registries and what they keep.

type Run = Awaited<ReturnType<typeof startRun>>;
/** Retries as in production: in these runs the faults pass. */
const PATIENT = { retryBudget: 30_000 };
const BOTH = ['linux/amd64', 'linux/arm64'] as const;

async function built(...kinds: Parameters<typeof startRun>): Promise<Run> {
  const run = await startRun(...kinds);
  for (const platform of BOTH) await run.build(platform);
  return run;
}

const registryOf = (run: Run, position = 0): TestRegistry => run.registries[position] as TestRegistry;

/** The document that a tag points at. */
function tagged(run: Run, tag: string, position = 0) {
  const contents = registryOf(run, position).repository('acme/app');
  return JSON.parse(String(contents.manifests.get(contents.tags.get(tag) ?? '')?.bytes));
}

describe('a registry that lags', () => {
  it.each([
    ['does not find a manifest that was just pushed', /\/manifests\/sha256:/, 404, 'MANIFEST_UNKNOWN'],
    ['does not find a config that was just pushed', /\/blobs\/sha256:/, 404, 'BLOB_UNKNOWN'],
  ])('%s: it is asked again', async (_, path, status, code) => {
    const run = await built();
    const answer = { errors: [{ code }] };
    registryOf(run).on({
      method: 'GET',
      path,
      times: 2,
      answer: (_request, response) => sendJson(response, status, answer),
    });
    const { outputs } = await run.merge({ ...PATIENT, sign: [] });
    expect(run.tags()).toEqual({ '1.0': outputs.digest, latest: outputs.digest });
  });

  it('does not know the children of an index yet: it is told again', async () => {
    const run = await built();
    registryOf(run).on({
      method: 'PUT',
      times: 2,
      answer: (_, response) => sendJson(response, 404, { errors: [{ code: 'MANIFEST_BLOB_UNKNOWN' }] }),
    });
    await run.merge({ ...PATIENT, sign: [] });
    expect(Object.keys(run.tags())).toEqual(['1.0', 'latest']);
  });
});

describe('a rate limit', () => {
  it.each([
    ['429 with Retry-After', 429, { 'retry-after': '0' }, {}],
    [
      '403, as GHCR sends its secondary limit',
      403,
      {},
      { message: 'You have exceeded a secondary rate limit' },
    ],
  ])('of a registry (%s) is waited for', async (_, status, headers, body) => {
    const run = await built({ referrers: 'api' });
    let count = 0;
    registryOf(run).on({
      answer: (_request, response) => {
        // Every fifth request of the whole merge, signing and tagging included.
        if (++count % 5 === 0) sendJson(response, status, body, headers);
      },
    });
    const { outputs } = await run.merge(PATIENT);
    expect(run.tags()).toEqual({ '1.0': outputs.digest, latest: outputs.digest });
  });

  it('of Fulcio and Rekor is waited for', async () => {
    const run = await built();
    for (const path of ['/api/v2/signingCert', '/api/v1/log/entries']) {
      let left = 2;
      run.sigstore.on(path, (_, response) => {
        if (left-- > 0) sendJson(response, 429, {}, { 'retry-after': '0' });
      });
    }
    await run.merge(PATIENT);
    expect(Object.keys(run.tags())).toEqual(['1.0', 'latest']);
  });
});

it('manifests without a tag keep one of their own, for registries that clean up', async () => {
  const run = await built();
  const { outputs } = await run.merge({ sign: [], keepTags: 'keep-{{short}}' });
  const contents = registryOf(run).repository('acme/app');
  const kept = [...contents.tags].filter(([tag]) => tag.startsWith('keep-')).map(([, digest]) => digest);
  const index = JSON.parse(String(contents.manifests.get(outputs.digest ?? '')?.bytes));
  expect(kept.sort()).toEqual(index.manifests.map(({ digest }: { digest: string }) => digest).sort());
});

describe('annotations', () => {
  const METADATA = {
    tags: tagEntries('1.0'),
    version: '1.0.0',
    labels: {},
    annotations: [
      'manifest:org.opencontainers.image.title=The "app" = ü',
      'manifest:org.opencontainers.image.created=2030-01-01T00:00:00Z',
    ].map(parseAnnotation),
  };

  it('of docker/metadata-action reach the index, and it is said where they went', async () => {
    const run = await built();
    const told = await run.merge({ sign: [], tags: [], metadata: METADATA });
    expect(tagged(run, '1.0').annotations).toMatchObject({
      'org.opencontainers.image.title': 'The "app" = ü',
      'org.opencontainers.image.version': '1.0.0',
      'org.opencontainers.image.source': 'https://github.com/acme/app',
    });
    expect(told.lines.join()).toContain('were put on the index: org.opencontainers.image.title');
  });

  it('have one time of creation for all, the same in a re-run', async () => {
    const run = await built();
    const first = await run.merge({ sign: [], tags: [], metadata: METADATA });
    expect(tagged(run, '1.0').annotations['org.opencontainers.image.created']).toBe(
      '2026-11-21T10:00:00.000Z',
    );
    const second = await run.merge({ sign: [], tags: [], metadata: METADATA }, 2);
    expect(second.outputs.digest).toBe(first.outputs.digest);
  });

  it('with spaces, quotes and newlines arrive as they were written, on index and descriptor', async () => {
    const run = await built();
    const value = `it's "a" b=c\nand more`;
    await run.merge({
      sign: [],
      annotations: [`index:note=${value}`, `manifest-descriptor[linux/arm64]:note=${value}`].map(
        parseAnnotation,
      ),
    });
    const { annotations, manifests } = tagged(run, '1.0');
    expect(annotations.note).toBe(value);
    expect(manifests[2].annotations).toEqual({ note: value });
    expect(manifests[0].annotations).toBeUndefined();
  });
});

describe('a tag', () => {
  /**
   * A run of the same repository, earlier or later than the others, that publishes to the same registry.
   * @param told number of the run, time of its builds, and the version if there is one
   */
  async function published(told: string) {
    const [runId = '', minute, version] = told.split(' ');
    const run = await startRun();
    const started = `${minute}:00.000Z`;
    for (const platform of BOTH) await run.build(platform, { commit: told, record: { started } });
    for (const { name, bytes } of run.artifacts.artifacts(ORIGIN.runId)) {
      const record = JSON.parse(bytes.toString());
      const source = { ...record.source, runId };
      run.artifacts.put({ run: runId, name }, formatRecord({ ...record, source }));
    }
    const metadata = {
      tags: [],
      labels: {},
      annotations: [],
      ...(version === undefined ? {} : { version }),
    };
    const inputs = { sign: [], metadata, tags: tagEntries('latest') } as const;
    return {
      run,
      merge: (changes = {}) =>
        run.merge({ ...inputs, ...changes }, 1, {
          GITHUB_SHA: told,
          GITHUB_RUN_ID: runId,
          ...run.artifacts.jobEnvironment(runId, 'merge'),
        }),
    };
  }

  /** Lets the second run meet what the first one published. */
  function carry(from: Run, to: Run): void {
    const [source, target] = [from, to].map(run => registryOf(run).repository('acme/app'));
    for (const [digest, manifest] of source?.manifests ?? []) target?.manifests.set(digest, manifest);
    for (const [digest, blob] of source?.blobs ?? []) target?.blobs.set(digest, blob);
    for (const [tag, digest] of source?.tags ?? []) target?.tags.set(tag, digest);
  }

  it.each([
    ['of an older run that ends last', '2002 2026-11-21T11:00', '2001 2026-11-21T10:00', true],
    ['of an older run that is run again', '2002 2026-11-21T10:00', '2001 2026-11-21T11:00', true],
    [
      'of an older version that is built later',
      '999 2026-11-20T10:00 2.0.0',
      '2001 2026-11-21T10:00 1.9.9',
      true,
    ],
    ['of a newer run', '999 2026-11-21T10:00', '2001 2026-11-21T11:00', false],
    [
      'of a newer run than one that is dated far ahead',
      '999 2999-01-01T00:00',
      '2001 2026-11-21T10:00',
      false,
    ],
    ['of a newer version', '2002 2026-11-21T10:00 1.9.9', '2001 2026-11-20T10:00 2.0.0', false],
  ] as const)('%s never goes backwards', async (_, there, ours, stays) => {
    const first = await published(there);
    const { outputs } = await first.merge();
    const second = await published(ours);
    carry(first.run, second.run);
    const told = await second.merge();
    expect(second.run.tags().latest).toBe(stays ? outputs.digest : told.outputs.digest);
    expect(told.outputs['unmoved-tags']).toBe(stays ? `${second.run.images[0]}:latest` : '');
    if (stays) expect(told.lines.join()).toContain('stays where it is');
    // Somebody who wants it otherwise says so.
    await second.merge({ tagPolicy: 'overwrite' });
    expect(second.run.tags().latest).toBe(told.outputs.digest);
  });

  it('that must not move refuses the merge before anything is pushed; the same image again is success', async () => {
    const first = await published('2001 2026-11-21T10:00');
    await first.merge({ tags: tagEntries('1.2.3'), immutableTags: ['1.*'] });
    await first.merge({ tags: tagEntries('1.2.3'), immutableTags: ['1.*'] });
    const second = await published('2002 2026-11-21T11:00');
    carry(first.run, second.run);
    const error = await failureOf(() => second.merge({ tags: tagEntries('1.2.3'), immutableTags: ['1.*'] }));
    expect(error.code).toBe('tag-immutable');
    expect(registryOf(second.run).count('PUT', /./)).toBe(0);
  });
});

describe('media types', () => {
  const docker = { mediaType: TYPES.dockerManifest, attested: false } as const;

  it('of Docker in an OCI index, which Quay refuses, are refused before anything is pushed', async () => {
    const run = await startRun();
    await run.build('linux/amd64', docker);
    await run.build('linux/arm64');
    const error = await failureOf(() => run.merge({ sign: [] }));
    expect(error.code).toBe('mixed-media-types');
    expect(error.message).toContain('linux/amd64');
    expect(registryOf(run).count('PUT', /./)).toBe(0);
  });

  it('of Docker throughout make a manifest list, which says what it cannot carry', async () => {
    const run = await startRun();
    for (const platform of BOTH) await run.build(platform, docker);
    const told = await run.merge({ sign: [], format: 'docker' });
    expect(tagged(run, '1.0').mediaType).toBe('application/vnd.docker.distribution.manifest.list.v2+json');
    expect(told.lines.join()).toContain('carries no annotations');
  });

  it('of Docker with annotations that somebody asked for are refused', async () => {
    const run = await startRun();
    for (const platform of BOTH) await run.build(platform, docker);
    const annotations = [parseAnnotation('index:a=b')];
    const error = await failureOf(() => run.merge({ sign: [], format: 'docker', annotations }));
    expect(error.message).toContain('carries no annotations');
  });
});
