import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab } from '../lab.ts';
import { type FaultProxy, startFaultProxy } from '../parts/fault-proxy.ts';
import { build, merge, newRelease, type Release, startMerge } from '../pipeline.ts';
import { type MergeJson, manifestsOf, Oracles } from './oracles.ts';

// SIGKILL in the middle: whatever had been done, a tag either is not there or points at a complete, signed image.

const MOMENTS = 10;
const seed = Number(process.env.MANIFOLD_SEED ?? Date.now() % 1_000_000);

let lab: Lab;
let oracles: Oracles;
let registry: FaultProxy;

beforeAll(async () => {
  lab = await startLab({ buildkit: true, registries: ['plain'], sigstore: true, artifacts: true });
  oracles = new Oracles(lab);
  registry = await startFaultProxy({ target: lab.registry('plain').url });
});

afterAll(async () => {
  await registry?.close();
  await lab?.close();
});

async function builtRelease(name: string): Promise<Release> {
  const release = newRelease(lab, [`${registry.host}/acme/${name}`]);
  for (const platform of ['linux/amd64', 'linux/arm64']) {
    const { exitCode, log } = await build(release, platform);
    expect(exitCode, log).toBe(0);
  }
  return release;
}

test(`killed at ${MOMENTS} random requests (MANIFOLD_SEED=${seed}), no tag points at an unfinished image, and a re-run ends it`, async () => {
  const whole = await builtRelease('whole');
  registry.reset();
  const { exitCode, log } = await merge(whole);
  expect(exitCode, log).toBe(0);
  const total = registry.count();
  const tagged =
    1 + registry.log.findIndex(({ method, path }) => method === 'PUT' && path.endsWith('/manifests/1.2.3'));
  expect(tagged).toBeGreaterThan(0);

  for (const moment of randomMoments(total)) {
    const release = await builtRelease(`killed-at-${moment}`);
    const reference = `${release.images[0]}:1.2.3`;
    registry.reset();
    const hold = registry.hold(moment);
    const running = await startMerge(release);
    await hold.arrived;
    running.kill();
    expect((await running.finished).signal).toBe('SIGKILL');
    // The registry never sees the request that was under way; those before it were answered.
    hold.discard();
    registry.reset();

    const found = await oracles.digestOf(reference);
    if (found !== undefined) await expectComplete(release, found);
    // Requests run in parallel, so that their order differs a little; long before the tag none can be there.
    if (moment < tagged - 2) expect(found, `killed at request ${moment} of ${total}`).toBeUndefined();

    const again = await merge(release);
    expect(again.exitCode, again.log).toBe(0);
    expect(await oracles.digestOf(reference)).toBe(again.outputs.digest);
    const json = JSON.parse(again.outputs.json ?? '') as MergeJson;
    await Promise.all(manifestsOf(json).map(digest => oracles.verify(`${release.images[0]}@${digest}`)));
  }
});

/** An image under a tag: all of its manifests are there and signed. */
async function expectComplete(release: Release, digest: string): Promise<void> {
  const [image] = release.images;
  await oracles.verify(`${image}@${digest}`);
  const index = JSON.parse(await oracles.manifest(`${image}@${digest}`)) as {
    manifests: { digest: string }[];
  };
  expect(index.manifests).toHaveLength(4);
  await Promise.all(index.manifests.map(child => oracles.verify(`${image}@${child.digest}`)));
}

/** Distinct numbers from 1 to `total`, the last one always among them, from a seed (mulberry32). */
function randomMoments(total: number): number[] {
  let state = seed;
  const random = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const moments = new Set([total]);
  while (moments.size < Math.min(MOMENTS, total)) moments.add(1 + Math.floor(random() * total));
  return [...moments].sort((a, b) => a - b);
}
