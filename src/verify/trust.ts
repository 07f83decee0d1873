import { ManifoldError, oneLine } from '../errors.ts';
import { readInputFile } from '../sign/input-file.ts';
import { type PublicKey, parsePublicKey } from '../sign/public-key.ts';
import type { Trust } from '../sign/signature-verifier.ts';
import { loadTrustedRoot, type TrustSource } from '../sign/trust.ts';

/** Where a public key is: in a file, or in a variable of the job. */
export type KeySource = { readonly file: string } | { readonly variable: string };

export function nameOfKey(source: KeySource): string {
  return 'file' in source ? source.file : `env://${source.variable}`;
}

/**
 * Reads a public key.
 * @throws ManifoldError `invalid-input`, `missing-input`, `key-unusable`
 */
export async function readPublicKey(source: KeySource, env: NodeJS.ProcessEnv): Promise<PublicKey> {
  const name = oneLine(nameOfKey(source));
  const pem = 'file' in source ? await readInputFile('key', source.file) : env[source.variable];
  if (pem === undefined || pem.trim() === '') {
    throw new ManifoldError('missing-input', `The input "key" is "${name}", and there is no key in it.`, {
      hint: 'A variable is given to the step by "env:", with the text that "cosign public-key" writes.',
    });
  }
  if (/PRIVATE KEY-----/.test(pem)) {
    throw new ManifoldError(
      'invalid-input',
      `"${name}" in "key" holds a private key, and only the public one is needed.`,
      {
        hint: 'Write the public one with "cosign public-key --key …", and keep the private one out of this job.',
      },
    );
  }
  return parsePublicKey(pem, `"${name}" in "key"`);
}

/**
 * Whom to believe. By a key alone nothing is fetched: there is nothing but the key to believe.
 * @param trustedRoot a file; undefined: the public Sigstore's
 */
export async function openTrust(
  key: PublicKey | undefined,
  trustedRoot: string | undefined,
  env: NodeJS.ProcessEnv,
  transport?: TrustSource['transport'],
): Promise<Trust> {
  const isFetched = trustedRoot !== undefined || key === undefined;
  const root = isFetched
    ? await loadTrustedRoot({ trustedRoot, signingConfig: undefined, env, transport })
    : undefined;
  return { root, keys: key === undefined ? [] : [key] };
}
