import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import { ManifoldError, messageOf, quote } from '../errors.ts';

/** Where a Sigstore is described; absent means the public one. */
export interface TrustSource {
  /** File of a trusted root (JSON, protobuf-specs TrustedRoot). */
  readonly trustedRoot: string | undefined;
  /** File of a signing config (JSON, protobuf-specs SigningConfig 0.2). */
  readonly signingConfig: string | undefined;
  /** Tells where the public Sigstore's TUF metadata may be kept. */
  readonly env: NodeJS.ProcessEnv;
}

/** Whom to believe: certificate authorities, logs and timestamp authorities with their keys. */
export async function loadTrustedRoot(source: TrustSource): Promise<TrustedRoot> {
  const text =
    source.trustedRoot === undefined
      ? await publicTarget('trusted_root.json', source.env)
      : await readText('trusted-root', source.trustedRoot);
  const root = decode('trusted root', text, TrustedRoot.fromJSON);
  if (root.certificateAuthorities.length === 0 || root.tlogs.length === 0) {
    throw new ManifoldError(
      'signing-config',
      'The trusted root names no certificate authority or no transparency log.',
      {
        hint: 'The input "trusted-root" takes the file that "cosign trusted-root create" writes.',
      },
    );
  }
  return root;
}

/** Which services to sign with. */
export async function loadSigningConfig(source: TrustSource): Promise<SigningConfig> {
  const text =
    source.signingConfig === undefined
      ? await publicTarget('signing_config.v0.2.json', source.env)
      : await readText('signing-config', source.signingConfig);
  return decode('signing config', text, SigningConfig.fromJSON);
}

async function readText(input: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ManifoldError(
      'invalid-input',
      `The input "${input}" names a file that cannot be read: ${messageOf(error)}.`,
      { cause: error },
    );
  }
}

function decode<T>(what: string, text: string, fromJSON: (value: unknown) => T): T {
  try {
    return fromJSON(JSON.parse(text));
  } catch (error) {
    throw new ManifoldError('signing-config', `The ${what} cannot be read: ${quote(messageOf(error))}.`, {
      cause: error,
    });
  }
}

/** Opened once: two at the same time would write the same cache. */
let repository: ReturnType<typeof import('@sigstore/tuf').initTUF> | undefined;

/** A file of the public Sigstore, by its TUF repository: signed, fresh, and kept for the next time. */
async function publicTarget(name: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { initTUF } = await import('@sigstore/tuf');
  try {
    repository ??= initTUF({
      cachePath: path.join(env.RUNNER_TEMP || tmpdir(), 'manifold-tuf'),
      retry: 3,
      timeout: 20_000,
    });
    return await (await repository).getTarget(name);
  } catch (error) {
    throw new ManifoldError(
      'service-unreachable',
      `The public Sigstore's ${name} could not be fetched: ${quote(messageOf(error))}.`,
      {
        hint: 'Re-run the job, or give the files of your own Sigstore by "trusted-root" and "signing-config".',
        cause: error,
      },
    );
  }
}
