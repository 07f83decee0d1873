/**
 * How long "mode: merge" takes from the start of its process to the first line of its own, against an empty module.
 *
 *   lab/node bench/startup.ts [number of starts, default 40]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const BUDGET = 40;
const WARM_UP = 3;

const FIRST_LINE = /^Manifold.*\n/m;
/** Outside a runner the mode itself, loaded and with its inputs checked, complains of what is missing. */
const WORD_OF_THE_MODE = /^::error .*GITHUB_REPOSITORY/m;

const starts = Number(process.argv[2] ?? 40);
if (!Number.isInteger(starts) || starts < 1) throw new Error('the number of starts is a whole number from 1');

const folder = mkdtempSync(path.join(tmpdir(), 'manifold-bench-'));
const empty = path.join(folder, 'empty.mjs');
writeFileSync(empty, 'console.log("Manifold");\n');
const action = path.resolve(import.meta.dirname, '../dist/main.js');

/** Milliseconds until a program has written a line. */
function timeTo(line: RegExp, file: string): Promise<number> {
  const env = { PATH: folder, HOME: folder, INPUT_MODE: 'merge', INPUT_TAGS: 'latest' };
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    let elapsed: number | undefined;
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (elapsed === undefined && line.test(text)) elapsed = performance.now() - start;
    });
    child.once('error', reject);
    // The next start waits for the end of this one, so that they do not share the processor.
    child.once('close', () => {
      if (elapsed === undefined) reject(new Error(`${file} wrote no line of its own: ${text}`));
      else resolve(elapsed);
    });
  });
}

interface Times {
  readonly median: number;
  readonly fastest: number;
  readonly slowest: number;
}

function summarise(times: readonly number[]): Times {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (position: number): number => sorted[Math.min(position, sorted.length - 1)] ?? 0;
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { median, fastest: at(0), slowest: at(sorted.length - 1) };
}

function row(name: string, { median, fastest, slowest }: Times): string {
  const cells = [median, fastest, slowest].map(value => `${value.toFixed(1)} ms`.padStart(10));
  return `${name.padEnd(16)}${cells.join('')}`;
}

try {
  const ofEmpty: number[] = [];
  const ofMerge: number[] = [];
  const ofLoaded: number[] = [];
  // One after the other in turn: whatever else the machine does meanwhile hits both alike.
  for (let count = -WARM_UP; count < starts; count++) {
    const first = await timeTo(FIRST_LINE, empty);
    const second = await timeTo(FIRST_LINE, action);
    const third = await timeTo(WORD_OF_THE_MODE, action);
    if (count < 0) continue;
    ofEmpty.push(first);
    ofMerge.push(second);
    ofLoaded.push(third);
  }
  const [bare, merge] = [summarise(ofEmpty), summarise(ofMerge)];
  const difference = merge.median - bare.median;
  console.log(
    `Start to the first own line, ${starts} starts each in turn, Node ${process.version}, ${process.arch}\n`,
  );
  console.log(`${''.padEnd(16)}${['median', 'fastest', 'slowest'].map(head => head.padStart(10)).join('')}`);
  console.log(row('empty module', bare));
  console.log(row('mode: merge', merge));
  console.log(row('  and loaded', summarise(ofLoaded)));
  console.log(
    `\ndifference of the medians ${difference.toFixed(1)} ms, budget ${BUDGET} ms: ${difference <= BUDGET ? 'kept' : 'EXCEEDED'}`,
  );
  process.exitCode = difference <= BUDGET ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
