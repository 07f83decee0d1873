import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { prepareContext } from '../images/context.ts';
import { type Lab, startLab } from '../lab.ts';
import { startGitServer } from '../parts/git-server.ts';
import { build, buildBoth, merge, newRelease, type Release, TOKEN } from '../pipeline.ts';
import type { RunResult } from '../runner.ts';
import { type MergeJson, manifestsOf, mergeJson, Oracles } from './oracles.ts';

let lab: Lab;
let oracles: Oracles;
let release: Release;
let merged: RunResult;
let json: MergeJson;

beforeAll(async () => {
  lab = await startLab({
    buildkit: true,
    registries: ['plain', 'htpasswd', 'tls', 'olareg', 'crane'],
    sigstore: true,
    artifacts: true,
  });
  oracles = new Oracles(lab);
  release = newRelease(
    lab,
    lab.registries.map(({ host }) => `${host}/acme/app`),
  );
  await buildBoth(release);
  merged = await merge(release, { with: { tags: '1.2.3, latest', platforms: 'linux/arm64,linux/amd64' } });
  expect(merged.exitCode, merged.log).toBe(0);
  json = mergeJson(merged.outputs);
});

afterAll(() => lab?.close());

test('two builds become one index with the same digest in every registry', async () => {
  expect(json.platforms.map(({ platform }) => platform)).toEqual(['linux/amd64', 'linux/arm64']);
  for (const image of release.images) {
    for (const tag of ['1.2.3', 'latest']) {
      expect(await oracles.digestOf(`${image}:${tag}`)).toBe(merged.outputs.digest);
    }
    expect(await oracles.tags(image)).toEqual(['1.2.3', 'latest']);
  }
});

test('crane, regctl, skopeo and imagetools read the index, all the same bytes', async () => {
  for (const registry of lab.registries) {
    const reference = `${registry.host}/acme/app:1.2.3`;
    // Of the whole index crane would take attestations for images, which BuildKit 0.32 no longer shapes them as.
    for (const { digest } of json.platforms) await oracles.validate(`${registry.host}/acme/app@${digest}`);
    const raw = await oracles.readIndex(registry, reference);
    const [first, ...others] = Object.values(raw).map(text => text.trimEnd());
    for (const other of others) expect(other).toBe(first);
    const index = JSON.parse(first as string) as { manifests: { platform: object }[] };
    expect(index.manifests.map(({ platform }) => platform)).toEqual([
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'unknown', os: 'unknown' },
      { architecture: 'arm64', os: 'linux' },
      { architecture: 'unknown', os: 'unknown' },
    ]);
  }
});

test('crane validates the whole index where BuildKit shapes attestations as images', async () => {
  const shaped = newRelease(lab, [`${lab.registry('plain').host}/acme/shaped`]);
  await buildBoth(shaped, { env: { BUILDX_NO_DEFAULT_OCI_ARTIFACT: '1' } });
  const { exitCode, log, outputs } = await merge(shaped);
  expect(exitCode, log).toBe(0);
  await oracles.validate(`${shaped.images[0]}:1.2.3`);
  for (const digest of manifestsOf(mergeJson(outputs))) {
    await oracles.verify(`${shaped.images[0]}@${digest}`);
  }
});

test('the oldest Node 24 that a runner carries builds, merges and signs as well', async () => {
  const old = newRelease(lab, [`${lab.registry('olareg').host}/acme/old`]);
  await buildBoth(old, { node: 'oldest' });
  const { exitCode, log } = await merge(old, { node: 'oldest' });
  expect(exitCode, log).toBe(0);
  await oracles.verify(`${old.images[0]}:1.2.3`);
});

test('what build-push-action takes reaches the image: file, target, arguments, labels, cache, no provenance', async () => {
  const context = await prepareContext('hello', await lab.folder('inputs'));
  await writeFile(
    join(context, 'Other.Dockerfile'),
    [
      'FROM scratch AS wanted',
      'ARG TARGETPLATFORM',
      'ARG GREETING',
      'COPY ${TARGETPLATFORM}/sh /bin/sh',
      'RUN echo "$GREETING" > /built-on',
      'ENTRYPOINT ["/bin/sh", "-c", "echo hello"]',
      'FROM wanted AS unwanted',
      'RUN exit 1',
    ].join('\n'),
  );
  const image = `${lab.registry('plain').host}/acme/inputs`;
  const inputs = {
    context,
    file: join(context, 'Other.Dockerfile'),
    target: 'wanted',
    'build-args': 'GREETING=good day, and "more"',
    labels: 'org.example.note=a, b=c\norg.example.other=2',
    provenance: 'false',
    'cache-to': `type=registry,ref=${image}:cache,mode=max`,
    'cache-from': `type=registry,ref=${image}:cache`,
    builder: 'lab-amd64',
  };
  const inputsRelease = newRelease(lab, [image]);
  const built = await build(inputsRelease, 'linux/amd64', { with: inputs, matrixSize: 1 });
  expect(built.exitCode, built.log).toBe(0);
  expect(JSON.parse(built.outputs.record ?? '')).toMatchObject({ attestations: [], platform: 'linux/amd64' });
  const { exitCode, log } = await merge(inputsRelease);
  expect(exitCode, log).toBe(0);
  expect(await oracles.tags(image)).toEqual(['1.2.3', 'cache']);
  expect((await oracles.runImage(`${image}:1.2.3`, 'linux/amd64')).builtOn).toBe('good day, and "more"');
  expect(await oracles.labels(`${image}:1.2.3`, 'linux/amd64')).toEqual({
    'org.example.note': 'a, b=c',
    'org.example.other': '2',
  });
});

