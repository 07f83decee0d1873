/** Runs a command into a log file, and tells its last lines when it fails. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CommandFailed } from './errors.ts';

/** How many lines of the log a person sees before being sent to the file. */
const shownLines = 20;

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** The file that takes what the command writes. */
  readonly log: string;
  /** Start the log anew, or go on at its end. */
  readonly append?: boolean;
  /** Stops the command, and all that it started, when aborted. */
  readonly signal?: AbortSignal;
}

/**
 * Runs a command to its end.
 *
 * @throws CommandFailed when it cannot be started or ends with another code than 0
 * @throws Interrupted when the signal was aborted; the command has ended by then
 */
export async function runLogged(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<void> {
  options.signal?.throwIfAborted();
  mkdirSync(dirname(options.log), { recursive: true });
  const log = openSync(options.log, options.append === true ? 'a' : 'w');
  try {
    // A group of its own: a compiler's children are then stopped with it, and Ctrl-C reaches it only through us.
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', log, log],
      detached: true,
    });
    const stop = () => stopGroup(child);
    options.signal?.addEventListener('abort', stop);
    try {
      const outcome = await ending(child);
      options.signal?.throwIfAborted();
      if (outcome !== 'exit code 0') throw new CommandFailed(report(command, args, outcome, options.log));
    } finally {
      options.signal?.removeEventListener('abort', stop);
    }
  } finally {
    closeSync(log);
  }
}

function ending(child: ChildProcess): Promise<string> {
  return new Promise(resolve => {
    child.once('error', error => resolve(error.message));
    child.once('close', (code, signal) =>
      resolve(signal === null ? `exit code ${code}` : `signal ${signal}`),
    );
  });
}

/** The group is gone when the command has just ended by itself. */
function stopGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function report(command: string, args: readonly string[], outcome: string, log: string): string {
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-shownLines);
  const shown = lines.map(line => `  | ${line}`).join('\n');
  return `${command} ${args.slice(0, 2).join(' ')} ... ended with ${outcome}:\n${shown}\n  the whole log: ${log}`;
}
