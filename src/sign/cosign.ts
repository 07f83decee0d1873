import type { KeyObject } from 'node:crypto';
import { ManifoldError, oneLine } from '../errors.ts';
import { DEFAULT_RETRY, type RetryPolicy } from '../http/retry.ts';
import { CosignCommand, type CosignFailure } from './cosign-command.ts';
import { type KeyReference, readKeyReference } from './cosign-key-reference.ts';
import {
  type CosignVersion,
  formatVersion,
  readCosignVersion,
  signsWithEd25519,
  withoutServices,
} from './cosign-version.ts';
import type { KeySignatory } from './identity.ts';
import { type PublicKey, parsePublicKey } from './public-key.ts';
import { isSignedBy } from './public-key-check.ts';
import type { Signature, Signer } from './signer.ts';

export interface CosignKeyOptions {
  /** As the user wrote it: a file, `env://NAME`, or the URI of a key in a key store. */
  readonly key: string;
  /** Of the job: where cosign is found, and how key stores are reached. */
  readonly env: NodeJS.ProcessEnv;
  readonly onSecret: (secret: string) => void;
  /** How long a key store is tried that is unwell. */
  readonly retry?: RetryPolicy;
  readonly onRetry?: (message: string) => void;
  /** Milliseconds until a cosign that does not end is ended. Default 60,000. */
  readonly timeout?: number;
}

/** A key that only cosign sees. */
export interface CosignKey extends Signer {
  readonly signatory: KeySignatory;
  readonly publicKey: PublicKey;
  /** Of cosign: `3.1.3`. */
  readonly version: string;
  /** Ends what runs; nothing is signed any more. A step that has failed must not go on signing behind its error. */
  close(): void;
}

/**
 * Makes sure that cosign is there, knows the key, and that what it signs can be verified. cosign reads the private half
 * by itself, and is asked for nothing but the public half and signatures: it reaches for no registry and no log.
 * @throws ManifoldError `invalid-input` for a key that is named wrongly, `cosign-unusable`, `key-unusable`, `signing-failed` for a key store that is unwell
 */
export async function openCosignKey(options: CosignKeyOptions): Promise<CosignKey> {
  const { retry = DEFAULT_RETRY, onRetry = () => {}, timeout = 60_000 } = options;
  const key = readKeyReference(options.key, options.env, options.onSecret);
  const command = new CosignCommand({ env: key.env, retry, onRetry, timeout });
  const version = await readCosignVersion(command);
  const result = await command.run(['public-key', '--key', key.reference]);
  if ('failure' in result) throw cannotOpen(key, result.failure);
  const publicKey = parsePublicKey(result.output, `What cosign gives for the key ${named(key)}`);
  refuseUnusualKey(publicKey.key, version);
  return new KeyOfCosign(key, publicKey, version, command);
}

class KeyOfCosign implements CosignKey {
  readonly signatory: KeySignatory;
  readonly publicKey: PublicKey;
  readonly version: string;
  readonly #key: KeyReference;
  readonly #version: CosignVersion;
  readonly #command: CosignCommand;

  constructor(key: KeyReference, publicKey: PublicKey, version: CosignVersion, command: CosignCommand) {
    this.signatory = { kind: 'key', fingerprint: publicKey.fingerprint };
    this.publicKey = publicKey;
    this.version = formatVersion(version);
    this.#key = key;
    this.#version = version;
    this.#command = command;
  }

