/**
 * The lab's cache: the one folder outside the tree into which everything goes that is downloaded or built.
 *
 *   CACHEDIR.TAG       marks the folder as ours, see clean.ts
 *   node/<key>/        Node 24, written by lab/node
 *   tools/<name>/<key>/bin/, share/
 *   bin/<key>/         symbolic links to every built binary, to be put on PATH
 *   go/, npm/, pip/    the package managers' own caches
 *   locks/, logs/
 */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** The folder `lab/tools` of this checkout. */
export const toolsDirectory = import.meta.dirname;

/** The file that marks the cache as ours, and the line in it that no other program would write. */
const tagName = 'CACHEDIR.TAG';
const tagLine = "# The cache of Manifold's lab.";

/**
 * The absolute path of the cache: `$XDG_CACHE_HOME/manifold`, else `~/.cache/manifold`.
 *
 * @see https://specifications.freedesktop.org/basedir-spec/latest/ (a relative path is to be ignored)
 */
export function cacheRoot(): string {
  const base = process.env.XDG_CACHE_HOME ?? '';
  return join(isAbsolute(base) ? base : join(homedir(), '.cache'), 'manifold');
}

/** Whether a folder carries the mark that lab/node puts on the cache. */
export function isOurCache(directory: string): boolean {
  const tag = join(directory, tagName);
  return existsSync(tag) && readFileSync(tag, 'utf8').includes(tagLine);
}

/**
 * A short key made of everything that decides what comes out of a build. Each part is preceded by its length,
 * so that no two lists of parts run together into the same bytes.
 */
export function keyOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${Buffer.byteLength(part)}:`).update(part);
  }
  return hash.digest('hex').slice(0, 16);
}

/** The key of lab/node: it has only sha256sum, so this is the digest of the lock file alone. */
export function nodeKey(): string {
  const lock = readFileSync(join(toolsDirectory, 'node', 'package-lock.json'));
  return createHash('sha256').update(lock).digest('hex').slice(0, 16);
}

/**
 * The bytes that a file or folder takes on the disk. Hard links are counted once, symbolic links are not followed,
 * and a folder that may not be read counts for itself only.
 */
export function sizeOf(path: string): number {
  const seen = new Set<string>();
  const measure = (at: string): number => {
    const stat = lstatSync(at, { throwIfNoEntry: false });
    if (stat === undefined) return 0;
    if (stat.isDirectory()) {
      return namesIn(at).reduce((sum, name) => sum + measure(join(at, name)), stat.blocks * 512);
    }
    if (stat.nlink > 1) {
      const inode = `${stat.dev}:${stat.ino}`;
      if (seen.has(inode)) return 0;
      seen.add(inode);
    }
    return stat.blocks * 512;
  };
  return measure(path);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return [];
    throw error;
  }
}

/** Bytes as a person reads them: `7.5 GB`, `12 MB`. */
export function readableSize(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.ceil(bytes / 1e6)} MB`;
}
