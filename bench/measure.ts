import type { Lab } from '../lab/lab.ts';
import { run } from '../lab/parts/command.ts';
import { startFaultProxy } from '../lab/parts/fault-proxy.ts';
import { merge, type Release } from '../lab/pipeline.ts';
import { toolPath } from '../lab/tools/catalog.ts';

/** What one way to publish an index costs. */
export interface Cost {
  /** HTTP requests that reached the registry. */
  readonly requests: number;
  /** Milliseconds from the start of the process to its end. */
  readonly time: number;
}

export interface Comparison {
  readonly platforms: number;
  readonly ours: Cost;
  /** `buildx imagetools create` over the same builds. */
  readonly peer: Cost;
}

/**
 * Merges the same attested builds into one tag, unsigned, once by Manifold and once by `buildx imagetools create`, both
 * through the same counting proxy.
 * @param prepare makes the builds, pushed to the image that it is given
 * @param latency milliseconds added to every request
 */
export async function compareMerges(
  lab: Lab,
  prepare: (image: string) => Promise<Release>,
  latency = 0,
): Promise<Comparison> {
  const proxy = await startFaultProxy({ target: lab.registry('plain').url });
  try {
    comparisons++;
    const image = `${proxy.host}/acme/bench-${comparisons}`;
    const release = await prepare(image);
    const digests = lab.artifacts
      .artifacts(release.run)
      .map(({ bytes }) => (JSON.parse(bytes.toString()) as { digest: string }).digest);
    proxy.latency = latency;

    const ours = await measure(proxy, async () => {
      const { exitCode, log } = await merge(release, { with: { tags: 'ours', sign: 'none' } });
      if (exitCode !== 0) throw new Error(log);
    });
    const peer = await measure(proxy, async () => {
      const sources = digests.map(digest => `${image}@${digest}`);
      const args = ['imagetools', 'create', '--tag', `${image}:peer`, ...sources];
      const { status, stderr } = await run(toolPath('buildx'), args, { env: lab.environment() });
      if (status !== 0) throw new Error(stderr);
    });
    return { platforms: digests.length, ours, peer };
  } finally {
    await proxy.close();
  }
}

let comparisons = 0;

async function measure(proxy: { reset(): void; count(): number }, work: () => Promise<void>): Promise<Cost> {
  proxy.reset();
  const start = performance.now();
  await work();
  return { time: performance.now() - start, requests: proxy.count() };
}
