import { toolPath } from '../tools/catalog.ts';
import type { Identity } from './certificates.ts';
import { check } from './command.ts';

/** The major version of Rekor: 1 stands on Trillian, 2 on tiles. */
export type LogVersion = 1 | 2;

/** What verifiers are to trust, each a file in PEM. */
export interface Authorities {
  readonly fulcio: Identity;
  readonly tsaChain: string;
  readonly rekorPublic: string;
  readonly rekorV1Public: string;
  readonly ctlogPublic: string;
}

interface Addresses {
  readonly fulcio: string;
  readonly rekor: string;
  readonly rekorV1: string;
  readonly tsa: string;
}

/** Validity begins an hour ago: an entry of the first second must fall into it. */
function startTime(): string {
  return new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Writes the keys and certificates that verifiers need. @returns the path */
export async function writeTrustedRoot(
  path: string,
  root: {
    readonly urls: Addresses & { ctlog: string };
    readonly authorities: Authorities;
    readonly rekorOrigin: string;
    /** Whether Rekor v1 is trusted beside Rekor v2. */
    readonly rekorV1: boolean;
  },
): Promise<string> {
  const start = startTime();
  const { urls, authorities, rekorOrigin } = root;
  const { fulcio, ctlogPublic, tsaChain, rekorPublic, rekorV1Public } = authorities;
  await check(toolPath('cosign'), [
    ...['trusted-root', 'create', '--out', path],
    `--fulcio=url=${urls.fulcio},certificate-chain=${fulcio.certificateFile}`,
    `--ctfe=url=${urls.ctlog},public-key=${ctlogPublic},start-time=${start}`,
    `--tsa=url=${urls.tsa}/api/v1/timestamp,certificate-chain=${tsaChain}`,
    // Only the key of a log of version 2 is named after its origin.
    `--rekor=url=${urls.rekor},public-key=${rekorPublic},start-time=${start},origin=${rekorOrigin}`,
    ...(root.rekorV1 ? [`--rekor=url=${urls.rekorV1},public-key=${rekorV1Public},start-time=${start}`] : []),
  ]);
  return path;
}

/** Writes what signers are to use: any one of the logs, and the timestamp authority where it is wanted. @returns the path */
export async function writeSigningConfig(
  path: string,
  config: {
    readonly urls: Addresses & { issuer: string };
    readonly logs: readonly LogVersion[];
    readonly timestamps: boolean;
  },
): Promise<string> {
  const { urls, logs, timestamps } = config;
  const rest = `start-time=${startTime()},operator=lab`;
  const logUrl = { 1: urls.rekorV1, 2: urls.rekor };
  await check(toolPath('cosign'), [
    ...['signing-config', 'create', '--out', path],
    `--fulcio=url=${urls.fulcio},api-version=1,${rest}`,
    `--oidc-provider=url=${urls.issuer},api-version=1,${rest}`,
    ...logs.map(version => `--rekor=url=${logUrl[version]},api-version=${version},${rest}`),
    '--rekor-config=ANY',
    ...(timestamps
      ? [`--tsa=url=${urls.tsa}/api/v1/timestamp,api-version=1,${rest}`, '--tsa-config=ANY']
      : []),
  ]);
  return path;
}

/** The same keys for cosign 2, which looks for them in variables. It knows one log, and no Rekor v2. */
export function legacyEnvironment(authorities: Authorities): Record<string, string> {
  return {
    SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: authorities.ctlogPublic,
    SIGSTORE_ROOT_FILE: authorities.fulcio.certificateFile,
    SIGSTORE_REKOR_PUBLIC_KEY: authorities.rekorV1Public,
    SIGSTORE_TSA_CERTIFICATE_FILE: authorities.tsaChain,
  };
}
