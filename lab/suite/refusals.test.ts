import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { BuildRecord } from '../../src/records/record.ts';
import { type Lab, startLab } from '../lab.ts';
import type { StoredArtifact } from '../parts/artifact-service.ts';
import { type FaultProxy, startFaultProxy } from '../parts/fault-proxy.ts';
import { build, buildBoth, merge, newRelease, type Release } from '../pipeline.ts';
import type { RunResult } from '../runner.ts';
import { publishEarlier } from '../synthetic-release.ts';
import { toolPath } from '../tools/catalog.ts';
import { Oracles } from './oracles.ts';

// Whatever fails, no tag appears or moves, the message says what happened, and a merge afterwards succeeds.

let lab: Lab;
let oracles: Oracles;
/** In front of the registry: its host is the image names' registry. */
let registry: FaultProxy;
let release: Release;
let image: string;
let count = 0;

beforeAll(async () => {
  lab = await startLab({ buildkit: true, registries: ['plain'], sigstore: true, artifacts: true });
  oracles = new Oracles(lab);
  registry = await startFaultProxy({ target: lab.registry('plain').url });
});

afterAll(async () => {
  await registry?.close();
  await lab?.close();
});

/** What the tag points at before each test: an image of an earlier release. */
let earlier: string;

beforeEach(async () => {
  count++;
  image = `${registry.host}/acme/refusal-${count}`;
  earlier = await publishEarlier(lab, image, '1.2.3');
  release = newRelease(lab, [image]);
});

afterEach(() => registry.reset());

async function succeeded(job: Promise<RunResult>): Promise<RunResult> {
  const result = await job;
  expect(result.exitCode, result.log).toBe(0);
  return result;
}

/** The error of a job that must fail, as the person sees it who looks at the run. */
async function refused(job: Promise<RunResult>): Promise<string> {
  const result = await job;
  expect(result.exitCode, result.log).toBe(1);
  const errors = result.annotations.filter(({ level }) => level === 'error');
  expect(errors).toHaveLength(1);
  return `${errors[0]?.title}\n${errors[0]?.message}`;
}

/** No tag appeared, and the one that was there still points at the earlier image. */
async function expectUnmoved(): Promise<void> {
  expect(await oracles.tags(image)).toEqual(['1.2.3']);
  expect(await oracles.digestOf(`${image}:1.2.3`)).toBe(earlier);
}

async function expectPublished(job: Promise<RunResult>): Promise<void> {
  const { outputs } = await succeeded(job);
  expect(await oracles.digestOf(`${image}:1.2.3`)).toBe(outputs.digest);
  await oracles.verify(`${image}:1.2.3`);
}

const BOTH = { platforms: 'linux/amd64,linux/arm64' };

test('a missing build is named, and its build is all that is needed to publish', async () => {
  await succeeded(build(release, 'linux/amd64'));
  const error = await refused(merge(release, { with: BOTH }));
  expect(error).toContain('missing-platform');
  expect(error).toMatch(/linux\/arm64 +a build +no record +re-run the job "build" of linux\/arm64/);
  await expectUnmoved();
  await succeeded(build(release, 'linux/arm64', { attempt: 2 }));
  await expectPublished(merge(release, { with: BOTH, attempt: 2 }));
});

test('without "platforms" the size of the matrix tells that a build is missing', async () => {
  await succeeded(build(release, 'linux/amd64'));
  const error = await refused(merge(release));
  expect(error).toMatch(/all of "build" +2 builds, as its matrix has 2 rows +1: \S+ linux\/amd64/);
  await expectUnmoved();
  await succeeded(build(release, 'linux/arm64'));
  await expectPublished(merge(release));
});

test('where the runner tells no matrix, the merge asks for "platforms" instead of guessing', async () => {
  await buildBoth(release, { with: { 'matrix-size': '' } });
  expect(await refused(merge(release))).toContain('platforms: linux/amd64,linux/arm64');
  await expectUnmoved();
  await expectPublished(merge(release, { with: BOTH }));
});

