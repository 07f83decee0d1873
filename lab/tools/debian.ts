/**
 * What the lab takes from the machine itself: a few Debian or Ubuntu packages, and root.
 *
 * Packages are installed where that can be done without asking (as root, or with passwordless sudo as on GitHub's
 * runners); else the error is one line to copy. apt is not touched when nothing is missing.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cacheRoot } from './cache.ts';
import { MissingRequirement } from './errors.ts';
import { runLogged } from './process.ts';

/** A package, how to see that the machine has no need of it, and the tools that cannot do without it. */
export interface SystemPackage {
  readonly name: string;
  /** What it is for, in the error on a machine without apt. */
  readonly purpose: string;
  readonly isThere: () => boolean;
  /** Names of the catalog; a package that only the lab's tests call has none. */
  readonly tools: readonly string[];
}

const systemPackages: readonly SystemPackage[] = [
  { name: 'git', purpose: 'the command git', isThere: () => onPath('git'), tools: ['act'] },
  // A Docker engine brings a runc of its own, whose package would clash with Debian's.
  { name: 'runc', purpose: 'the command runc', isThere: () => onPath('runc'), tools: ['buildkit'] },
  {
    name: 'qemu-user-static',
    purpose: 'the command qemu-aarch64-static',
    isThere: () => onPath('qemu-aarch64-static'),
    tools: ['buildkit'],
  },
  { name: 'openssl', purpose: 'the command openssl', isThere: () => onPath('openssl'), tools: ['fulcio'] },
  {
    name: 'postgresql',
    purpose: 'the commands initdb, postgres and psql of PostgreSQL',
    isThere: () => postgresDirectory() !== undefined,
    tools: ['trillian'],
  },
  { name: 'skopeo', purpose: 'the command skopeo', isThere: () => onPath('skopeo'), tools: [] },
  {
    name: 'python3-venv',
    purpose: 'python3 with its modules venv and ensurepip',
    isThere: () => succeeds('python3', ['-c', 'import venv, ensurepip']),
    tools: ['zizmor'],
  },
];

/** The packages that these tools need; without an argument, all that the lab needs. */
export function packagesFor(tools?: readonly string[]): readonly SystemPackage[] {
  if (tools === undefined) return systemPackages;
  return systemPackages.filter(candidate => candidate.tools.some(tool => tools.includes(tool)));
}

/**
 * The folder of PostgreSQL's commands, the newest release where there are several; undefined where there is none.
 * Debian keeps the server's commands away from PATH, so that releases can live side by side.
 */
export function postgresDirectory(): string | undefined {
  const releases = namesIn('/usr/lib/postgresql').sort((a, b) => Number(b) - Number(a));
  const folders = releases
    .map(release => join('/usr/lib/postgresql', release, 'bin'))
    .concat(commandFolders());
  return folders.find(folder =>
    ['initdb', 'postgres', 'psql'].every(command => isExecutable(join(folder, command))),
  );
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function onPath(command: string): boolean {
  return commandFolders().some(folder => isExecutable(join(folder, command)));
}

/**
 * Where commands are: PATH, and the folders for the system's own commands, which a person's PATH on Debian leaves out.
 * BuildKit is started as root and finds runc there.
 */
function commandFolders(): string[] {
  return (process.env.PATH ?? '').split(delimiter).concat('/usr/local/sbin', '/usr/sbin', '/sbin');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** The words to put before a command that needs root, or undefined where that takes a password. */
function rootPrefix(): readonly string[] | undefined {
  if (process.getuid?.() === 0) return [];
  return succeeds('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined;
}

/**
 * How to run a command as root without asking anybody: `[]`, or `['sudo', '-n']` to put before it.
 *
 * @param purpose what needs root, as the subject of a sentence: `BuildKit`, `registering QEMU for arm64`
 * @throws MissingRequirement when this is neither root nor passwordless sudo
 */
export function requireRoot(purpose: string): readonly string[] {
  const prefix = rootPrefix();
  if (prefix === undefined) {
    throw new MissingRequirement(
      `${purpose} needs root: run this as root, or allow sudo without a password ("sudo -n true" must succeed)`,
    );
  }
  return prefix;
}

/**
 * Installs those packages that the machine lacks; most often none, and then nothing is run.
 *
 * @param say takes a line for a person when something is installed
 * @throws MissingRequirement with one line to copy, when it needs a password or there is no apt
 */
export async function ensurePackages(
  wanted: readonly SystemPackage[],
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const missing = wanted.filter(candidate => !candidate.isThere());
  if (missing.length === 0) return;
  const names = missing.map(candidate => candidate.name);
  if (!onPath('apt-get')) {
    const purposes = missing.map(candidate => candidate.purpose).join(', ');
    throw new MissingRequirement(
      `this machine lacks ${purposes}; it has no apt-get, so install them by its own means`,
    );
  }
  const prefix = rootPrefix();
  if (prefix === undefined) {
    throw new MissingRequirement(
      `packages are missing; install them: sudo apt-get update && sudo apt-get install -y ${names.join(' ')}`,
    );
  }
  say(`installing Debian packages: ${names.join(' ')}`);
  await install(names, prefix, signal);
  const lacking = missing.filter(candidate => !candidate.isThere()).map(candidate => candidate.purpose);
  if (lacking.length > 0) {
    throw new MissingRequirement(`apt-get succeeded, and yet this machine lacks ${lacking.join(', ')}`);
  }
}

async function install(
  names: readonly string[],
  root: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const log = join(cacheRoot(), 'logs', 'apt.log');
  const apt = async (args: readonly string[], append: boolean): Promise<void> => {
    // Through env, because sudo hands no environment on. Another apt may be at work: wait for it.
    const line = [
      ...root,
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      'apt-get',
      '-o',
      'DPkg::Lock::Timeout=120',
    ];
    const [command = '', ...rest] = [...line, ...args];
    await runLogged(command, rest, { log, append, signal });
  };
  await apt(['update'], false);
  await apt(['install', '-y', '--no-install-recommends', ...names], true);
}
