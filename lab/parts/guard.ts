import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const watchdog = fileURLToPath(new URL('watchdog.sh', import.meta.url));

/**
 * Owns all that a lab leaves on the machine: its folder, its processes, its mounts. A shell process beside the lab
 * (watchdog.sh) knows it all, and clears it away when the lab says so or when the lab dies, even by SIGKILL.
 */
export class Guard {
  /** The lab's folder, below the folder for temporary files. */
  readonly directory: string;
  /** The logs of its parts. */
  readonly logs: string;
  /** What every process of the lab must carry in its environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;

  /** `asRoot` is what to put before a command to be root, where the lab starts anything as root. */
  constructor(name = 'lab', asRoot: readonly string[] = []) {
    this.directory = mkdtempSync(join(tmpdir(), `manifold-${name}-`));
    this.logs = join(this.directory, 'logs');
    mkdirSync(this.logs);
    const mark = `${this.directory}:${randomUUID()}`;
    this.environment = { MANIFOLD_LAB: mark };
    const environment = { ...process.env };
    delete environment.MANIFOLD_LAB;
    const words = [...asRoot, '/bin/sh', watchdog, `MANIFOLD_LAB=${mark}`, this.directory];
    // In a session of its own: Ctrl-C in the terminal and a kill of the lab's process group do not reach it.
    this.#process = spawn(words[0] ?? '/bin/sh', words.slice(1), {
      cwd: '/',
      detached: true,
      env: environment,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#ended = once(this.#process, 'exit');
    // Neither keeps the lab's own process alive.
    this.#process.unref();
    (this.#process.stdin as Socket).unref();
  }

  /** Records a mount before it is made, so that there is no moment in which it could be forgotten. */
  mount(path: string): void {
    this.#tell(`mount ${path}`);
  }

  /** Records an entry of binfmt_misc, by its file. */
  binfmt(file: string): void {
    this.#tell(`binfmt ${file}`);
  }

  /** Records a control group that is ours to remove, by its name in every hierarchy. */
  cgroup(name: string): void {
    this.#tell(`cgroup ${name}`);
  }

  /** Leaves the folder behind, for a person to look at. */
  keep(): void {
    this.#tell('keep');
  }

  /** Ends every process, undoes every mount, removes the folder; resolves when it is done. May be called twice. */
  async close(): Promise<void> {
    this.#process.ref();
    (this.#process.stdin as Socket).ref();
    this.#process.stdin?.end();
    await this.#ended;
  }

  #tell(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }
}
