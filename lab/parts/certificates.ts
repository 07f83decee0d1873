import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { check } from './command.ts';

/** A key pair with a certificate, in files as servers read them. */
export interface Identity {
  readonly key: KeyObject;
  /** PKCS8, unencrypted. */
  readonly keyFile: string;
  readonly certificateFile: string;
}

export interface CertificateRequest {
  readonly name: string;
  /** X.509 v3 extensions as openssl.cnf has them, for example `keyUsage = critical, keyCertSign`. */
  readonly extensions: readonly string[];
  /** Without an issuer the certificate signs itself. */
  readonly issuer?: Identity;
}

/** Extensions of a certificate that signs others. */
export const authority = [
  'basicConstraints = critical, CA:TRUE, pathlen:1',
  'keyUsage = critical, keyCertSign, cRLSign',
  'subjectKeyIdentifier = hash',
] as const;

export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** Makes a P-256 key and a certificate for it; Node reads X.509 but does not write it, so openssl does. */
export async function makeIdentity(directory: string, request: CertificateRequest): Promise<Identity> {
  await mkdir(directory, { recursive: true });
  const file = (suffix: string): string => join(directory, `${request.name}.${suffix}`);
  const key = newKey();
  await writeFile(file('key.pem'), key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const config = [
    '[req]',
    'distinguished_name = subject',
    'prompt = no',
    'x509_extensions = extensions',
    '[subject]',
    'O = Manifold lab',
    `CN = ${request.name}`,
    '[extensions]',
    ...request.extensions,
  ];
  await writeFile(file('cnf'), `${config.join('\n')}\n`);
  const { issuer } = request;
  await check('openssl', [
    ...['req', '-x509', '-new', '-sha256', '-days', '30', '-config', file('cnf')],
    ...['-key', file('key.pem'), '-out', file('pem')],
    ...(issuer ? ['-CA', issuer.certificateFile, '-CAkey', issuer.keyFile] : []),
  ]);
  return { key, keyFile: file('key.pem'), certificateFile: file('pem') };
}

/** The same key under a password: some servers take no other. */
export async function encryptedKey(identity: Identity, password: string): Promise<string> {
  const path = identity.keyFile.replace(/\.pem$/, '.encrypted.pem');
  const options = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: password } as const;
  const key = createPrivateKey(await readFile(identity.keyFile));
  await writeFile(path, key.export(options), { mode: 0o600 });
  return path;
}
