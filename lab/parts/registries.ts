import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { toolPath } from '../tools/catalog.ts';
import { authority, makeIdentity } from './certificates.ts';
import type { Guard } from './guard.ts';
import type { ServerTls } from './http.ts';
import { reservePort } from './ports.ts';
import { accepts, type Program, startProgram } from './process.ts';
import { type RegistryUser, startTokenService, type TokenService } from './token-service.ts';

/**
 * - `plain`: distribution, no referrers API, no authentication
 * - `htpasswd`: the same with Basic authentication
 * - `tls`: the same with TLS by an authority of the lab's own, and Bearer tokens
 * - `olareg`: with the referrers API
 * - `crane`: `crane registry serve`, an implementation of its own, without the referrers API
 */
export type RegistryKind = 'plain' | 'htpasswd' | 'tls' | 'olareg' | 'crane';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface Registry {
  readonly kind: RegistryKind;
  /** `127.0.0.1:PORT`, as an image name begins with it; with TLS a name from the hosts file. */
  readonly host: string;
  readonly url: string;
  /** Whether it has the referrers API. */
  readonly referrers: boolean;
  /** Of a user who may do everything, where authentication is asked. */
  readonly credentials: Credentials | undefined;
  /** The authority's certificate, where there is TLS. */
  readonly ca: string | undefined;
  readonly program: Program;
  close(): Promise<void>;
}

/** Its hash is in the file that the registry reads, so no program is needed to make one. */
const labUser = { username: 'lab', password: 'lab-password' } as const;
const htpasswd = 'lab:$2y$05$DdtDZQsqBm2QESDYMICOeOghE6pH4gTaSxQmCfvD8Yf/mERplJoNW\n';

/** Who may what at the `tls` registry. */
const users: Readonly<Record<string, RegistryUser>> = {
  lab: { password: labUser.password, rights: [{ repository: '*', actions: ['pull', 'push', 'delete'] }] },
  reader: { password: 'reader-password', rights: [{ repository: '*', actions: ['pull'] }] },
};

export function startRegistry(guard: Guard, kind: RegistryKind): Promise<Registry> {
  switch (kind) {
    case 'plain':
    case 'htpasswd':
    case 'tls':
      return startDistribution(guard, kind);
    case 'olareg':
      return startOther(guard, kind, true, (directory, port) => ({
        command: toolPath('olareg'),
        // Without collection of garbage: what a test has pushed stays until the test looks at it.
        args: [
          ...['serve', '--addr', '127.0.0.1', '--port', `${port}`, '--dir', directory],
          ...['--gc-frequency', '-1s', '--api-delete', '--api-blob-delete', '--verbosity', 'info'],
        ],
      }));
    case 'crane':
      return startOther(guard, kind, false, (directory, port) => ({
        command: toolPath('crane'),
        args: ['registry', 'serve', '--address', `127.0.0.1:${port}`, '--disk', directory],
      }));
  }
}

async function startOther(
  guard: Guard,
  kind: RegistryKind,
  referrers: boolean,
  command: (directory: string, port: number) => { command: string; args: string[] },
): Promise<Registry> {
  const directory = join(guard.directory, `registry-${kind}`);
  await mkdir(directory);
  const reserved = await reservePort();
  const ready = accepts(reserved.port);
  const name = `registry-${kind}`;
  const program = await startProgram(guard, { name, ready, ...command(directory, reserved.port) });
  const host = `127.0.0.1:${reserved.port}`;
  const nothing = { credentials: undefined, ca: undefined };
  const close = async (): Promise<void> => {
    await program.stop();
    reserved.release();
  };
  return { kind, host, url: `http://${host}`, referrers, ...nothing, program, close };
}

