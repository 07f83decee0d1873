/**
 * Installs the packages of package-lock.json, unless node_modules holds exactly them already. npm's own cache goes into
 * the cache of the lab, so that nothing else is left behind.
 *
 *   lab/node scripts/install.ts
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { cacheRoot } from '../lab/tools/catalog.ts';

const root = path.dirname(import.meta.dirname);

interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  /** Present where another platform's package may be left out. */
  readonly optional?: boolean;
}

function readLock(file: string): Readonly<Record<string, LockedPackage>> | undefined {
  try {
    const { packages } = JSON.parse(readFileSync(path.join(root, file), 'utf8')) as {
      packages: Record<string, LockedPackage>;
    };
    return packages;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** npm notes in node_modules what it installed (its "hidden lock file"). */
export function isInstalled(): boolean {
  const wanted = readLock('package-lock.json') ?? {};
  const present = readLock('node_modules/.package-lock.json');
  if (present === undefined) return false;
  const isComplete = Object.entries(wanted).every(
    ([folder, { optional }]) => folder === '' || optional === true || folder in present,
  );
  const isExact = Object.entries(present).every(([folder, { version, integrity }]) => {
    const locked = wanted[folder];
    return locked !== undefined && locked.version === version && locked.integrity === integrity;
  });
  return isComplete && isExact;
}

/** @returns whether the packages are there now */
export function install(): boolean {
  if (isInstalled()) return true;
  // Warnings are about engines: npm may run under an older Node than the one that runs the packages.
  const { status, error } = spawnSync('npm', ['ci', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      npm_config_cache: path.join(cacheRoot(), 'npm'),
      npm_config_update_notifier: 'false',
    },
  });
  if (error !== undefined) console.error(`install: npm cannot be started: ${error.message}`);
  return status === 0;
}

if (import.meta.main) process.exitCode = install() ? 0 : 1;
