/**
 * Removes the cache of the lab, all that was ever downloaded or built, and says how much was freed.
 *
 *   lab/node lab/tools/clean.ts
 *
 * The Node that runs this lies in the cache too: a program may be removed while it runs.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { cacheRoot, isOurCache, readableSize, sizeOf } from './cache.ts';
import { requireRoot } from './debian.ts';
import { MissingRequirement } from './errors.ts';

function clean(root: string): string {
  if (!isOurCache(root)) {
    throw new MissingRequirement(
      `${root} does not carry the mark of Manifold's cache (CACHEDIR.TAG): it is left alone`,
    );
  }
  const [mounted] = mountsBelow(root);
  if (mounted !== undefined) {
    throw new MissingRequirement(
      `${mounted} is mounted: a lab still runs, stop it first; nothing is removed`,
    );
  }
  const size = sizeOf(root);
  remove(root);
  return `${root} removed, ${readableSize(size)} freed`;
}

/** Mounts in the folder: what they show may lie elsewhere, and would be removed with it. */
function mountsBelow(root: string): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
  // Field 5 is the mount point, with blanks and the like as octal escapes (man 5 proc_pid_mountinfo).
  const points = lines.map(line => (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, unescapeOctal));
  return points.filter(point => point === root || point.startsWith(`${root}/`));
}

function unescapeOctal(_escape: string, digits: string): string {
  return String.fromCharCode(Number.parseInt(digits, 8));
}

/** Parts of the lab that run as root leave files that only root can remove. */
function remove(root: string): void {
  try {
    rmSync(root, { recursive: true, force: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!['EACCES', 'EPERM'].includes(code)) throw error;
    const line: string[] = [...requireRoot(`Removing root's files in ${root}`), 'rm', '-rf', root];
    const [command = '', ...args] = line;
    if (spawnSync(command, args, { stdio: 'inherit' }).status !== 0) throw error;
  }
}

try {
  process.stdout.write(`${clean(cacheRoot())}\n`);
} catch (error) {
  if (!(error instanceof MissingRequirement)) throw error;
  process.stderr.write(`clean-tools: ${error.message}\n`);
  process.exitCode = 1;
}
