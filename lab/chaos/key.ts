import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** A key, and a program that signs with it as cosign would. */
export interface SigningKey {
  /** A folder for PATH. */
  readonly bin: string;
  /** What the input `key` names. */
  readonly file: string;
  /** In PEM, for who verifies. */
  readonly publicFile: string;
  readonly publicKey: KeyObject;
  close(): Promise<void>;
}

const PROGRAM = fileURLToPath(import.meta.resolve('./cosign-program.ts'));

export function makeSigningKey(): SigningKey {
  const folder = mkdtempSync(path.join(tmpdir(), 'manifold-chaos-key-'));
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const file = path.join(folder, 'private.pem');
  const publicFile = path.join(folder, 'public.pem');
  const command = path.join(folder, 'cosign');
  writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }));
  writeFileSync(publicFile, publicKey.export({ format: 'pem', type: 'spki' }));
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' --no-warnings '${PROGRAM}' '${file}' "$@"\n`);
  chmodSync(command, 0o755);
  const close = () => rm(folder, { recursive: true, force: true });
  return { bin: folder, file, publicFile, publicKey, close };
}
