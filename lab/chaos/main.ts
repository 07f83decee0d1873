/**
 * The chaos run: random releases, merged while random things go wrong, and judged by what the registries hold.
 *
 *   lab/node lab/chaos/main.ts --runs 300 --seed 7
 *   lab/node lab/chaos/main.ts --seed 7 --run 123     one of them again, with its story
 */
import { fork, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isBuilt } from '../tools/build.ts';
import { toolNamed } from '../tools/catalog.ts';
import type { Report } from './run.ts';
import { Tally } from './tally.ts';

/** One more than the cores of a small machine: half of the time a run waits. */
const SHARDS = 3;
/** Runs that one process plays: what a run leaves in memory is gone with it. */
const CHUNK = 400;
/** Seconds from one line of progress to the next. */
const PROGRESS = 10;
const FAST_CLOCK = path.join(import.meta.dirname, 'fast-clock.ts');

const { values } = parseArgs({
  options: { runs: { type: 'string' }, seed: { type: 'string' }, run: { type: 'string' } },
});
const seed = values.seed ?? String(Date.now() % 1_000_000);
const single = values.run === undefined ? undefined : Number(values.run);
const runs = Number(values.runs ?? 300);
if (!Number.isSafeInteger(single ?? 0) || !Number.isSafeInteger(runs) || runs < 1) {
  console.error('RUNS, SEED and RUN are whole numbers: make chaos RUNS=300 SEED=7');
  process.exit(2);
}

/** Plays every so many-th run, and hands on each report. */
function play(
  entry: string,
  first: number,
  end: number,
  step: number,
  onReport: (report: Report) => void,
): Promise<void> {
  return new Promise(resolve => {
    const file = path.join(import.meta.dirname, 'shard.ts');
    // What the libraries of the action print is in the reports where it matters.
    const child = fork(file, [entry, seed, String(first), String(end), String(step)], {
      execArgv: ['--import', FAST_CLOCK],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let next = first;
    const errors: Buffer[] = [];
    child.stderr?.on('data', chunk => errors.push(chunk as Buffer));
    child.on('message', message => {
      next += step;
      onReport(message as Report);
    });
    child.once('close', (code, signal) => {
      if (code !== 0 || next < end) onReport(died(next, `${signal ?? code}`, Buffer.concat(errors)));
      resolve();
    });
  });
}

function died(number: number, how: string, errors: Buffer): Report {
  const violations = [`the process that played it ended with ${how}`];
  return { name: `${seed}/${number}`, violations, met: [], outcomes: [], story: [errors.toString()] };
}

async function playAll(entry: string, tally: Tally): Promise<void> {
  if (single !== undefined) return play(entry, single, single + 1, 1, report => tally.add(report));
  const lanes = Array.from({ length: SHARDS }, async (_, lane) => {
    for (let first = lane; first < runs; first += CHUNK * SHARDS)
      await play(entry, first, Math.min(first + CHUNK * SHARDS, runs), SHARDS, report => tally.add(report));
  });
  await Promise.all(lanes);
}

const folder = mkdtempSync(path.join(tmpdir(), 'manifold-chaos-action-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

const root = path.dirname(path.dirname(import.meta.dirname));
if (!isBuilt(toolNamed('cosign'))) {
  const made = spawnSync(process.execPath, ['lab/tools/main.ts', 'cosign'], { cwd: root, stdio: 'inherit' });
  if (made.status !== 0) process.exit(1);
}
const bundled = spawnSync(process.execPath, ['scripts/bundle.mjs', folder], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'inherit'],
});
if (bundled.status !== 0) throw new Error('src/ cannot be bundled');
console.log(single === undefined ? `${runs} runs with SEED=${seed}` : `run ${single} of SEED=${seed}`);
const tally = new Tally(single === undefined ? runs : 1);
const timer = setInterval(() => tally.progress(), PROGRESS * 1000);
await playAll(path.join(folder, 'main.js'), tally);
clearInterval(timer);
tally.finish(single !== undefined);
process.exitCode = tally.failed === 0 ? 0 : 1;
