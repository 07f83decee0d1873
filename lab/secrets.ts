import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import type { RunResult } from './runner.ts';

/** Any JSON Web Token: the lab's identity, registry and runtime tokens all are. */
const JSON_WEB_TOKEN = /eyJ[\w-]{10,}\.eyJ[\w-]{10,}/;
/** The signature of a signed address, by which whoever has it may read or write an artifact. */
const SIGNED_ADDRESS = /[?&]sig=(?!\*)[\w%-]{8,}/;

/** A private key in PEM (RFC 7468), encrypted or not, cosign's own too; as a JSON Web Key (RFC 7518, section 6.2.2). */
const PRIVATE_KEY_TEXT = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|"d"\s*:\s*"[\w-]{43}"/;
/**
 * The first bytes of one in DER, in hexadecimal: PKCS8 (RFC 5958) of an elliptic curve, of RSA and of Ed25519, and what is
 * inside of the first on P-256 (RFC 5915).
 */
const PRIVATE_KEY_BYTES =
  /02010030(?:..06072a8648ce3d0201|0d06092a864886f70d010101|0506032b6570)|30770201010420/;
const BASE64 = /[\w+/-]{40,}/g;

/** Tells whether bytes hold a private key, openly or in Base64. */
function holdsPrivateKey(bytes: Buffer): boolean {
  const text = bytes.toString('latin1');
  const isKey = PRIVATE_KEY_TEXT.test(text) || PRIVATE_KEY_BYTES.test(bytes.toString('hex'));
  return isKey || (text.match(BASE64) ?? []).some(run => holdsPrivateKey(Buffer.from(run, 'base64')));
}

/** The artifact client writes the address that it uploads to, and has the runner mask what signs it. */
const isLeftToMasking = (place: string, kind: string): boolean =>
  place === 'the log before masking' && kind === 'a signed address';

/**
 * What a job was given of a key of cosign's: the password, and the private half in the pieces by which it would be known.
 * @param key the input of that name
 */
export function keySecrets(key: string | undefined, env: Readonly<Record<string, string>>): string[] {
  const file = key !== undefined && existsSync(key) ? readFileSync(key, 'utf8') : '';
  const keys = [...Object.values(env), file].filter(text => PRIVATE_KEY_TEXT.test(text));
  const pieces = keys.flatMap(text => [
    ...text.split('\n').filter(line => /^[\w+/=]{40,}$/.test(line)),
    Buffer.from(text).toString('base64'),
  ]);
  return env.COSIGN_PASSWORD ? [env.COSIGN_PASSWORD, ...pieces] : pieces;
}

export interface SecretWatchOptions {
  /** Secrets of this job alone. */
  readonly secrets: readonly string[];
  /** Where it may leave files: none of them may hold a secret, not for a moment. */
  readonly folders: readonly string[];
}

/**
 * Looks for the lab's secrets in everything that a job shows: its log before and after masking, outputs, summary,
 * annotations, the records that it leaves, the command lines of all its processes, and its files.
 */
export class SecretWatch {
  readonly #kinds: readonly (readonly [kind: string, isIn: (text: string) => boolean])[];
  readonly #folders: readonly string[];
  readonly #commandLines = new Set<string>();
  /** Files that were looked into, with their time and size. */
  readonly #files = new Set<string>();
  #leftOpen: string | undefined;

  constructor(lab: Lab, { secrets, folders }: SecretWatchOptions) {
    const passwords = lab.registries.flatMap(({ credentials }) =>
      credentials === undefined
        ? []
        : [
            credentials.password,
            Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64'),
          ],
    );
    const known = [...new Set([...passwords, ...secrets])].filter(secret => secret.length > 3);
    this.#folders = folders;
    this.#kinds = [
      ['a JSON Web Token', text => JSON_WEB_TOKEN.test(text)],
      ['a signed address', text => SIGNED_ADDRESS.test(text)],
      ['a private key', text => holdsPrivateKey(Buffer.from(text, 'latin1'))],
      ['a password or token', text => known.some(secret => text.includes(secret))],
    ];
  }

  /**
   * Notes the command lines of all processes of a group, and looks into its files, at a moment when the job does something:
   * with its last word it has done everything, and its files are still there.
   */
  look(group: number): void {
    for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
      try {
        const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
        // The name of the program stands in parentheses and may hold anything: the fields begin behind the last one.
        const [, , pgrp] = status.slice(status.lastIndexOf(')') + 2).split(' ');
        if (Number(pgrp) !== group) continue;
        this.#commandLines.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        // It has ended meanwhile.
      }
    }
    for (const folder of this.#folders) this.#lookInto(folder);
  }

  #lookInto(folder: string): void {
    if (!existsSync(folder)) return;
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      try {
        const { mtimeMs, size } = statSync(path);
        const seen = `${path} ${mtimeMs} ${size}`;
        if (this.#files.has(seen)) continue;
        this.#files.add(seen);
        const kind = this.#kindIn(`the file ${path}`, readFileSync(path, 'latin1'));
        this.#leftOpen ??= kind;
      } catch {
        // It was removed meanwhile.
      }
    }
  }

  /** @throws Error that names where a secret is shown, and not the secret */
  check(result: RunResult, records: readonly string[]): void {
    // To be masked, a secret is told to the runner; that line is never shown.
    const raw = result.rawLog.split('\n').filter(line => !line.startsWith('::add-mask::'));
    const places: Record<string, string> = {
      'the log': result.log,
      'the log before masking': raw.join('\n'),
      'the summary': result.summary,
      'the outputs': JSON.stringify(result.outputs),
      'an annotation': JSON.stringify(result.annotations),
      'the variables for later steps': JSON.stringify(result.exported),
      'a record': records.join('\n'),
      'a command line': [...this.#commandLines].join('\n'),
    };
    const shown = Object.entries(places).map(([place, text]) => this.#kindIn(place, text));
    const leak = shown.find(each => each !== undefined) ?? this.#leftOpen;
    if (leak !== undefined) throw new Error(leak);
  }

  /** What a place shows, in words. */
  #kindIn(place: string, text: string): string | undefined {
    const found = this.#kinds.find(([kind, isIn]) => isIn(text) && !isLeftToMasking(place, kind));
    return found && `${place} of a job shows ${found[0]}`;
  }
}
