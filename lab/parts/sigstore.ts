import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { toolPath } from '../tools/catalog.ts';
import { fulcioConfiguration } from './fulcio-config.ts';
import type { Guard } from './guard.ts';
import { type ReservedPort, reservePort } from './ports.ts';
import { accepts, answers, type Program, startProgram } from './process.ts';
import { type RekorV1, startRekorV1 } from './rekor-v1.ts';
import {
  type LogVersion,
  legacyEnvironment,
  writeSigningConfig,
  writeTrustedRoot,
} from './sigstore-files.ts';
import { type Keys, makeKeys } from './sigstore-keys.ts';

export type { LogVersion } from './sigstore-files.ts';

/** The services that a signer calls, by address. */
export interface SigstoreUrls {
  readonly fulcio: string;
  /** Rekor v2. */
  readonly rekor: string;
  /** Where there is no Rekor v1, nothing answers there. */
  readonly rekorV1: string;
  readonly tsa: string;
}

/** Which services a signing config names. */
export interface SigningChoice {
  /** Those that the lab was started with, unless it says otherwise. */
  readonly logs?: readonly LogVersion[];
  /** False leaves out the timestamp authority, which only Rekor v1 can do without. */
  readonly timestamps?: boolean;
}

export type SigstorePart = 'fulcio' | 'rekor' | 'tsa' | 'ctlog';

export interface SigstoreOptions {
  /**
   * The logs that the signing config names, and another one by `signingConfigFor` unless it chooses: Rekor v2 without
   * this. Rekor v1 takes the longest to start, so it runs only where it stands here; v2 always does.
   */
  readonly logs?: readonly LogVersion[];
}

export interface Sigstore {
  readonly urls: SigstoreUrls & { readonly ctlog: string };
  /** Files in Sigstore's own formats, as `cosign --trusted-root` and `--signing-config` read them. */
  readonly trustedRoot: string;
  readonly signingConfig: string;
  /** Each can be stopped and started again; keys and logs stay. */
  readonly programs: Readonly<Record<SigstorePart, Program>>;
  /** Rekor v1 with all that it stands on; an error where the lab was started without it. */
  readonly rekorV1: RekorV1;
  /**
   * What cosign 2 reads instead of a trusted root, to sign and to verify what is logged in Rekor v1: variables that name
   * files with certificates and keys in PEM.
   */
  readonly legacyEnvironment: Readonly<Record<string, string>>;
  /** A signing config with other addresses, for a proxy in front of a service, or with other logs. */
  signingConfigFor(name: string, urls: Partial<SigstoreUrls>, choice?: SigningChoice): Promise<string>;
  close(): Promise<void>;
}

const password = 'lab-password';
/** The name by which both logs sign their checkpoints: the host of their addresses, without the port. */
const rekorOrigin = '127.0.0.1';

/**
 * A whole Sigstore: Fulcio, Rekor, a timestamp authority and a certificate log. Every key is made here, so the trusted
 * root is known before any of them runs, and all start at once. The issuer must be up already: Fulcio asks for its
 * discovery document at the start.
 */
export async function startSigstore(
  guard: Guard,
  issuerUrl: string,
  { logs = [2] }: SigstoreOptions = {},
): Promise<Sigstore> {
  const directory = join(guard.directory, 'sigstore');
  await mkdir(directory);
  const ports = await Promise.all(Array.from({ length: 9 }, reservePort));
  const [fulcio, fulcioGrpc, fulcioMetrics, rekor, rekorGrpc, rekorMetrics, tsa, ctlog, rekorV1] = ports.map(
    (reserved: ReservedPort) => reserved.port,
  ) as [number, number, number, number, number, number, number, number, number];
  const url = (port: number): string => `http://127.0.0.1:${port}`;
  const urls = {
    fulcio: url(fulcio),
    rekor: url(rekor),
    rekorV1: url(rekorV1),
    tsa: url(tsa),
    ctlog: url(ctlog),
  };
  const keys = await makeKeys(directory, password);
  const signingConfigFor: Sigstore['signingConfigFor'] = (name, changed, choice = {}) =>
    writeSigningConfig(join(directory, `${name}.json`), {
      urls: { ...urls, ...changed, issuer: issuerUrl },
      logs: choice.logs ?? logs,
      timestamps: choice.timestamps ?? true,
    });

  const [trustedRoot, signingConfig, v1, ...started] = await Promise.all([
    writeTrustedRoot(join(directory, 'trusted-root.json'), {
      ...{ urls, authorities: keys, rekorOrigin },
      rekorV1: logs.includes(1),
    }),
    signingConfigFor('signing-config', {}),
    logs.includes(1)
      ? startRekorV1(guard, { port: rekorV1, keyFile: keys.rekorV1Key, hostname: rekorOrigin })
      : undefined,
    // Fulcio and its log come in order, for Fulcio gives up where the log is not there.
    startCtlog(guard, directory, ctlog, keys),
    startRekor(guard, directory, keys, [rekor, rekorGrpc, rekorMetrics]),
    startTsa(guard, keys, tsa),
    startFulcio(guard, directory, keys, { issuerUrl, ctlog: urls.ctlog }, [
      fulcio,
      fulcioGrpc,
      fulcioMetrics,
    ]),
  ]);
  const programs = { ctlog: started[0], rekor: started[1], tsa: started[2], fulcio: started[3] };
  return {
    urls,
    trustedRoot,
    signingConfig,
    programs,
    get rekorV1() {
      if (v1 === undefined)
        throw new Error('this Sigstore has no Rekor v1: ask for it by sigstore: { logs: [1] }');
      return v1;
    },
    legacyEnvironment: legacyEnvironment(keys),
    signingConfigFor,
    close: async () => {
      await Promise.all([...Object.values(programs).map(program => program.stop()), v1?.close()]);
      for (const reserved of ports) reserved.release();
    },
  };
}

