import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { build, buildBoth, merge, newRelease } from '../pipeline.ts';
import { toolPath } from '../tools/catalog.ts';
import { expectPublished, expectUnmoved, refused, succeeded, trialOfEachTest } from './refusing.ts';

// A build job that cannot do what it was asked for fails by itself, and leaves no record that a merge could take.

const trial = trialOfEachTest();

test('an image of the wrong architecture is refused by its own build, and leaves no record', async () => {
  const { release } = trial;
  await succeeded(build(release, 'linux/amd64'));
  const error = await refused(build(release, 'linux/arm64', { env: await builderOfAmd64Only() }));
  expect(error).toContain('wrong-architecture');
  expect(error).toContain('was built as linux/arm64, but its config says that it is for linux/amd64');
  expect(await refused(merge(release))).toContain('missing-platform');
  await expectUnmoved(trial);
  await succeeded(build(release, 'linux/arm64', { attempt: 2 }));
  await expectPublished(trial, merge(release, { attempt: 2 }));
});

test('provenance that was asked for and is not there is missed by the build', async () => {
  const { lab, release } = trial;
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
  const { lab, registry, image } = trial;
  const direct = `${lab.registry('plain').host}/acme/direct`;
  const release = newRelease(lab, [direct, image]);
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
  const { registry, release } = trial;
  registry.fail({ method: 'POST', action });
  registry.fail({ method: 'HEAD', action });
  const error = await refused(build(release, 'linux/amd64'));
  expect(error).toContain(code);
});

test('a server without the artifact service is told before the build, and a folder is the way out', async () => {
  const { lab, registry, release } = trial;
  const github = { server_url: 'https://github.example.com' };
  registry.reset();
  const error = await refused(build(release, 'linux/amd64', { github }));
  expect(error).toContain('record-store');
  expect(error).toContain('github.example.com (GitHub Enterprise Server or another forge)');
  expect(error).toContain('records: FOLDER');
  expect(registry.count({ method: 'POST' })).toBe(0);
  await expectUnmoved(trial);

  const records = await lab.folder('records');
  await buildBoth(release, { github, with: { records } });
  expect(lab.artifacts.artifacts(release.run)).toEqual([]);
  await expectPublished(trial, merge(release, { github, with: { records } }));
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
  const { lab } = trial;
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