  async sign(data: Uint8Array): Promise<Signature> {
    const args = ['sign-blob', '--key', this.#key.reference, ...withoutServices(this.#version), '-'];
    const result = await this.#command.run(args, data);
    if ('failure' in result) throw cannotSign(this.#key, result.failure);
    const bytes = Buffer.from(result.output, 'base64');
    if (!isSignedBy(this.publicKey.key, data, bytes)) {
      throw new ManifoldError(
        'signing-failed',
        `What cosign ${this.version} signed with the key ${named(this.#key)} does not verify with the public key that it gave.`,
        {
          hint: 'The public half that is stored may belong to another key, or the key store may use another hash than SHA-256, or RSA-PSS. No tag was moved.',
        },
      );
    }
    return { bytes, by: { kind: 'key', key: this.publicKey } };
  }

  close(): void {
    this.#command.close();
  }
}

const CURVES: Readonly<Record<string, string>> = { secp384r1: 'P-384', secp521r1: 'P-521' };

/**
 * Verifiers take SHA-256 for granted where a key signs. With larger curves cosign 2.6 and later use larger hashes, and
 * what older ones make no log takes.
 */
function refuseUnusualKey(key: KeyObject, version: CosignVersion): void {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const { namedCurve = '', modulusLength = 0 } = details ?? {};
  if (type === 'ec' && namedCurve === 'prime256v1') return;
  if (type === 'rsa' && modulusLength >= 2048) return;
  if (type === 'ed25519' && signsWithEd25519(version)) return;
  const hint =
    'Use ECDSA on the curve P-256, which is what "cosign generate-key-pair" makes, or RSA of at least 2048 bits.';
  if (type === 'ed25519') {
    const message = `The key is Ed25519, which cosign ${formatVersion(version)} cannot sign with.`;
    throw new ManifoldError('key-unusable', message, { hint: `Update cosign to 3.1.3. ${hint}` });
  }
  const kind =
    type === 'ec'
      ? `ECDSA on the curve ${CURVES[namedCurve] ?? namedCurve}`
      : `${type?.toUpperCase()}${modulusLength === 0 ? '' : ` of ${modulusLength} bits`}`;
  const message = `The key is ${kind}, with which cosign makes no signatures that verifiers accept by default.`;
  throw new ManifoldError('key-unusable', message, { hint });
}

function named({ reference }: KeyReference): string {
  return `"${oneLine(reference)}"`;
}

function cannotOpen(key: KeyReference, { reason, isPassing, tries }: CosignFailure): ManifoldError {
  return isPassing
    ? unwell(`cosign could not read the key ${named(key)}, tried ${times(tries)}: ${reason}.`)
    : new ManifoldError('key-unusable', `cosign cannot read the key ${named(key)}: ${reason}.`, {
        hint: remedy(key, reason),
      });
}

function cannotSign(key: KeyReference, { reason, isPassing, tries }: CosignFailure): ManifoldError {
  return isPassing
    ? unwell(`cosign could not sign with the key ${named(key)}, tried ${times(tries)}: ${reason}.`)
    : new ManifoldError('signing-failed', `cosign cannot sign with the key ${named(key)}: ${reason}.`, {
        hint: `${remedy(key, reason)} No tag was moved.`,
      });
}

function unwell(message: string): ManifoldError {
  return new ManifoldError('signing-failed', message, {
    hint: 'No tag was moved. Re-run this job: it goes on from here.',
  });
}

function times(tries: number): string {
  return tries === 1 ? 'once' : `${tries} times`;
}

/** What to do, by what cosign says (cosign/pkg/cosign/keys.go, LoadPrivateKey). */
function remedy({ hasPassword }: KeyReference, reason: string): string {
  if (/decryption failed/.test(reason)) {
    return hasPassword
      ? 'The environment variable COSIGN_PASSWORD holds another password than this key has.'
      : 'The key has a password. Add to this step:\n    env:\n      COSIGN_PASSWORD: ${{ secrets.COSIGN_PASSWORD }}';
  }
  if (/unsupported pem type: .*PRIVATE KEY/.test(reason))
    return 'cosign reads keys in its own format only: "cosign import-key-pair --key FILE" makes one of this key.';
  if (/unsupported pem type: PUBLIC KEY/.test(reason))
    return 'This is the public half. The private one signs.';
  return 'Check the input "key", and that what gives access to it is set up in this job.';
}