function startCtlog(guard: Guard, directory: string, port: number, keys: Keys): Promise<Program> {
  return startProgram(guard, {
    name: 'ctlog',
    command: toolPath('ctlog'),
    args: [
      ...['--key', keys.ctlogKey, '--origin', 'ct.local', '--dir', join(directory, 'ctlog')],
      ...['--roots', keys.fulcio.certificateFile, '--addr', `127.0.0.1:${port}`],
    ],
    ready: accepts(port),
  });
}

async function startRekor(
  guard: Guard,
  directory: string,
  keys: Keys,
  [http, grpc, metrics]: readonly [number, number, number],
): Promise<Program> {
  const storage = join(directory, 'rekor');
  await mkdir(storage);
  return startProgram(guard, {
    name: 'rekor',
    command: toolPath('rekor-server'),
    args: [
      ...['serve', '--hostname', rekorOrigin, '--storage-dir', storage, '--signer-filepath', keys.rekorKey],
      ...['--http-port', `${http}`, '--grpc-port', `${grpc}`, '--http-metrics-port', `${metrics}`],
      // The public log gathers entries for longer; a test would only wait.
      ...['--checkpoint-interval', '200ms', '--batch-max-age', '50ms'],
    ],
    ready: answers(`http://127.0.0.1:${http}/healthz`),
  });
}

function startTsa(guard: Guard, keys: Keys, port: number): Promise<Program> {
  return startProgram(guard, {
    name: 'tsa',
    command: toolPath('timestamp-server'),
    args: [
      ...['serve', '--host', '127.0.0.1', '--port', `${port}`, '--disable-ntp-monitoring'],
      ...['--timestamp-signer', 'file', '--file-signer-key-path', keys.tsaKey],
      ...['--file-signer-passwd', password, '--certificate-chain-path', keys.tsaChain],
    ],
    ready: answers(`http://127.0.0.1:${port}/ping`),
  });
}

async function startFulcio(
  guard: Guard,
  directory: string,
  keys: Keys,
  urls: { issuerUrl: string; ctlog: string },
  [http, grpc, metrics]: readonly [number, number, number],
): Promise<Program> {
  const config = join(directory, 'fulcio.yaml');
  // Real YAML, with no braces: what parses as JSON, Fulcio reads by other names, and finds no issuer in it.
  await writeFile(config, stringify(fulcioConfiguration(urls.issuerUrl)));
  const socket = join(directory, 'fulcio.sock');
  return startProgram(guard, {
    name: 'fulcio',
    // Fulcio leaves its socket behind when it stops, and does not start where one is.
    command: '/bin/sh',
    args: [
      ...['-c', 'rm -f "$0"; exec "$@"', socket, toolPath('fulcio')],
      ...['serve', '--host', '127.0.0.1', '--port', `${http}`],
      ...['--grpc-host', '127.0.0.1', '--grpc-port', `${grpc}`, '--metrics-port', `${metrics}`],
      ...['--legacy-unix-domain-socket', socket],
      ...['--ca', 'fileca', '--fileca-cert', keys.fulcio.certificateFile],
      ...['--fileca-key', keys.fulcioKey, '--fileca-key-passwd', password, '--fileca-watch=false'],
      ...['--ct-log-url', urls.ctlog, '--ct-log-public-key-path', keys.ctlogPublic],
      ...['--config-path', config],
    ],
    ready: answers(`http://127.0.0.1:${http}/healthz`),
  });
}
