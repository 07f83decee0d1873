import { spawn } from 'node:child_process';
import path from 'node:path';
import { ManifoldError } from '../../src/errors.ts';
import { readInputs } from '../../src/inputs.ts';
import { merge } from '../../src/modes/merge.ts';
import type { Runner } from '../../src/runner/actions.ts';

/** How a merge ended. */
export interface Ended {
  /** `success`, `killed`, the code of the error, or `internal` for one that has none. */
  readonly outcome: string;
  readonly log: readonly string[];
}

/**
 * A merge in this process: what src/main.ts does with the same variables, without the start of a program, which takes
 * longer than the merge itself.
 */
export async function mergeHere(env: NodeJS.ProcessEnv): Promise<Ended> {
  const log: string[] = [];
  // The client of the artifact service reads the process's own environment.
  const before = { ...process.env };
  Object.assign(process.env, env);
  try {
    const inputs = readInputs(env);
    if (inputs.mode !== 'merge') throw new Error('the step is no merge');
    await merge(inputs, recordingRunner(log), env);
    return { outcome: 'success', log };
  } catch (error) {
    if (error instanceof ManifoldError) {
      log.push(`${error.code}: ${error.message}`);
      return { outcome: error.code, log };
    }
    log.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return { outcome: 'internal', log };
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

function recordingRunner(log: string[]): Runner {
  const say = (message: string): void => void log.push(message);
  return {
    info: say,
    notice: say,
    warning: say,
    mask: () => {},
    output: () => {},
    summary: () => Promise.resolve(),
    group: (_, work) => work(),
  };
}

const FAST_CLOCK = path.join(import.meta.dirname, 'fast-clock.ts');

interface RunningMerge {
  readonly kill: () => void;
  readonly ended: Promise<Ended>;
}

/** A merge in a process of its own, as the runner starts it. */
export function startMerge(entry: string, env: NodeJS.ProcessEnv): RunningMerge {
  const child = spawn(process.execPath, ['--import', FAST_CLOCK, entry], {
    env,
    cwd: env.HOME,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => chunks.push(chunk as Buffer));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const log = Buffer.concat(chunks).toString().split('\n');
      resolve({ outcome: outcomeOf(code, signal, log), log });
    });
  });
  return { kill: () => void child.kill('SIGKILL'), ended };
}

function outcomeOf(code: number | null, signal: NodeJS.Signals | null, log: readonly string[]): string {
  if (signal === 'SIGKILL') return 'killed';
  if (code === 0) return 'success';
  const title = log.map(line => /^::error title=Manifold%3A ([a-z-]+)::/.exec(line)?.[1]).find(Boolean);
  return code === 1 && title !== undefined ? title : 'internal';
}