test('without "context" BuildKit fetches the commit of the run, also from a private repository', async () => {
  const repository = await startGitServer(await lab.folder('git'), {
    token: TOKEN,
    files: await prepareContext('hello', await lab.folder('source')),
  });
  try {
    const image = `${lab.registry('plain').host}/acme/from-git`;
    const fromGit = newRelease(lab, [image]);
    const github = { server_url: repository.url, repository: 'acme/widget', sha: repository.commit };
    // First without a token: what BuildKit has fetched once it would not ask for again.
    const stranger = await build(newRelease(lab, [image]), 'linux/amd64', {
      with: { context: '', 'github-token': '' },
      github,
    });
    expect(stranger.exitCode).toBe(1);
    expect(repository.refused).toBeGreaterThan(0);
    const built = await build(fromGit, 'linux/amd64', { with: { context: '' }, github, matrixSize: 1 });
    expect(built.exitCode, built.log).toBe(0);
    expect(repository.served).toBeGreaterThan(0);
    for (const text of [built.rawLog, built.summary, ...Object.values(built.outputs)]) {
      expect(text).not.toContain(TOKEN);
    }
  } finally {
    await repository.close();
  }
});

test('cosign accepts the index and everything in it, by digest and by tag, in every registry', async () => {
  expect(manifestsOf(json)).toHaveLength(5);
  for (const image of release.images) {
    await Promise.all(manifestsOf(json).map(digest => oracles.verify(`${image}@${digest}`)));
    await oracles.verify(`${image}:latest`);
  }
});

test('cosign refuses the same image for another identity', async () => {
  const other = 'https://github.com/acme/other/.github/workflows/release.yml@refs/heads/main';
  await expect(oracles.verify(`${release.images[0]}:latest`, other)).rejects.toThrow(/identity/i);
});

test('both images run, and were built where they say', async () => {
  const reference = `${release.images[0]}:1.2.3`;
  expect(await oracles.runImage(reference, 'linux/amd64')).toEqual({
    output: 'hello from x86_64',
    builtOn: 'x86_64',
  });
  expect(await oracles.runImage(reference, 'linux/arm64')).toEqual({
    output: 'hello from aarch64',
    builtOn: 'aarch64',
  });
});

test('one identity token serves all signatures', () => {
  const tokens = lab.issuer.given.filter(({ claims }) => claims.run_id === release.run);
  expect(tokens).toHaveLength(1);
});

test('a second merge of the same records changes nothing and signs nothing', async () => {
  const again = await merge(release, { with: { tags: '1.2.3, latest' } });
  expect(again.exitCode, again.log).toBe(0);
  expect(again.outputs.digest).toBe(merged.outputs.digest);
  expect(mergeJson(again.outputs).signed?.attached).toBe(0);
  expect(json.signed?.attached).toBe(5 * release.images.length);
});

test('the summary shows the index as a table and the command that checks it', () => {
  for (const { platform, digest } of json.platforms)
    expect(merged.summary).toContain(`| ${platform} | \`${digest}\` |`);
  expect(merged.summary).toContain('cosign verify');
  expect(merged.summary).toContain(`@${json.digest}`);
});

test('no token or password is in a log, an output or the summary', () => {
  const secrets = lab.registries.flatMap(({ credentials }) => (credentials ? [credentials.password] : []));
  expect(secrets).not.toHaveLength(0);
  const shown = [merged.log, merged.summary, ...Object.values(merged.outputs)].join('\n');
  for (const secret of secrets) expect(shown).not.toContain(secret);
  // A JSON Web Token of any kind: the identity token, a registry's token, the runner's token.
  expect(shown).not.toMatch(/eyJ[\w-]{20,}\.eyJ[\w-]{20,}\./);
  expect(merged.maskedOutputs).toEqual([]);
});
