import type { Lab } from '../lab/lab.ts';
import { run } from '../lab/parts/command.ts';
import { type FaultProxy, startFaultProxy } from '../lab/parts/fault-proxy.ts';
import { merge, type Release } from '../lab/pipeline.ts';
import { toolPath } from '../lab/tools/catalog.ts';

/** What one way to publish an index costs. */
export interface Cost {
  /** HTTP requests that reached the registries. */
  readonly requests: number;
  /** Milliseconds from the start of the first process to the end of the last. */
  readonly time: number;
}

export interface Comparison {
  readonly platforms: number;
  readonly ours: Cost;
  /** `buildx imagetools create` over the same builds, once for each registry, as the usual recipe has it. */
  readonly peer: Cost;
}

export interface Circumstances {
  /** Milliseconds added to every request. */
  readonly latency?: number;
  /** How many registries the image is published to. */
  readonly registries?: number;
}

let comparisons = 0;

/**
 * Merges the same attested builds into one tag, unsigned, once by Manifold and once by `buildx imagetools create`, both
 * through the same counting proxies.
 * @param prepare makes the builds, pushed to all images that it is given
 */
export async function compareMerges(
  lab: Lab,
  prepare: (images: readonly string[]) => Promise<Release>,
  { latency = 0, registries = 1 }: Circumstances = {},
): Promise<Comparison> {
  const targets = lab.registries.slice(0, registries);
  const proxies = await Promise.all(targets.map(({ url }) => startFaultProxy({ target: url })));
  try {
    comparisons++;
    const images = proxies.map(({ host }) => `${host}/acme/bench-${comparisons}`);
    const release = await prepare(images);
    const digests = lab.artifacts
      .artifacts(release.run)
      .map(({ bytes }) => (JSON.parse(bytes.toString()) as { digest: string }).digest);
    for (const proxy of proxies) proxy.latency = latency;
    const ours = await measure(proxies, () => mergeByManifold(release));
    const peer = await measure(proxies, async () => {
      for (const image of images) await createByImagetools(lab, image, digests);
    });
    return { platforms: digests.length, ours, peer };
  } finally {
    await Promise.all(proxies.map(proxy => proxy.close()));
  }
}

async function mergeByManifold(release: Release): Promise<void> {
  const { exitCode, log } = await merge(release, { with: { tags: 'ours', sign: 'none' } });
  if (exitCode !== 0) throw new Error(log);
}

async function createByImagetools(lab: Lab, image: string, digests: readonly string[]): Promise<void> {
  const sources = digests.map(digest => `${image}@${digest}`);
  const args = ['imagetools', 'create', '--tag', `${image}:peer`, ...sources];
  const { status, stderr } = await run(toolPath('buildx'), args, { env: lab.environment() });
  if (status !== 0) throw new Error(stderr);
}

async function measure(proxies: readonly FaultProxy[], work: () => Promise<void>): Promise<Cost> {
  for (const proxy of proxies) proxy.reset();
  const start = performance.now();
  await work();
  const time = performance.now() - start;
  return { time, requests: proxies.reduce((sum, proxy) => sum + proxy.count(), 0) };
}

/** The middle one of an odd number of values, rounded. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length / 2)] ?? Number.NaN);
}