async function startDistribution(guard: Guard, kind: 'plain' | 'htpasswd' | 'tls'): Promise<Registry> {
  const directory = join(guard.directory, `registry-${kind}`);
  await mkdir(directory);
  const reserved = await reservePort();
  const tls = kind === 'tls' ? await makeTls(directory) : undefined;
  const tokens = tls ? await startTokenService({ users, tls: tls.endpoint }) : undefined;
  const host = `${tls?.endpoint.name ?? '127.0.0.1'}:${reserved.port}`;
  const configuration = {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: join(directory, 'data') }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${reserved.port}`, ...(tls ? { tls: tls.server } : {}) },
    ...(await authentication(kind, directory, tokens)),
  };
  // JSON is YAML.
  const file = join(directory, 'config.yml');
  await writeFile(file, JSON.stringify(configuration, undefined, 2));
  const program = await startProgram(guard, {
    name: `registry-${kind}`,
    command: toolPath('registry'),
    args: ['serve', file],
    // The registry would report its traces to an address that is nobody's.
    env: { OTEL_TRACES_EXPORTER: 'none' },
    ready: accepts(reserved.port),
  });
  return {
    kind,
    host,
    url: `${tls ? 'https' : 'http'}://${host}`,
    referrers: false,
    credentials: kind === 'plain' ? undefined : labUser,
    ca: tls?.ca,
    program,
    close: async () => {
      await Promise.all([program.stop(), tokens?.close()]);
      reserved.release();
    },
  };
}

async function authentication(
  kind: RegistryKind,
  directory: string,
  tokens: TokenService | undefined,
): Promise<Record<string, unknown>> {
  if (kind === 'htpasswd') {
    const path = join(directory, 'htpasswd');
    await writeFile(path, htpasswd);
    return { auth: { htpasswd: { realm: 'lab', path } } };
  }
  if (!tokens) return {};
  const jwks = join(directory, 'jwks.json');
  await writeFile(jwks, tokens.jwks);
  const { realm, service, issuer } = tokens;
  return { auth: { token: { realm, service, issuer, jwks, signingalgorithms: ['ES256'] } } };
}

interface Tls {
  /** The authority's certificate, in a file. */
  readonly ca: string;
  /** Key and certificate of registry and token service, in files and in memory. */
  readonly server: { readonly certificate: string; readonly key: string };
  readonly endpoint: ServerTls;
}

async function makeTls(directory: string): Promise<Tls> {
  const ca = await makeIdentity(directory, { name: 'lab-authority', extensions: authority });
  const name = await loopbackName();
  const names = new Set(['localhost', hostname(), name]);
  const alternatives = [...names].map(each => `DNS:${each}`).concat('IP:127.0.0.1', 'IP:::1');
  const server = await makeIdentity(directory, {
    name: 'lab-registry',
    issuer: ca,
    extensions: [
      'basicConstraints = critical, CA:FALSE',
      'keyUsage = critical, digitalSignature',
      'extendedKeyUsage = serverAuth',
      `subjectAltName = ${alternatives.join(', ')}`,
    ],
  });
  const [key, cert] = await Promise.all([readFile(server.keyFile), readFile(server.certificateFile)]);
  return {
    ca: ca.certificateFile,
    server: { certificate: server.certificateFile, key: server.keyFile },
    endpoint: { name, key, cert },
  };
}

/**
 * A name for 127.0.0.1 other than `localhost`: clients speak plain HTTP to that and to all of 127.0.0.0/8. Where the
 * hosts file has none, `localhost` has to do.
 */
async function loopbackName(): Promise<string> {
  const hosts = await readFile('/etc/hosts', 'utf8').catch(() => '');
  const names = hosts
    .split('\n')
    .map(line => line.replace(/#.*/, '').trim().split(/\s+/))
    .filter(([address]) => address === '127.0.0.1')
    .flatMap(([, ...rest]) => rest)
    .filter(name => !/^localhost\b|\.localhost$|\.local$/.test(name));
  return names.find(name => name === hostname()) ?? names[0] ?? 'localhost';
}
