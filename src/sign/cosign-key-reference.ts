import { accessSync, constants } from 'node:fs';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';

/** A key as the user names it, and what cosign needs around it. */
export interface KeyReference {
  /** What `--key` gets: a file, `env://NAME`, `awskms://…`, `k8s://…`, `pkcs11:…`. Nothing secret is in it. */
  readonly reference: string;
  /** For the child. */
  readonly env: NodeJS.ProcessEnv;
  readonly hasPassword: boolean;
}

/** What unlocks keys and key stores. Nothing of it belongs into a log, whatever a program says in its errors. */
const SECRET_VARIABLES = [
  'COSIGN_PASSWORD',
  'COSIGN_PKCS11_PIN',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AZURE_CLIENT_SECRET',
  'GITLAB_TOKEN',
  'VAULT_TOKEN',
] as const;

/**
 * Checks how a key is named, before cosign is asked for anything.
 * @param key as the user wrote it
 * @param env of the job
 * @param onSecret told of the key's own text and of what unlocks it
 * @throws ManifoldError `invalid-input`; `key-unusable` for a key in Base64; no message holds what may be a key
 */
export function readKeyReference(
  key: string,
  env: NodeJS.ProcessEnv,
  onSecret: (secret: string) => void,
): KeyReference {
  refuseKeyText(key, onSecret);
  refuseOpenSecrets(key, onSecret);
  const variable = /^env:\/\/(?<name>.*)$/s.exec(key)?.groups?.name;
  for (const name of SECRET_VARIABLES) maskLines(env[name] ?? '', onSecret);
  if (variable !== undefined) readVariable(variable, env, onSecret);
  else if (isFile(key)) requireFile(key);
  return {
    reference: key,
    env: childEnvironment(env, variable),
    hasPassword: (env.COSIGN_PASSWORD ?? '') !== '',
  };
}

const HAND_OVER =
  'Hand the key over in the environment of the step:\n    with:\n      key: env://COSIGN_PRIVATE_KEY\n    env:\n      COSIGN_PRIVATE_KEY: ${{ secrets.COSIGN_PRIVATE_KEY }}\n      COSIGN_PASSWORD: ${{ secrets.COSIGN_PASSWORD }}';

/** PEM, or PEM in Base64: both are how people keep a key in a secret. */
const KEY_TEXT = /-----\s*BEGIN|^\s*LS0tLS1CRUdJTi/;

function refuseKeyText(key: string, onSecret: (secret: string) => void): void {
  if (!KEY_TEXT.test(key) && !/[\r\n]/.test(key) && key.trim() !== '') return;
  maskLines(key, onSecret);
  throw new ManifoldError(
    'invalid-input',
    key.trim() === ''
      ? 'The input "key" is empty: it names the key to sign with.'
      : 'The input "key" holds the text of a key, where the name of one is expected.',
    {
      hint: HAND_OVER,
    },
  );
}

/** Everybody on the machine sees the command line of a program. */
function refuseOpenSecrets(key: string, onSecret: (secret: string) => void): void {
  const pin = /[?&;]pin-value=(?<value>[^&;]*)/.exec(key)?.groups?.value;
  const { username = '', password = '', search = '' } = (/^https?:/i.test(key) && URL.parse(key)) || {};
  // Tokens stand in any of the three.
  const open = pin || password || username || search.slice(1);
  if (!open) return;
  onSecret(open);
  throw new ManifoldError(
    'invalid-input',
    `The input "key" holds a ${pin ? 'PIN' : 'login or a query'}, and would show it in the list of processes.`,
    {
      hint: pin
        ? 'Leave "pin-value" out, and give the PIN to the step as the environment variable COSIGN_PKCS11_PIN.'
        : 'Fetch the key in a step before this one, and name it as "env://NAME".',
    },
  );
}

function readVariable(name: string, env: NodeJS.ProcessEnv, onSecret: (secret: string) => void): void {
  if (name.trim() === '') {
    throw new ManifoldError('invalid-input', 'The input "key" is "env://", without the name of a variable.', {
      hint: HAND_OVER,
    });
  }
  const text = env[name] ?? '';
  // A secret that does not exist comes as an empty text.
  if (text.trim() === '') {
    throw new ManifoldError(
      'invalid-input',
      `The key is to be in the environment variable ${oneLine(name)}, which is ${env[name] === undefined ? 'not set' : 'empty'}.`,
      {
        hint: `Add to this step:\n    env:\n      ${oneLine(name)}: \${{ secrets.COSIGN_PRIVATE_KEY }}\nSecrets are empty in runs for pull requests from forks.`,
      },
    );
  }
  maskLines(text, onSecret);
  if (isInBase64(text)) {
    throw new ManifoldError(
      'key-unusable',
      `The key in the environment variable ${oneLine(name)} is in Base64, which cosign does not read.`,
      {
        hint: 'Make the secret anew of the file itself: "gh secret set COSIGN_PRIVATE_KEY < cosign.key". Its text begins with "-----BEGIN".',
      },
    );
  }
}

/** A PEM that somebody has put into Base64 as a whole, to have it in one line. */
function isInBase64(text: string): boolean {
  return !text.includes('-----BEGIN') && Buffer.from(text, 'base64').includes('-----BEGIN');
}

function isFile(key: string): boolean {
  return !key.includes('://') && !key.startsWith('pkcs11:');
}

function requireFile(key: string): void {
  try {
    accessSync(key, constants.R_OK);
  } catch (error) {
    throw new ManifoldError(
      'invalid-input',
      `The input "key" names a file that cannot be read: ${oneLine(messageOf(error))}.`,
      {
        hint: 'The path is relative to the workspace. A key in a secret is named as "env://NAME", one in a key store by its URI.',
        cause: error,
      },
    );
  }
}

/** The runner masks a secret of several lines only where it is repeated as a whole. */
function maskLines(secret: string, onSecret: (secret: string) => void): void {
  const whole = secret.trim();
  if (whole !== '') onSecret(whole);
  // The last line of a PEM may have two or three letters, which stand in every other word of a log.
  for (const line of whole.split(/[\r\n]+/).map(text => text.trim())) {
    if (line !== whole && line.length >= 8 && !line.startsWith('-----')) onSecret(line);
  }
}

/**
 * The job's environment, as key stores are reached by it, but without cosign's own switches: every flag that is not
 * given is read from `COSIGN_<FLAG>` (`COSIGN_BUNDLE`, `COSIGN_OUTPUT`, …).
 */
function childEnvironment(env: NodeJS.ProcessEnv, variable: string | undefined): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) => !name.startsWith('COSIGN_') || name.startsWith('COSIGN_PKCS11_') || name === variable,
  );
  // Where it is not set at all, cosign asks a terminal for it, or takes the data to be signed for it.
  return { ...Object.fromEntries(kept), COSIGN_PASSWORD: env.COSIGN_PASSWORD ?? '' };
}
