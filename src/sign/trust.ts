import { readFile } from 'node:fs/promises';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import type { Transport } from '../http/transport.ts';

/** Where a Sigstore is described; absent means the public one. */
export interface TrustSource {
  /** File of a trusted root (JSON, protobuf-specs TrustedRoot). */
  readonly trustedRoot: string | undefined;
  /** File of a signing config (JSON, protobuf-specs SigningConfig 0.2). */
  readonly signingConfig: string | undefined;
  /** Tells where the TUF repository of the public Sigstore is mirrored, and where its metadata may be kept. */
  readonly env: NodeJS.ProcessEnv;
  /** Fetches from there; absent: one that is made for it. */
  readonly transport?: Transport | undefined;
}

/** Whom to believe: certificate authorities, logs and timestamp authorities with their keys. */
export async function loadTrustedRoot(source: TrustSource): Promise<TrustedRoot> {
  const text =
    source.trustedRoot === undefined
      ? await publicFile('trusted_root.json', source)
      : await readText('trusted-root', source.trustedRoot);
  const root = decode('trusted root', text, json => TrustedRoot.fromJSON(json));
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
      ? await publicFile('signing_config.v0.2.json', source)
      : await readText('signing-config', source.signingConfig);
  return decode('signing config', text, json => SigningConfig.fromJSON(json));
}

async function readText(input: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ManifoldError(
      'invalid-input',
      `The input "${input}" names a file that cannot be read: ${messageOf(error)}.`,
      {
        hint: 'The path is relative to the workspace: is the file in the repository, and did actions/checkout run in this job?',
        cause: error,
      },
    );
  }
}

function decode<T>(what: string, text: string, fromJSON: (value: unknown) => T): T {
  try {
    return fromJSON(JSON.parse(text));
  } catch (error) {
    throw new ManifoldError('signing-config', `The ${what} cannot be read: ${oneLine(messageOf(error))}.`, {
      cause: error,
    });
  }
}

/** The update framework's library is loaded only by who needs it. */
async function publicFile(name: string, source: TrustSource): Promise<string> {
  const { publicTarget } = await import('./public-sigstore.ts');
  return publicTarget(name, source);
}
