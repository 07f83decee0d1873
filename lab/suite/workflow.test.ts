import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { prepareContext } from '../images/context.ts';
import { type Lab, startLab } from '../lab.ts';
import { type CommandResult, check, run } from '../parts/command.ts';
import { ACTION } from '../pipeline.ts';
import { nodeBinary, toolPath } from '../tools/catalog.ts';
import { Oracles } from './oracles.ts';

// A whole workflow, run by act: a matrix of two build jobs on two "runners", then a merge, each with "uses: ./".

let lab: Lab;
let oracles: Oracles;
let images: string[];
let result: CommandResult;

beforeAll(async () => {
  lab = await startLab({ buildkit: true, registries: ['plain', 'olareg'], sigstore: true, artifacts: true });
  oracles = new Oracles(lab);
  images = lab.registries.map(({ host }) => `${host}/acme/app`);
  result = await runWorkflow(await makeRepository());
  expect(result.status, `${result.stdout}\n${result.stderr}`).toBe(0);
});

afterAll(() => lab?.close());

/** A repository that is an action and releases with it, as Manifold's own would. */
async function makeRepository(): Promise<string> {
  const folder = await lab.folder('repository');
  await cp(join(ACTION, 'action.yml'), join(folder, 'action.yml'));
  await cp(join(ACTION, 'dist'), join(folder, 'dist'), { recursive: true });
  await prepareContext('hello', folder);
  await mkdir(join(folder, '.github/workflows'), { recursive: true });
  await writeFile(join(folder, '.github/workflows/release.yml'), WORKFLOW);
  const author = ['-c', 'user.name=lab', '-c', 'user.email=lab@localhost'];
  await check('git', ['init', '--quiet', '--initial-branch=main'], { cwd: folder });
  await check('git', ['remote', 'add', 'origin', 'https://github.com/acme/widget'], { cwd: folder });
  await check('git', ['add', '--all'], { cwd: folder });
  await check('git', [...author, 'commit', '--quiet', '--message', 'release'], { cwd: folder });
  return folder;
}

const WORKFLOW = `
on: push
jobs:
  build:
    strategy:
      fail-fast: false
      matrix:
        include:
          - { platform: linux/amd64, runner: ubuntu-latest, builder: lab-amd64 }
          - { platform: linux/arm64, runner: ubuntu-24.04-arm, builder: lab-arm64 }
    runs-on: \${{ matrix.runner }}
    steps:
      - uses: actions/checkout@v6
      - uses: ./
        with:
          mode: build
          images: \${{ env.IMAGES }}
          context: .
          builder: \${{ matrix.builder }}
  merge:
    needs: build
    runs-on: ubuntu-latest
    outputs:
      digest: \${{ steps.merge.outputs.digest }}
    steps:
      - uses: actions/checkout@v6
      - id: merge
        uses: ./
        with:
          mode: merge
          platforms: linux/amd64,linux/arm64
          tags: 1.2.3,latest
          trusted-root: \${{ env.TRUSTED_ROOT }}
          signing-config: \${{ env.SIGNING_CONFIG }}
      - run: echo "published=\${{ steps.merge.outputs.digest }}"
`;

async function runWorkflow(repository: string): Promise<CommandResult> {
  // BUILDX_BUILDER would be the same for both jobs; here the matrix names the builder.
  const { BUILDX_BUILDER: _, ...environment } = lab.environment({ run: '7001' });
  const forJobs = {
    ...environment,
    GITHUB_RUN_ID: '7001',
    IMAGES: images.join(','),
    TRUSTED_ROOT: lab.sigstore.trustedRoot,
    SIGNING_CONFIG: lab.sigstore.signingConfig,
  };
  const cache = await lab.folder('act');
  const nodeFolder = join(nodeBinary('newest'), '..');
  const path = `${nodeFolder}:${environment.PATH}`;
  const options = [
    ...['--platform', 'ubuntu-latest=-self-hosted', '--platform', 'ubuntu-24.04-arm=-self-hosted'],
    ...['--no-cache-server', '--action-cache-path', join(cache, 'actions')],
    ...Object.entries({ ...forJobs, PATH: path }).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
  ];
  return run(toolPath('act'), ['push', ...options], {
    cwd: repository,
    env: { ...environment, PATH: path, XDG_CACHE_HOME: cache, XDG_CONFIG_HOME: cache },
  });
}

test('the workflow publishes to both registries, with one digest', async () => {
  const published = /published=(sha256:[0-9a-f]{64})/.exec(result.stdout)?.[1];
  expect(published).toBeDefined();
  for (const image of images) {
    expect(await oracles.digestOf(`${image}:1.2.3`)).toBe(published);
    expect(await oracles.digestOf(`${image}:latest`)).toBe(published);
  }
});

test('crane, regctl, skopeo and imagetools read what the workflow published', async () => {
  for (const registry of lab.registries) {
    const reference = `${registry.host}/acme/app:latest`;
    const [first, ...others] = Object.values(await oracles.readIndex(registry, reference)).map(text =>
      text.trimEnd(),
    );
    for (const other of others) expect(other).toBe(first);
    const { manifests } = JSON.parse(first as string) as {
      manifests: { digest: string; platform: { os: string } }[];
    };
    const platforms = manifests.filter(({ platform }) => platform.os === 'linux');
    expect(platforms).toHaveLength(2);
    for (const { digest } of platforms) await oracles.validate(`${registry.host}/acme/app@${digest}`);
  }
});

test('every manifest that the workflow published is signed, and both images run', async () => {
  for (const image of images) {
    const index = JSON.parse(await oracles.manifest(`${image}:latest`)) as {
      manifests: { digest: string }[];
    };
    expect(index.manifests).toHaveLength(4);
    await oracles.verify(`${image}:latest`);
    await Promise.all(index.manifests.map(({ digest }) => oracles.verify(`${image}@${digest}`)));
    const amd64 = await oracles.runImage(`${image}:latest`, 'linux/amd64');
    const arm64 = await oracles.runImage(`${image}:latest`, 'linux/arm64');
    expect([amd64.output, arm64.output]).toEqual(['hello from x86_64', 'hello from aarch64']);
  }
});
