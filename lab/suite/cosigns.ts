import { join } from 'node:path';
import type { Lab } from '../lab.ts';
import { type CommandResult, check, run } from '../parts/command.ts';
import type { LogVersion } from '../parts/sigstore.ts';
import { toolPath } from '../tools/catalog.ts';
import { IDENTITY } from './oracles.ts';

/** The releases that stand for all: 3.1.3, 2.6.5 (reads bundles too) and 2.5.0 (knows none in a registry). */
export type CosignVersion = '3.1' | '2.6' | '2.5';

/** Newest first. */
export const COSIGNS: readonly CosignVersion[] = ['3.1', '2.6', '2.5'];

/** What somebody who verifies an image expects of its signature. */
export interface Expectation {
  /** A file with the public key; without it a certificate is expected. */
  readonly key?: string;
  /** The identity in the certificate; that of the lab's workflow unless it says otherwise. */
  readonly identity?: string;
  /** The issuer in the certificate; the lab's unless it says otherwise. */
  readonly issuer?: string;
  /** A file; the lab's unless it says otherwise. cosign 2.5 knows none, and is told by its environment. */
  readonly trustedRoot?: string;
  /** The log that has the signature, Rekor v1 without this; `none` where it was left out. */
  readonly log?: LogVersion | 'none';
  /** Asks for a legacy signature. cosign 2.6 judges a bundle all the same where there is one. */
  readonly format?: 'legacy';
}

/** What a cosign thinks of an image. */
export interface Verdict {
  readonly accepted: boolean;
  /** Its reasons, in its own words. */
  readonly said: string;
}

/** How the releases differ. */
interface Dialect {
  readonly binary: string;
  /** Whether it reads the trusted root; else keys and certificates come by the environment. */
  readonly trustedRoot: boolean;
  /** Has it look for the old format first. */
  readonly legacy: readonly string[];
  /** Rekor v2 gives no time, so the authority's stands for it: 2.6 has to be told. */
  readonly timeFromAuthority: readonly string[];
  /** Has it sign in the old format. */
  readonly signLegacy: readonly string[];
}

const LEGACY_FORMAT = '--new-bundle-format=false';
const TIMESTAMPS = '--use-signed-timestamps';

const DIALECTS: Readonly<Record<CosignVersion, Dialect>> = {
  '3.1': {
    binary: 'cosign',
    trustedRoot: true,
    legacy: [LEGACY_FORMAT],
    timeFromAuthority: [],
    signLegacy: [LEGACY_FORMAT, '--use-signing-config=false'],
  },
  '2.6': {
    binary: 'cosign-2.6',
    trustedRoot: true,
    legacy: [LEGACY_FORMAT],
    timeFromAuthority: [TIMESTAMPS],
    signLegacy: [],
  },
  '2.5': {
    binary: 'cosign-2.5',
    trustedRoot: false,
    legacy: [],
    timeFromAuthority: [TIMESTAMPS],
    signLegacy: [],
  },
};

/**
 * Asks a cosign about one manifest.
 *
 * @param reference by tag or digest
 */
export async function verify(
  lab: Lab,
  cosign: CosignVersion,
  reference: string,
  expected: Expectation = {},
): Promise<Verdict> {
  const args = ['verify', ...verifyFlags(lab, cosign, expected), reference];
  const { status, stderr } = await call(lab, cosign, args);
  return { accepted: status === 0, said: stderr.trim() };
}

function verifyFlags(lab: Lab, cosign: CosignVersion, expected: Expectation): string[] {
  const { key, identity = IDENTITY, log = 1, format } = expected;
  const { trustedRoot, legacy, timeFromAuthority } = DIALECTS[cosign];
  const signer =
    key === undefined
      ? [
          ...['--certificate-identity', identity],
          ...['--certificate-oidc-issuer', expected.issuer ?? lab.issuer.url],
        ]
      : ['--key', key];
  return [
    ...signer,
    ...(trustedRoot ? ['--trusted-root', expected.trustedRoot ?? lab.sigstore.trustedRoot] : []),
    ...(log === 2 ? timeFromAuthority : []),
    ...(log === 'none' ? ['--insecure-ignore-tlog'] : []),
    // A key has no time in which it was valid, a certificate has ten minutes.
    ...(log === 'none' && key === undefined ? [TIMESTAMPS] : []),
    ...(format === 'legacy' ? legacy : []),
  ];
}