test('an extra build is not published unasked', async () => {
  await buildBoth(release);
  const error = await refused(merge(release, { with: { platforms: 'linux/amd64' } }));
  expect(error).toContain('unexpected-platform');
  expect(error).toMatch(/linux\/arm64 +no build +sha256:/);
  await expectUnmoved();
});

test('a run without any record says so', async () => {
  const error = await refused(merge(release));
  expect(error).toContain('no-records');
  await expectUnmoved();
});

test('an image of the wrong architecture is refused by its own build, and leaves no record', async () => {
  await succeeded(build(release, 'linux/amd64'));
  const error = await refused(build(release, 'linux/arm64', { env: await builderOfAmd64Only() }));
  expect(error).toContain('wrong-architecture');
  expect(error).toContain('was built as linux/arm64, but its config says that it is for linux/amd64');
  expect(await refused(merge(release))).toContain('missing-platform');
  await expectUnmoved();
  await succeeded(build(release, 'linux/arm64', { attempt: 2 }));
  await expectPublished(merge(release, { attempt: 2 }));
});

test('provenance that was asked for and is not there is missed by the build', async () => {
  const dropping = '[ "$word" = --attest ] && { drop=1; continue; }; [ "$drop" ] && { drop=; continue; };';
  const env = await dockerThat(`for word; do shift; ${dropping} set -- "$@" "$word"; done`);
  const error = await refused(
    build(release, 'linux/amd64', {
      env: { ...env, BUILDX_NO_DEFAULT_ATTESTATIONS: '1' },
      with: { provenance: 'mode=max' },
    }),
  );
  expect(error).toContain('missing-attestation');
  expect(error).toContain('provenance: false');
  expect(lab.artifacts.artifacts(release.run)).toEqual([]);
});

test('a build is read back from every registry, not only from the first', async () => {
  const direct = `${lab.registry('plain').host}/acme/refusal-${count}-direct`;
  release = newRelease(lab, [direct, image]);
  registry.fail({ method: 'GET', path: /refusal-\d+\/manifests\/sha256:/, action: { status: 404 } });
  const error = await refused(build(release, 'linux/amd64', { with: { 'retry-budget': '1' } }));
  expect(error).toContain('registry-not-found');
  expect(error).toContain(image);
  expect(lab.artifacts.artifacts(release.run)).toEqual([]);
});

test.each([
  [
    'that wants a login',
    { status: 401, headers: { 'www-authenticate': 'Basic realm="lab"' } },
    'registry-unauthorized',
  ],
  ['that forbids the push', { status: 403 }, 'registry-forbidden'],
])('a build for a registry %s says what to do', async (_, action, code) => {
  registry.fail({ method: 'POST', action });
  registry.fail({ method: 'HEAD', action });
  const error = await refused(build(release, 'linux/amd64'));
  expect(error).toContain(code);
});

test('a server without the artifact service is told before the build, and a folder is the way out', async () => {
  const github = { server_url: 'https://github.example.com' };
  registry.reset();
  const error = await refused(build(release, 'linux/amd64', { github }));
  expect(error).toContain('record-store');
  expect(error).toContain('github.example.com (GitHub Enterprise Server or another forge)');
  expect(error).toContain('records: FOLDER');
  expect(registry.count({ method: 'POST' })).toBe(0);
  await expectUnmoved();

  const records = await lab.folder('records');
  await buildBoth(release, { github, with: { records } });
  expect(lab.artifacts.artifacts(release.run)).toEqual([]);
  await expectPublished(merge(release, { github, with: { records } }));
});

test('a record that calls an amd64 image arm64 is refused by the merge', async () => {
  await buildBoth(release);
  const { digest, size, content } = JSON.parse(recordOf('linux-amd64').bytes.toString()) as BuildRecord;
  const restore = forge('linux-arm64', { digest, size, content });
  expect(await refused(merge(release))).toContain('wrong-architecture');
  await expectUnmoved();
  restore();
  await expectPublished(merge(release));
});

