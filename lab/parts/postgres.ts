import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { postgresDirectory } from '../tools/debian.ts';
import { MissingRequirement } from '../tools/errors.ts';
import { check, run } from './command.ts';
import type { Guard } from './guard.ts';
import { type Program, startProgram } from './process.ts';

export interface Postgres {
  readonly program: Program;
  /** Address of its only database, as libpq and its like take it. */
  readonly uri: string;
}

/** It names the socket; no port of the machine is taken. */
const port = '5432';

/**
 * Runs the server, in place of which it takes signals. TERM would have the server wait for its clients to leave, INT has
 * it send them away; killed instead, it would leave a segment of shared memory on the machine. One that was killed is a
 * moment in dying, and no other one starts on its data before.
 */
const supervisor = [
  'while kill -0 "$(head -n 1 "$0")"; do sleep 0.05; done 2>/dev/null',
  '"$@" & server=$!',
  'trap "kill -INT $server" TERM',
  'wait $server || wait $server',
].join('\n');

/**
 * A PostgreSQL of the lab's own, with a schema in it. It listens on a socket in the lab's folder and nowhere else, so
 * that it needs no password. What it holds need not outlive the machine, so it never waits for the disk.
 *
 * @param schema file of SQL statements
 */
export async function startPostgres(guard: Guard, schema: string): Promise<Postgres> {
  const bin = commandFolder();
  const directory = join(guard.directory, 'postgres');
  await mkdir(directory, { mode: 0o700 });
  const account = await serverAccount();
  if (account !== undefined) await letIn(guard.directory, directory, account);
  const as = account === undefined ? [] : becoming(account);
  const data = await initialize([...as, join(bin, 'initdb')], directory);
  const server = [join(bin, 'postgres'), '-D', data, '-p', port, ...settings(directory)];
  const supervised = ['/bin/sh', '-c', supervisor, join(data, 'postmaster.pid'), ...server];
  const [command = '', ...args] = [...as, ...supervised];
  const question = ['--quiet', '-h', directory, '-p', port, '-U', 'postgres'];
  const program = await startProgram(guard, {
    name: 'postgres',
    command,
    args,
    // It takes connections before it is able to serve them.
    ready: async () => (await run(join(bin, 'pg_isready'), question)).status === 0,
  });
  const uri = `postgresql:///postgres?host=${directory}&port=${port}&user=postgres`;
  await check(join(bin, 'psql'), ['-X', '--quiet', '--set', 'ON_ERROR_STOP=1', '--file', schema, uri]);
  return { program, uri };
}

/** @returns the folder with the data of a new server */
async function initialize([command = '', ...args]: readonly string[], directory: string): Promise<string> {
  const data = join(directory, 'data');
  const options = ['--username=postgres', '--auth=trust', '--no-sync', '--locale=C', '--encoding=UTF8'];
  // It looks at the folder that it is called in, which the lab's owner may have for himself.
  await check(command, [...args, '--pgdata', data, ...options], { cwd: directory });
  return data;
}

function commandFolder(): string {
  const folder = postgresDirectory();
  if (folder === undefined) {
    throw new MissingRequirement(
      'PostgreSQL is missing: run "make tools", or install the package postgresql',
    );
  }
  return folder;
}

function settings(directory: string): string[] {
  const values = {
    listen_addresses: '',
    unix_socket_directories: directory,
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    // In files below its data, so that a server that is killed leaves nothing in /dev/shm.
    dynamic_shared_memory_type: 'mmap',
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root: then the account that its package made. Undefined where we are not root. */
async function serverAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all(['-u', '-g'].map(which => check('id', [which, 'postgres'])));
  return { uid: Number(uid), gid: Number(gid) };
}

/** The lab's folder is ours alone: the server may pass through it, and look at nothing in it but its own. */
async function letIn(lab: string, directory: string, { uid, gid }: Account): Promise<void> {
  await chown(directory, uid, gid);
  await chown(lab, 0, gid);
  await chmod(lab, 0o710);
}

/** The words to put before a command; it stays the same process, so that signals reach it. */
function becoming({ uid, gid }: Account): string[] {
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
}
