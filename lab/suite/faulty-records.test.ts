import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { BuildRecord } from '../../src/records/record.ts';
import type { StoredArtifact } from '../parts/artifact-store.ts';
import { build, buildBoth, merge, type Release } from '../pipeline.ts';
import { expectPublished, expectUnmoved, refused, succeeded, trialOfEachTest } from './refusing.ts';

// Records that are missing, too many, wrong or forged: the merge has nothing else to judge the set of builds by.

const trial = trialOfEachTest();

const BOTH = { platforms: 'linux/amd64,linux/arm64' };

test('a missing build is named, and its build is all that is needed to publish', async () => {
  const { release } = trial;
  await succeeded(build(release, 'linux/amd64'));
  const error = await refused(merge(release, { with: BOTH }));
  expect(error).toContain('missing-platform');
  expect(error).toMatch(/linux\/arm64 +a build +no record +re-run the job "build" of linux\/arm64/);
  await expectUnmoved(trial);
  await succeeded(build(release, 'linux/arm64', { attempt: 2 }));
  await expectPublished(trial, merge(release, { with: BOTH, attempt: 2 }));
});

test('without "platforms" the size of the matrix tells that a build is missing', async () => {
  const { release } = trial;
  await succeeded(build(release, 'linux/amd64'));
  const error = await refused(merge(release));
  expect(error).toMatch(/all of "build" +2 builds, as its matrix has 2 rows +1: \S+ linux\/amd64/);
  await expectUnmoved(trial);
  await succeeded(build(release, 'linux/arm64'));
  await expectPublished(trial, merge(release));
});

test('where the runner tells no matrix, the merge asks for "platforms" instead of guessing', async () => {
  const { release } = trial;
  await buildBoth(release, { with: { 'matrix-size': '' } });
  expect(await refused(merge(release))).toContain('platforms: linux/amd64,linux/arm64');
  await expectUnmoved(trial);
  await expectPublished(trial, merge(release, { with: BOTH }));
});

test('an extra build is not published unasked', async () => {
  const { release } = trial;
  await buildBoth(release);
  const error = await refused(merge(release, { with: { platforms: 'linux/amd64' } }));
  expect(error).toContain('unexpected-platform');
  expect(error).toMatch(/linux\/arm64 +no build +sha256:/);
  await expectUnmoved(trial);
});

test('a run without any record says so', async () => {
  const { release } = trial;
  const error = await refused(merge(release));
  expect(error).toContain('no-records');
  await expectUnmoved(trial);
});

test('a record that calls an amd64 image arm64 is refused by the merge', async () => {
  const { release } = trial;
  await buildBoth(release);
  const { digest, size, content } = JSON.parse(
    recordOf(release, 'linux-amd64').bytes.toString(),
  ) as BuildRecord;
  const restore = forge(release, 'linux-arm64', { digest, size, content });
  expect(await refused(merge(release))).toContain('wrong-architecture');
  await expectUnmoved(trial);
  restore();
  await expectPublished(trial, merge(release));
});

test('a record that disagrees with itself is refused', async () => {
  const { release } = trial;
  await buildBoth(release);
  const restore = forge(release, 'linux-arm64', { size: 17 });
  const error = await refused(merge(release));
  expect(error).toContain('invalid-record');
  expect(error).toContain('field "size"');
  await expectUnmoved(trial);
  restore();
  await expectPublished(trial, merge(release));
});

test('a record of another commit is refused', async () => {
  const { release } = trial;
  await buildBoth(release);
  const { source } = JSON.parse(recordOf(release, 'linux-arm64').bytes.toString()) as { source: object };
  const restore = forge(release, 'linux-arm64', { source: { ...source, commit: 'b'.repeat(40) } });
  const error = await refused(merge(release));
  expect(error).toContain('tampered-record');
  expect(error).toContain('source.commit');
  await expectUnmoved(trial);
  restore();
  await expectPublished(trial, merge(release));
});

test('a record that was changed on the way is refused by its digest', async () => {
  const { release } = trial;
  await buildBoth(release);
  const artifact = recordOf(release, 'linux-arm64');
  const original = artifact.bytes;
  artifact.bytes = Buffer.from(original.toString().replace('"emulated": false', '"emulated": true '));
  expect(artifact.bytes).not.toEqual(original);
  expect(await refused(merge(release))).toContain('tampered-record');
  await expectUnmoved(trial);
  artifact.bytes = original;
  await expectPublished(trial, merge(release));
});

/** The stored record of one platform. */
function recordOf({ lab, run }: Release, platform: string): StoredArtifact {
  const found = lab.artifacts.artifacts(run).find(({ name }) => name.includes(platform));
  if (found === undefined) throw new Error(`no record of ${platform} is stored`);
  return found;
}

/** Changes fields of a record as somebody would who rules the artifact service: its hash is right again. */
function forge(release: Release, platform: string, changes: object): () => void {
  const artifact = recordOf(release, platform);
  const { bytes, hash, size } = artifact;
  const forged = Buffer.from(JSON.stringify({ ...(JSON.parse(bytes.toString()) as object), ...changes }));
  artifact.bytes = forged;
  artifact.size = forged.byteLength;
  artifact.hash = `sha256:${createHash('sha256').update(forged).digest('hex')}`;
  return () => Object.assign(artifact, { bytes, hash, size });
}
