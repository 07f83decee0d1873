/**
 * All that must hold before a change goes in, one part after the other. A part that fails does not keep the next from
 * running; what cannot run has failed.
 *
 *   lab/node scripts/test.ts
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { toolPath } from '../lab/tools/catalog.ts';
import { install } from './install.ts';

const root = path.dirname(import.meta.dirname);
const reports = mkdtempSync(path.join(tmpdir(), 'manifold-test-'));

interface Count {
  readonly passed: number;
  readonly failed: number;
}

interface Part {
  readonly name: string;
  run(): Promise<Count>;
}

const PASSED: Count = { passed: 1, failed: 0 };
const FAILED: Count = { passed: 0, failed: 1 };

/** Node 24 and the packages' programs before all others, so that every part runs as it does for everybody. */
const environment = {
  ...process.env,
  PATH: [path.dirname(process.execPath), path.join(root, 'node_modules/.bin'), process.env.PATH ?? ''].join(
    path.delimiter,
  ),
};

let running: ChildProcess | undefined;
let stoppedBy: NodeJS.Signals | undefined;

/** Runs a command with our output, and tells whether it ended well. */
function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  return new Promise(resolve => {
    const child = spawn(command, args, { cwd: root, env: environment, stdio: 'inherit' });
    running = child;
    child.once('error', error => {
      console.error(`${command} cannot be started: ${error.message}`);
      resolve(false);
    });
    child.once('close', code => resolve(code === 0));
  });
}

function check(name: string, command: string, ...args: readonly string[]): Part {
  return { name, run: async () => ((await succeeds(command, args)) ? PASSED : FAILED) };
}

function script(name: string, ...args: readonly string[]): Part {
  return check(name, process.execPath, ...args);
}

/** A linter of workflows, over the project's own and the examples. */
function workflows(tool: string, ...options: readonly string[]): Part {
  const files = ['.github/workflows', 'examples'].flatMap(folder =>
    readdirSync(path.join(root, folder))
      .filter(file => file.endsWith('.yml'))
      .map(file => path.join(folder, file)),
  );
  return {
    name: `workflows: ${tool}`,
    run: async () => ((await succeeds(toolPath(tool), [...options, ...files])) ? PASSED : FAILED),
  };
}

/** The part of vitest's JSON report that is counted. */
interface Report {
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

function tests(name: string, config: string): Part {
  const file = path.join(reports, `${name}.json`);
  const options = ['--config', config, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  return {
    name,
    run: async () => {
      const ended = await succeeds(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...options]);
      const count = countTests(file);
      // An error outside of any test, or no test at all.
      if (!ended && count.failed === 0) return { ...count, failed: 1 };
      return count;
    },
  };
}

/** A test that was skipped could not run, and a file that could not be loaded is a test that failed. */
function countTests(file: string): Count {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return FAILED; // vitest did not come to the point where it writes its report
  }
  const outcomes = report.testResults.flatMap(({ status, assertionResults }) =>
    assertionResults.length === 0 ? [status] : assertionResults.map(result => result.status),
  );
  const passed = outcomes.filter(outcome => outcome === 'passed').length;
  return { passed, failed: outcomes.length - passed };
}

const PARTS: readonly Part[] = [
  { name: 'install', run: () => Promise.resolve(install() ? PASSED : FAILED) },
  script('tools', 'lab/tools/main.ts'),
  check('types', 'tsc', '--noEmit'),
  check('lint: biome', 'biome', 'check', '.'),
  check('lint: oxlint', 'oxlint', '--type-aware', '--deny-warnings'),
  check('lint: knip', 'knip'),
  tests('tests', 'vitest.config.ts'),
  tests('publishing', 'vitest.publishing.config.ts'),
  script('chaos', 'lab/chaos/main.ts', '--runs', '300', '--seed', '1'),
  script('dist', 'scripts/check-dist.ts'),
  script('archive', 'scripts/check-archive.ts'),
  workflows('actionlint'),
  workflows('zizmor', '--offline', '--quiet', '--config', '.github/zizmor.yml'),
  tests('lab', 'lab/vitest.config.ts'),
];

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

async function runPart(part: Part): Promise<Count> {
  try {
    return await part.run();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return FAILED;
  }
}

async function runAll(): Promise<Count> {
  const lines: string[] = [];
  let total: Count = { passed: 0, failed: 0 };
  for (const [position, part] of PARTS.entries()) {
    console.log(`\n=== ${part.name}`);
    const started = Date.now();
    const { passed, failed } = await runPart(part);
    if (stoppedBy !== undefined) break;
    total = { passed: total.passed + passed, failed: total.failed + failed };
    lines.push(
      `${part.name.padEnd(24)} ${failed === 0 ? 'ok    ' : 'FAILED'} ${`${passed} passed, ${failed} failed`.padEnd(24)} ${seconds(started)}`,
    );
    console.log(`=== ${lines.at(-1)}`);
    if (position === 0 && failed > 0) {
      // Without the packages no other part can run.
      total = { ...total, failed: PARTS.length };
      break;
    }
  }
  console.log(`\n${lines.join('\n')}\n`);
  return total;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    stoppedBy = signal;
    // A part takes its own things down; Ctrl-C has reached it already, and a second time does no harm.
    running?.kill(signal);
  });
}

try {
  const { passed, failed } = await runAll();
  if (stoppedBy === undefined) console.log(`${passed} passed, ${failed} failed`);
  else console.error(`stopped by ${stoppedBy}`);
  process.exitCode = failed === 0 && stoppedBy === undefined ? 0 : 1;
} finally {
  rmSync(reports, { recursive: true, force: true });
}
