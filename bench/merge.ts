// Requests and time of an unsigned merge of attested platforms into one tag, against `buildx imagetools create`.
// Usage: lab/node bench/merge.ts [repetitions, default 5]
import { startLab } from '../lab/lab.ts';
import { syntheticRelease } from '../lab/synthetic-release.ts';
import { type Comparison, compareMerges } from './measure.ts';

const repetitions = Number(process.argv[2] ?? 5);
const lab = await startLab({ registries: ['plain'], artifacts: true });
try {
  console.log('platforms  latency   requests ours/peer       time ours/peer (median, ms)');
  for (const latency of [0, 50]) {
    for (const platforms of [2, 8, 32]) {
      const results: Comparison[] = [];
      const prepare = (image: string) => syntheticRelease(lab, [image], platforms);
      for (let n = 0; n < repetitions; n++) results.push(await compareMerges(lab, prepare, latency));
      const middle = (pick: (result: Comparison) => number): number => median(results.map(pick));
      const [oursRequests, peerRequests] = [middle(r => r.ours.requests), middle(r => r.peer.requests)];
      const share = (oursRequests / peerRequests).toFixed(2);
      const time = `${middle(r => r.ours.time)}/${middle(r => r.peer.time)}`;
      console.log(
        `${String(platforms).padStart(9)}  ${`${latency} ms`.padStart(7)}   ${`${oursRequests}/${peerRequests}`.padEnd(10)} ${`(${share})`.padEnd(12)} ${time}`,
      );
    }
  }
} finally {
  await lab.close();
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length / 2)] ?? Number.NaN);
}