/** A key pair in files, as `cosign generate-key-pair` makes it. */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
  /** Of the private key, for the variable COSIGN_PASSWORD. */
  readonly password: string;
}

const KEY_PASSWORD = 'lab-key-password';

export async function keyPair(lab: Lab): Promise<KeyPair> {
  const folder = await lab.folder('key');
  const env = { ...lab.environment(), COSIGN_PASSWORD: KEY_PASSWORD };
  await check(toolPath('cosign'), ['generate-key-pair'], { env, cwd: folder });
  return {
    privateKey: join(folder, 'cosign.key'),
    publicKey: join(folder, 'cosign.pub'),
    password: KEY_PASSWORD,
  };
}

/** How an image is to be signed; by certificate unless there is a key. */
export interface Signing {
  /** File of a private key of `keyPair`. */
  readonly key?: string;
  /** A path of the workflow in the certificate, where it is not the lab's. */
  readonly workflow?: string;
  /** Adds a time stamp; a legacy signature has none otherwise. */
  readonly timestamp?: boolean;
  /** False leaves the log out. */
  readonly log?: boolean;
  /** Further flags, such as `--recursive` and `-a`. */
  readonly flags?: readonly string[];
}

/** Signs as recipes do today: legacy, into the tag `.sig`, logged in Rekor v1. */
export async function signLegacy(
  lab: Lab,
  cosign: CosignVersion,
  reference: string,
  signing: Signing = {},
): Promise<void> {
  const { fulcio, rekorV1, tsa } = lab.sigstore.urls;
  const { key, timestamp = false, log = true, flags = [] } = signing;
  const args = [
    ...['sign', '--yes', ...DIALECTS[cosign].signLegacy],
    ...(key === undefined ? ['--fulcio-url', fulcio] : ['--key', key]),
    ...(log ? ['--rekor-url', rekorV1] : ['--tlog-upload=false']),
    ...(timestamp ? ['--timestamp-server-url', `${tsa}/api/v1/timestamp`] : []),
    ...[...flags, reference],
  ];
  succeeded(cosign, args, await call(lab, cosign, args, signing));
}

/**
 * Signs with cosign 3.1, into a bundle that refers to the image.
 *
 * @param signingConfig a file, of `signingConfigFor`
 */
export async function signBundle(
  lab: Lab,
  reference: string,
  signingConfig: string,
  { flags = [], ...signing }: Pick<Signing, 'key' | 'workflow' | 'flags'> = {},
): Promise<void> {
  const args = [
    ...['sign', '--signing-config', signingConfig, '--trusted-root', lab.sigstore.trustedRoot],
    ...(signing.key === undefined ? [] : ['--key', signing.key]),
    ...[...flags, reference],
  ];
  succeeded('3.1', args, await call(lab, '3.1', args, signing));
}

/** cosign 2 takes keys and certificates from the environment; where there is a trusted root, nothing asks for them. */
function call(
  lab: Lab,
  cosign: CosignVersion,
  args: readonly string[],
  { workflow }: Pick<Signing, 'workflow'> = {},
): Promise<CommandResult> {
  const claims = workflow === undefined ? {} : { job_workflow_ref: workflow };
  const env = {
    ...lab.environment({ claims }),
    ...lab.sigstore.legacyEnvironment,
    COSIGN_PASSWORD: KEY_PASSWORD,
  };
  return run(toolPath(DIALECTS[cosign].binary), args, { env });
}

function succeeded(cosign: CosignVersion, args: readonly string[], { status, stderr }: CommandResult): void {
  if (status !== 0) throw new Error(`cosign ${cosign} ${args.join(' ')}: status ${status}\n${stderr.trim()}`);
}