test('a record that disagrees with itself is refused', async () => {
  await buildBoth(release);
  const restore = forge('linux-arm64', { size: 17 });
  const error = await refused(merge(release));
  expect(error).toContain('invalid-record');
  expect(error).toContain('field "size"');
  await expectUnmoved();
  restore();
  await expectPublished(merge(release));
});

test('a record of another commit is refused', async () => {
  await buildBoth(release);
  const { source } = JSON.parse(recordOf('linux-arm64').bytes.toString()) as { source: object };
  const restore = forge('linux-arm64', { source: { ...source, commit: 'b'.repeat(40) } });
  const error = await refused(merge(release));
  expect(error).toContain('tampered-record');
  expect(error).toContain('source.commit');
  await expectUnmoved();
  restore();
  await expectPublished(merge(release));
});

test('a record that was changed on the way is refused by its digest', async () => {
  await buildBoth(release);
  const artifact = recordOf('linux-arm64');
  const original = artifact.bytes;
  artifact.bytes = Buffer.from(original.toString().replace('"emulated": false', '"emulated": true '));
  expect(artifact.bytes).not.toEqual(original);
  expect(await refused(merge(release))).toContain('tampered-record');
  await expectUnmoved();
  artifact.bytes = original;
  await expectPublished(merge(release));
});

test('without "id-token: write" the merge says so before it pushes anything', async () => {
  await buildBoth(release);
  registry.reset();
  const error = await refused(merge(release, { job: { idToken: false } }));
  expect(error).toContain('no-id-token');
  expect(error).toContain('id-token: write');
  expect(registry.count({ method: 'PUT' })).toBe(0);
  await expectUnmoved();
  await expectPublished(merge(release));
});

test('a public Sigstore that cannot be reached is found before anything is pushed', async () => {
  await buildBoth(release);
  registry.reset();
  // fetch goes through a proxy that nobody listens at: the same on a machine with and without a network.
  const env = { NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: '' };
  const error = await refused(merge(release, { env, with: { 'trusted-root': '', 'signing-config': '' } }));
  expect(error).toContain('service-unreachable');
  expect(error).toMatch(/trusted_root\.json could not be fetched: fetch failed/);
  expect(registry.count({ method: 'PUT' })).toBe(0);
});

test('with Fulcio down no tag moves, and the merge goes on when it is up again', async () => {
  await buildBoth(release);
  const { fulcio } = lab.sigstore.programs;
  await fulcio.stop();
  const error = await refused(merge(release));
  expect(error).toContain('service-unreachable');
  expect(error).toContain(lab.sigstore.urls.fulcio);
  await expectUnmoved();
  await fulcio.start();
  await expectPublished(merge(release));
});

test('with Rekor down no tag moves, and the merge goes on when it is up again', async () => {
  await buildBoth(release);
  const { rekor } = lab.sigstore.programs;
  await rekor.stop();
  const error = await refused(merge(release));
  expect(error).toContain('service-unreachable');
  expect(error).toContain(lab.sigstore.urls.rekor);
  await expectUnmoved();
  await rekor.start();
  await expectPublished(merge(release));
});

test('a Fulcio that answers 503 for a while is waited for', async () => {
  await buildBoth(release);
  const fulcio = await startFaultProxy({ target: lab.sigstore.urls.fulcio });
  try {
    const rule = fulcio.fail({ on: [1, 2], action: { status: 503 } });
    const config = await lab.sigstore.signingConfigFor('flaky-fulcio', { fulcio: fulcio.url });
    await expectPublished(merge(release, { with: { 'signing-config': config } }));
    expect(rule.applied).toBe(2);
  } finally {
    await fulcio.close();
  }
});

