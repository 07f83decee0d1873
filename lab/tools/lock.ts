/**
 * A lock between processes: a file whose content names the process that holds it. When that process is gone,
 * killed perhaps, the next one takes the lock over.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const pollMilliseconds = 200;

export interface Lock {
  release(): void;
}

/** Takes the lock, or says which process holds it. */
export function tryLock(path: string): Lock | { readonly heldBy: number } {
  mkdirSync(dirname(path), { recursive: true });
  for (;;) {
    if (take(path)) return { release: () => rmSync(path, { force: true }) };
    const holder = read(path);
    if (holder === undefined) continue;
    if (isAlive(holder)) return { heldBy: holder.pid };
    removeStale(path, holder);
  }
}

/** Waits for the lock; `onWait` is called once, with the process that holds it, when it is not free. */
export async function lock(path: string, onWait: (pid: number) => void, signal: AbortSignal): Promise<Lock> {
  for (let told = false; ; told = true) {
    const taken = tryLock(path);
    if ('release' in taken) return taken;
    if (!told) onWait(taken.heldBy);
    await delay(pollMilliseconds);
    signal.throwIfAborted();
  }
}

interface Holder {
  readonly pid: number;
  /** When the process was started, in ticks since boot: a later process may have the same number. */
  readonly started: string;
}

/** The file is written aside and linked, so that nobody ever reads a lock without its content. */
function take(path: string): boolean {
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, `${process.pid} ${startOf(process.pid) ?? ''}\n`);
  try {
    linkSync(mine, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(mine, { force: true });
  }
}

function read(path: string): Holder | undefined {
  try {
    const [pid = '', started = ''] = readFileSync(path, 'utf8').trim().split(' ');
    return { pid: Number(pid), started };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function isAlive(holder: Holder): boolean {
  return startOf(holder.pid) === holder.started;
}

/** Field 22 of /proc/<pid>/stat; the name before it may hold spaces, but it ends at the last bracket. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/**
 * Moves a dead process's lock out of the way. Of two that try, one may move the lock that the other has just
 * taken: it sees so by the content, and puts it back.
 */
function removeStale(path: string, dead: Holder): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = read(aside);
  if (moved !== undefined && moved.pid !== dead.pid) linkSync(aside, path);
  rmSync(aside, { force: true });
}
