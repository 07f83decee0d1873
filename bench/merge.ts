// Requests and time of an unsigned merge of attested platforms into one tag, against `buildx imagetools create`.
// Usage: lab/node bench/merge.ts [repetitions, default 5]
import { startLab } from '../lab/lab.ts';
import { syntheticRelease } from '../lab/synthetic-release.ts';
import { type Comparison, compareMerges, median } from './measure.ts';

const repetitions = Number(process.argv[2] ?? 5);
const lab = await startLab({ registries: ['plain', 'olareg', 'crane'], artifacts: true });
try {
  console.log('registries  latency  platforms   requests ours/peer        time ours/peer (median, ms)');
  for (const registries of [1, 3]) {
    for (const latency of [0, 50]) {
      for (const platforms of [2, 8, 32]) {
        const results: Comparison[] = [];
        const prepare = (images: readonly string[]) => syntheticRelease(lab, images, platforms);
        for (let n = 0; n < repetitions; n++)
          results.push(await compareMerges(lab, prepare, { latency, registries }));
        console.log(line(registries, latency, platforms, results));
      }
    }
  }
} finally {
  await lab.close();
}

function line(
  registries: number,
  latency: number,
  platforms: number,
  results: readonly Comparison[],
): string {
  const middle = (pick: (result: Comparison) => number): number => median(results.map(pick));
  const [ours, peer] = [middle(r => r.ours.requests), middle(r => r.peer.requests)];
  const [time, theirs] = [middle(r => r.ours.time), middle(r => r.peer.time)];
  return [
    String(registries).padStart(10),
    `${latency} ms`.padStart(7),
    String(platforms).padStart(9),
    `  ${`${ours}/${peer}`.padEnd(10)} (${(ours / peer).toFixed(2)})`.padEnd(24),
    `${time}/${theirs} (${(time / theirs).toFixed(2)})`,
  ].join('  ');
}
