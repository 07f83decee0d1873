import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Guard } from './guard.ts';

/** Answers whether the program is ready; asked again and again until it says yes. */
export type Readiness = () => Promise<boolean>;

export interface ProgramOptions {
  /** Short and unique in its lab: names the log. */
  name: string;
  command: string;
  args: readonly string[];
  /** Beside a minimal environment (PATH, HOME, the guard's mark). */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** What to put before the command to be root: nothing, or `sudo -n`. */
  asRoot?: readonly string[];
  ready: Readiness;
  /** Milliseconds until it must be ready. */
  deadline?: number;
}

/** A program that another project wrote, running as a part of the lab. */
export interface Program {
  readonly name: string;
  readonly log: string;
  /** Undefined while it is stopped. */
  readonly pid: number | undefined;
  /** TERM, and KILL if it does not go; resolves when it is gone. */
  stop(): Promise<void>;
  /** SIGKILL, as a machine that loses power. */
  kill(): Promise<void>;
  /** Starts it again with the same arguments, on the same data, and waits until it is ready. */
  start(): Promise<void>;
}

/** Starts a program and waits until it is ready; an early death rejects with the last lines of its log. */
export async function startProgram(guard: Guard, options: ProgramOptions): Promise<Program> {
  const program = new ManagedProgram(guard, options);
  await program.start();
  return program;
}

class ManagedProgram implements Program {
  readonly name: string;
  readonly log: string;
  readonly #guard: Guard;
  readonly #options: ProgramOptions;
  #child: ChildProcess | undefined;
  #gone: Promise<string> = Promise.resolve('never started');

  constructor(guard: Guard, options: ProgramOptions) {
    this.name = options.name;
    this.log = join(guard.logs, `${options.name}.log`);
    this.#guard = guard;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    if (this.#child) throw new Error(`${this.name} is running already`);
    const child = this.#spawn();
    this.#child = child;
    this.#gone = new Promise<string>(resolve => {
      child.once('error', error => resolve(error.message));
      child.once('exit', (code, signal) =>
        resolve(signal ? `ended by ${signal}` : `ended with status ${code}`),
      );
    });
    const gone = this.#gone.then(reason => {
      if (this.#child === child) this.#child = undefined;
      return reason;
    });
    await this.#untilReady(gone);
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM', 5000);
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL', 5000);
  }

  #spawn(): ChildProcess {
    const { command, args, cwd, asRoot = [] } = this.#options;
    const env = {
      PATH: process.env.PATH ?? '/usr/bin:/bin',
      HOME: this.#guard.directory,
      ...this.#options.env,
      ...this.#guard.environment,
    };
    // sudo hands no environment on, so it is spelled out behind it.
    const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const prefix = asRoot.length > 0 ? [...asRoot, 'env', ...settings] : [];
    const [program = command, ...rest] = [...prefix, command, ...args];
    const log = openSync(this.log, 'a');
    try {
      return spawn(program, rest, {
        cwd: cwd ?? this.#guard.directory,
        // A group of its own: a Ctrl-C reaches the lab alone, which then stops its parts in order.
        detached: true,
        env,
        stdio: ['ignore', log, log],
      });
    } finally {
      closeSync(log);
    }
  }

  /** Asks closely, for the programs are not ours to make them say when they are ready. */
  async #untilReady(gone: Promise<string>): Promise<void> {
    const deadline = Date.now() + (this.#options.deadline ?? 20_000);
    let reason: string | undefined;
    void gone.then(why => {
      reason = why;
    });
    for (;;) {
      const ready = await this.#options.ready().catch(() => false);
      if (reason !== undefined) throw this.#failure(reason);
      if (ready) return;
      if (Date.now() > deadline) {
        await this.kill();
        throw this.#failure('was not ready in time');
      }
      await Promise.race([gone, delay(10)]);
    }
  }

  async #end(signal: NodeJS.Signals, grace: number): Promise<void> {
    const child = this.#child;
    if (!child?.pid) return;
    this.#signal(child.pid, signal);
    const late = delay(grace, 'late' as const, { ref: false });
    if ((await Promise.race([this.#gone, late])) === 'late') this.#signal(child.pid, 'SIGKILL');
    await this.#gone;
    this.#child = undefined;
  }

  /** Goes to the whole group, so that no helper of the program outlives it. */
  #signal(pid: number, signal: NodeJS.Signals): void {
    const [sudo, ...options] = this.#options.asRoot ?? [];
    try {
      if (sudo === undefined) process.kill(-pid, signal);
      else spawnSync(sudo, [...options, 'kill', '-s', signal.slice(3), '--', `-${pid}`]);
    } catch {
      // Gone in the meantime.
    }
  }

  #failure(reason: string): Error {
    const lines = readFileSync(this.log, 'utf8').trimEnd().split('\n').slice(-15);
    return new Error(`${this.name} ${reason}; the end of its log (${this.log}):\n${lines.join('\n')}`);
  }
}

/** Ready when something accepts connections on a loopback port or a socket's path. */
export function accepts(where: number | string): Readiness {
  return () =>
    new Promise(resolve => {
      const socket =
        typeof where === 'number' ? connect({ host: '127.0.0.1', port: where }) : connect({ path: where });
      const answer = (yes: boolean): void => {
        socket.destroy();
        resolve(yes);
      };
      socket.once('connect', () => answer(true)).once('error', () => answer(false));
    });
}

/** Ready when a GET of `url` is answered with one of `statuses`. */
export function answers(url: string, statuses: readonly number[] = [200]): Readiness {
  return async () => {
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) });
    await response.arrayBuffer();
    return statuses.includes(response.status);
  };
}
