// Time and memory of one unsigned merge of many components by 12 attested platforms: 5, 10 and 20 of them.
// Usage: lab/node bench/many.ts
import { existsSync, readFileSync } from 'node:fs';
import { startLab } from '../lab/lab.ts';
import { startMerge } from '../lab/pipeline.ts';
import { platforms, syntheticComponents } from '../lab/synthetic-release.ts';

const PLATFORMS = 12;
const lab = await startLab({ registries: ['plain'], artifacts: true });
try {
  console.log('components  manifests  time (ms)  ms a manifest  memory (peak, MB)');
  for (const count of [5, 10, 20]) {
    const components = Array.from({ length: count }, (_, number) => ({
      component: `part-${number}`,
      images: [`${lab.registry('plain').host}/many-${count}/part-${number}`],
      builds: platforms(PLATFORMS).map(platform => ({ platform })),
    }));
    const release = await syntheticComponents(lab, components);
    const start = performance.now();
    let peak = 0;
    const running = await startMerge(release, {
      with: { tags: 'latest', sign: 'none' },
      matrixSize: count * PLATFORMS,
      onLine: () => {
        peak = Math.max(peak, peakOf(running.pid));
      },
    });
    const { exitCode, log } = await running.finished;
    if (exitCode !== 0) throw new Error(log);
    const time = performance.now() - start;
    // Of each platform an image and an attestation manifest, of each component an index.
    const manifests = count * (2 * PLATFORMS + 1);
    const cells = [count, manifests, Math.round(time), (time / manifests).toFixed(2), Math.round(peak)];
    const widths = [10, 9, 9, 13, 17];
    console.log(cells.map((cell, column) => String(cell).padStart(widths[column] ?? 0)).join('  '));
  }
} finally {
  await lab.close();
}

/** The most memory that a process has held so far, in megabytes (proc(5), "VmHWM"); 0 when it has ended. */
function peakOf(pid: number): number {
  const file = `/proc/${pid}/status`;
  if (!existsSync(file)) return 0;
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(file, 'utf8'))?.[1] ?? 0) / 1024;
}
