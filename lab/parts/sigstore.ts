import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { toolPath } from '../tools/catalog.ts';
import { authority, encryptedKey, type Identity, makeIdentity, newKey } from './certificates.ts';
import { check } from './command.ts';
import { fulcioConfiguration } from './fulcio-config.ts';
import type { Guard } from './guard.ts';
import { type ReservedPort, reservePort } from './ports.ts';
import { accepts, answers, type Program, startProgram } from './process.ts';

/** The services that a signer calls, by address. */
export interface SigstoreUrls {
  readonly fulcio: string;
  readonly rekor: string;
  readonly tsa: string;
}

export type SigstorePart = 'fulcio' | 'rekor' | 'tsa' | 'ctlog';

export interface Sigstore {
  readonly urls: SigstoreUrls & { readonly ctlog: string };
  /** Files in Sigstore's own formats, as `cosign --trusted-root` and `--signing-config` read them. */
  readonly trustedRoot: string;
  readonly signingConfig: string;
  /** Each can be stopped and started again; keys and logs stay. */
  readonly programs: Readonly<Record<SigstorePart, Program>>;
  /** A signing config with other addresses, for a proxy in front of a service. */
  signingConfigFor(name: string, urls: Partial<SigstoreUrls>): Promise<string>;
  close(): Promise<void>;
}

const password = 'lab-password';
/** The name by which the log signs its checkpoints: the host of its address (rekor-tiles), without the port. */
const rekorOrigin = '127.0.0.1';

/**
 * A whole Sigstore: Fulcio, Rekor v2, a timestamp authority and a certificate log. Every key is made here, so the
 * trusted root is known before any of them runs, and all start at once. The issuer must be up already: Fulcio asks
 * for its discovery document at the start.
 *
 * Rekor v1 will stand beside Rekor v2: one more entry of `--rekor` in both files, and a `SigstorePart` of its own.
 */
export async function startSigstore(guard: Guard, issuerUrl: string): Promise<Sigstore> {
  const directory = join(guard.directory, 'sigstore');
  await mkdir(directory);
  const ports = await Promise.all(Array.from({ length: 8 }, reservePort));
  const [fulcio, fulcioGrpc, fulcioMetrics, rekor, rekorGrpc, rekorMetrics, tsa, ctlog] = ports.map(
    (reserved: ReservedPort) => reserved.port,
  ) as [number, number, number, number, number, number, number, number];
  const url = (port: number): string => `http://127.0.0.1:${port}`;
  const urls = { fulcio: url(fulcio), rekor: url(rekor), tsa: url(tsa), ctlog: url(ctlog) };
  const keys = await makeKeys(directory);
  const signingConfigFor = (name: string, changed: Partial<SigstoreUrls>): Promise<string> =>
    writeSigningConfig(join(directory, `${name}.json`), issuerUrl, { ...urls, ...changed });

  const [trustedRoot, signingConfig, ...started] = await Promise.all([
    writeTrustedRoot(directory, urls, keys),
    signingConfigFor('signing-config', {}),
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
    signingConfigFor,
    close: async () => {
      await Promise.all(Object.values(programs).map(program => program.stop()));
      for (const reserved of ports) reserved.release();
    },
  };
}

interface Keys {
  readonly fulcio: Identity;
  readonly fulcioKey: string;
  readonly tsaChain: string;
  readonly tsaKey: string;
  readonly rekorKey: string;
  readonly rekorPublic: string;
  readonly ctlogKey: string;
  readonly ctlogPublic: string;
}

async function makeKeys(directory: string): Promise<Keys> {
  const write = async (name: string, text: string | Buffer): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const spki = (key: KeyObject): string | Buffer =>
    createPublicKey(key).export({ type: 'spki', format: 'pem' });
  const ctlog = newKey();
  const rekor = generateKeyPairSync('ed25519').privateKey;
  const codeSigning = [...authority, 'extendedKeyUsage = codeSigning'];
  const [fulcio, tsa] = await Promise.all([
    makeIdentity(directory, { name: 'fulcio-ca', extensions: codeSigning }),
    makeTimestampIdentity(directory),
  ]);
  return {
    fulcio,
    fulcioKey: await encryptedKey(fulcio, password),
    tsaChain: tsa.chain,
    tsaKey: await encryptedKey(tsa.leaf, password),
    rekorKey: await write('rekor.key', rekor.export({ type: 'pkcs8', format: 'pem' })),
    rekorPublic: await write('rekor.pub', spki(rekor)),
    ctlogKey: await write('ctlog.key', ctlog.export({ type: 'sec1', format: 'pem' })),
    ctlogPublic: await write('ctlog.pub', spki(ctlog)),
  };
}

/** A chain of its own, kept in files: the server's in-memory signer would be another after each start. */
async function makeTimestampIdentity(directory: string): Promise<{ leaf: Identity; chain: string }> {
  const root = await makeIdentity(directory, { name: 'tsa-root', extensions: authority });
  const leaf = await makeIdentity(directory, {
    name: 'tsa',
    issuer: root,
    extensions: [
      'basicConstraints = critical, CA:FALSE',
      'keyUsage = critical, digitalSignature',
      'extendedKeyUsage = critical, timeStamping',
      'subjectKeyIdentifier = hash',
      'authorityKeyIdentifier = keyid',
    ],
  });
  const chain = join(directory, 'tsa-chain.pem');
  const certificates = [leaf, root].map(identity => readFile(identity.certificateFile));
  await writeFile(chain, Buffer.concat(await Promise.all(certificates)));
  return { leaf, chain };
}

/** Validity begins an hour ago: an entry of the first second must fall into it. */
function startTime(): string {
  return new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+Z$/, 'Z');
}

async function writeTrustedRoot(
  directory: string,
  urls: SigstoreUrls & { ctlog: string },
  keys: Keys,
): Promise<string> {
  const path = join(directory, 'trusted-root.json');
  const start = startTime();
  await check(toolPath('cosign'), [
    ...['trusted-root', 'create', '--out', path],
    `--fulcio=url=${urls.fulcio},certificate-chain=${keys.fulcio.certificateFile}`,
    `--ctfe=url=${urls.ctlog},public-key=${keys.ctlogPublic},start-time=${start}`,
    `--tsa=url=${urls.tsa}/api/v1/timestamp,certificate-chain=${keys.tsaChain}`,
    `--rekor=url=${urls.rekor},public-key=${keys.rekorPublic},start-time=${start},origin=${rekorOrigin}`,
  ]);
  return path;
}

async function writeSigningConfig(path: string, issuerUrl: string, urls: SigstoreUrls): Promise<string> {
  const rest = `start-time=${startTime()},operator=lab`;
  await check(toolPath('cosign'), [
    ...['signing-config', 'create', '--out', path],
    `--fulcio=url=${urls.fulcio},api-version=1,${rest}`,
    `--rekor=url=${urls.rekor},api-version=2,${rest}`,
    `--tsa=url=${urls.tsa}/api/v1/timestamp,api-version=1,${rest}`,
    `--oidc-provider=url=${issuerUrl},api-version=1,${rest}`,
    ...['--rekor-config=ANY', '--tsa-config=ANY'],
  ]);
  return path;
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
