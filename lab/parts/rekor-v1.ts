import { join } from 'node:path';
import { toolFile, toolPath } from '../tools/catalog.ts';
import { check } from './command.ts';
import type { Guard } from './guard.ts';
import { reservePort } from './ports.ts';
import { startPostgres } from './postgres.ts';
import { accepts, answers, type Program, startProgram } from './process.ts';

export interface RekorV1Options {
  readonly port: number;
  /** P-256 in PKCS8, unencrypted: signs the log's promises and checkpoints. */
  readonly keyFile: string;
  /** The name by which the log signs its checkpoints: the host of its address. */
  readonly hostname: string;
}

export type RekorV1Part = 'postgres' | 'logServer' | 'logSigner' | 'rekor';

export interface RekorV1 {
  readonly url: string;
  /** Each can be stopped and started again; the log stays. */
  readonly programs: Readonly<Record<RekorV1Part, Program>>;
  close(): Promise<void>;
}

/** All but `searchIndex`, for which Rekor would look for Redis at every entry. */
const endpoints = [
  ...['createLogEntry', 'getLogEntryByIndex', 'getLogEntryByUUID', 'searchLogQuery'],
  ...['getLogInfo', 'getLogProof', 'getPublicKey'],
];

/** Rekor v1, the log of the public Sigstore: Rekor in front of Trillian, which keeps its log in PostgreSQL. */
export async function startRekorV1(guard: Guard, options: RekorV1Options): Promise<RekorV1> {
  const rpcPorts = await Promise.all([reservePort(), reservePort()]);
  const [server, signer] = rpcPorts.map(reserved => reserved.port) as [number, number];
  const postgres = await startPostgres(guard, toolFile('trillian.sql'));
  const [[logServer, tree], logSigner] = await Promise.all([
    startLogServer(guard, postgres.uri, server).then(
      async program => [program, await createTree(server)] as const,
    ),
    startLogSigner(guard, postgres.uri, signer),
  ]);
  const rekor = await startRekor(guard, options, server, tree);
  const programs = { postgres: postgres.program, logServer, logSigner, rekor };
  return {
    url: `http://127.0.0.1:${options.port}`,
    programs,
    close: async () => {
      // Trillian's two sleep for five seconds before they end, and PostgreSQL alone has something to lose.
      await Promise.all([rekor.stop(), logServer.kill(), logSigner.kill(), postgres.program.stop()]);
      for (const reserved of rpcPorts) reserved.release();
    },
  };
}

function storage(uri: string, port: number): string[] {
  return [
    ...['--storage_system=postgresql', '--quota_system=noop', `--postgresql_uri=${uri}`],
    ...[`--rpc_endpoint=127.0.0.1:${port}`, '--http_endpoint='],
  ];
}

function startLogServer(guard: Guard, uri: string, port: number): Promise<Program> {
  return startProgram(guard, {
    name: 'trillian-server',
    command: toolPath('trillian_log_server'),
    args: storage(uri, port),
    ready: accepts(port),
  });
}

function startLogSigner(guard: Guard, uri: string, port: number): Promise<Program> {
  return startProgram(guard, {
    name: 'trillian-signer',
    command: toolPath('trillian_log_signer'),
    // An entry is answered when it is in the tree, so the interval is what a signer waits.
    args: [...storage(uri, port), '--force_master', '--sequencer_interval=20ms', '--batch_size=500'],
    ready: accepts(port),
  });
}

/** @returns the new tree's number */
async function createTree(port: number): Promise<string> {
  const said = await check(toolPath('createtree'), [`--admin_server=127.0.0.1:${port}`]);
  return said.trim().split('\n').at(-1) ?? '';
}

function startRekor(
  guard: Guard,
  { port, keyFile, hostname }: RekorV1Options,
  logServer: number,
  tree: string,
): Promise<Program> {
  return startProgram(guard, {
    name: 'rekor-v1',
    command: toolPath('rekor-server-v1'),
    args: [
      ...['serve', '--host', '127.0.0.1', '--port', `${port}`],
      ...['--rekor_server.address', '127.0.0.1', '--rekor_server.hostname', hostname],
      ...['--rekor_server.signer', keyFile, '--publish_frequency', '0'],
      ...['--trillian_log_server.address', '127.0.0.1', '--trillian_log_server.port', `${logServer}`],
      ...['--trillian_log_server.tlog_id', tree, '--enabled_api_endpoints', endpoints.join(',')],
    ],
    cwd: join(guard.directory, 'sigstore'),
    ready: answers(`http://127.0.0.1:${port}/ping`),
  });
}