test.each([
  [401, 'UNAUTHORIZED', 'registry-unauthorized', 'docker/login-action'],
  [403, 'DENIED', 'registry-forbidden', 'packages: write'],
  [404, 'NAME_UNKNOWN', 'registry-not-found', 'spelling'],
  [429, 'TOOMANYREQUESTS', 'registry-rate-limited', 'Wait a while'],
  [503, 'UNAVAILABLE', 'registry-unavailable', 'later'],
])(
  'a registry that answers %i to the push of the index is told apart',
  async (status, code, expected, remedy) => {
    await buildBoth(release);
    const body = JSON.stringify({ errors: [{ code, message: 'the lab says no' }] });
    registry.fail({ method: 'PUT', path: /\/manifests\//, action: { status, body } });
    const error = await refused(merge(release, { with: { 'retry-budget': '1' } }));
    expect(error).toContain(expected);
    expect(error).toContain(`${status} ${code}: the lab says no`);
    expect(error).toContain(remedy);
    registry.reset();
    await expectUnmoved();
    await expectPublished(merge(release));
  },
);

test('when one of two registries refuses its tag, the message says what moved, and a re-run ends it', async () => {
  const other = `${lab.registry('plain').host}/acme/refusal-${count}-b`;
  release = newRelease(lab, [image, other]);
  await buildBoth(release);
  const body = JSON.stringify({ errors: [{ code: 'DENIED', message: 'the lab says no' }] });
  registry.fail({ method: 'PUT', path: /manifests\/latest$/, action: { status: 403, body } });
  const error = await refused(merge(release, { with: { tags: '1.2.3,latest' } }));
  expect(error).toContain(
    `1 of 4 tags were not set. Moved: ${image}:1.2.3, ${other}:1.2.3, ${other}:latest. Not moved: ${image}:latest.`,
  );
  expect(error).toContain(`${image}:latest`);
  registry.reset();
  const { outputs } = await succeeded(merge(release, { with: { tags: '1.2.3,latest' } }));
  expect(await oracles.digestOf(`${image}:latest`)).toBe(outputs.digest);
});

test('an unsigned merge publishes without any token', async () => {
  await buildBoth(release);
  const { outputs, summary } = await succeeded(
    merge(release, { with: { sign: 'none' }, job: { idToken: false } }),
  );
  expect(await oracles.digestOf(`${image}:1.2.3`)).toBe(outputs.digest);
  expect(summary).toContain('not signed');
  await expect(oracles.verify(`${image}:1.2.3`)).rejects.toThrow(/no signatures found/);
});

/**
 * A docker command whose buildx builds for amd64 whatever it is asked for, as old versions of BuildKit do where a
 * Dockerfile fixes the platform of its base image.
 */
function builderOfAmd64Only(): Promise<Record<string, string>> {
  const change = '[ "$word" = linux/arm64 ] && word=linux/amd64;';
  return dockerThat(
    `for word; do shift; ${change} set -- "$@" "$word"; done`,
    'export BUILDX_BUILDER=lab-amd64',
  );
}

/** A docker command that does something with the arguments of "buildx build" before it calls buildx. */
async function dockerThat(...changes: string[]): Promise<Record<string, string>> {
  const folder = await lab.folder('docker');
  const script = [
    '#!/bin/sh',
    'shift # the word buildx',
    'if [ "$1" = build ]; then',
    ...changes.map(line => `  ${line}`),
    'fi',
    `exec ${toolPath('buildx')} "$@"`,
  ];
  await writeFile(join(folder, 'docker'), `${script.join('\n')}\n`, { mode: 0o755 });
  return { PATH: `${folder}:${lab.environment().PATH}` };
}

/** The stored record of one platform. */
function recordOf(platform: string): StoredArtifact {
  const found = lab.artifacts.artifacts(release.run).find(({ name }) => name.includes(platform));
  if (found === undefined) throw new Error(`no record of ${platform} is stored`);
  return found;
}

/** Changes fields of a record as somebody would who rules the artifact service: its hash is right again. */
function forge(platform: string, changes: object): () => void {
  const artifact = recordOf(platform);
  const { bytes, hash, size } = artifact;
  const forged = Buffer.from(JSON.stringify({ ...(JSON.parse(bytes.toString()) as object), ...changes }));
  artifact.bytes = forged;
  artifact.size = forged.byteLength;
  artifact.hash = `sha256:${createHash('sha256').update(forged).digest('hex')}`;
  return () => Object.assign(artifact, { bytes, hash, size });
}
