import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { keepSecret } from '../../src/errors.ts';
import { type CosignKey, type CosignKeyOptions, openCosignKey } from '../../src/sign/cosign.ts';
import { FAST, opened, temporaryFolder } from './clients.ts';

/** What goes wrong with one call. */
export interface CosignFault {
  /** What it fails with, said twice as cosign does. */
  readonly words?: string;
  /** What it says before. */
  readonly stderr?: string;
  /** What it says instead of the answer. */
  readonly stdout?: string;
  /** It reads nothing of what it is given. */
  readonly deaf?: boolean;
  readonly hang?: boolean;
  readonly flood?: boolean;
  /** It is killed. */
  readonly signal?: boolean;
}

export interface CosignBehaviour {
  readonly version: string;
  /** Of the key. */
  readonly password: string;
  /** With which it signs instead of SHA-256. */
  readonly hash?: string;
  /** Each signature waits until so many have been begun. */
  readonly together?: number;
  /** By command: what is wrong with its first call, its second, and so on. */
  readonly faults?: Readonly<Record<string, readonly (CosignFault | null)[]>>;
}

/** What the program noted of a call. */
export interface CosignCall {
  readonly event: 'begin' | 'end';
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Base64. */
  readonly input: string;
  readonly pid: number;
}

export interface FakeCosign {
  /** A folder for PATH. */
  readonly bin: string;
  /** A file that may be named as the key. */
  readonly key: string;
  /** Calls of a command, in the order of their begin. */
  calls(command: string): CosignCall[];
  /** How many ran at the same time, at most. */
  most(): number;
}

/** Puts a `cosign` into a folder of its own: the program of cosign-program.ts, with a key of its own. */
export function fakeCosign(
  behaviour: Partial<CosignBehaviour> = {},
  privateKey: KeyObject = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
): FakeCosign {
  const folder = temporaryFolder();
  const bin = path.join(folder, 'bin');
  mkdirSync(bin);
  const whole: CosignBehaviour = { version: 'v3.1.3', password: '', ...behaviour };
  writeFileSync(path.join(folder, 'behaviour.json'), JSON.stringify(whole));
  const key = path.join(folder, 'private.pem');
  writeFileSync(key, privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const program = fileURLToPath(import.meta.resolve('./cosign-program.ts'));
  const command = path.join(bin, 'cosign');
  writeFileSync(
    command,
    `#!/bin/sh\nexec '${process.execPath}' --no-warnings '${program}' '${folder}' "$@"\n`,
  );
  chmodSync(command, 0o755);

  const journal = (): CosignCall[] => {
    const file = path.join(folder, 'calls');
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    return lines.map(line => JSON.parse(line) as CosignCall);
  };
  return {
    bin,
    key,
    calls: wanted => journal().filter(({ event, command: said }) => event === 'begin' && said === wanted),
    most: () => {
      let running = 0;
      return Math.max(...journal().map(({ event }) => (running += event === 'begin' ? 1 : -1)));
    },
  };
}

/** Opens the key of this cosign, until the test ends. @param options with the variables of the job in `job` */
export function openWith(
  cosign: FakeCosign,
  { job, ...options }: Partial<CosignKeyOptions> & { readonly job?: NodeJS.ProcessEnv } = {},
): Promise<CosignKey> {
  const env = { PATH: `${cosign.bin}:/usr/bin:/bin`, ...job };
  return opened(openCosignKey({ key: cosign.key, env, onSecret: keepSecret, retry: FAST, ...options }));
}
