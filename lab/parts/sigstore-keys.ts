import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { authority, encryptedKey, type Identity, makeIdentity, newKey } from './certificates.ts';
import type { Authorities } from './sigstore-files.ts';

/** The keys of all parts, in files: what each signs with, and what others trust it by. */
export interface Keys extends Authorities {
  readonly fulcioKey: string;
  readonly tsaKey: string;
  readonly rekorKey: string;
  readonly rekorV1Key: string;
  readonly ctlogKey: string;
}

/** @param password of the keys that their servers take encrypted only */
export async function makeKeys(directory: string, password: string): Promise<Keys> {
  const write = async (name: string, text: string | Buffer): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const spki = (key: KeyObject): string | Buffer =>
    createPublicKey(key).export({ type: 'spki', format: 'pem' });
  const [ctlog, rekorV1] = [newKey(), newKey()];
  const rekor = generateKeyPairSync('ed25519').privateKey;
  const codeSigning = [...authority, 'extendedKeyUsage = codeSigning'];
  const [fulcio, tsa] = await Promise.all([
    makeIdentity(directory, { name: 'fulcio-ca', extensions: codeSigning }),
    makeTimestampIdentity(directory),
  ]);
  return {
    fulcio,
    fulcioKey: await encryptedKey(fulcio, password),
    tsaChain: tsa.chain,
    tsaKey: await encryptedKey(tsa.leaf, password),
    rekorKey: await write('rekor.key', rekor.export({ type: 'pkcs8', format: 'pem' })),
    rekorPublic: await write('rekor.pub', spki(rekor)),
    rekorV1Key: await write('rekor-v1.key', rekorV1.export({ type: 'pkcs8', format: 'pem' })),
    rekorV1Public: await write('rekor-v1.pub', spki(rekorV1)),
    ctlogKey: await write('ctlog.key', ctlog.export({ type: 'sec1', format: 'pem' })),
    ctlogPublic: await write('ctlog.pub', spki(ctlog)),
  };
}

/** A chain of its own, kept in files: the server's in-memory signer would be another after each start. */
async function makeTimestampIdentity(directory: string): Promise<{ leaf: Identity; chain: string }> {
  const root = await makeIdentity(directory, { name: 'tsa-root', extensions: authority });
  const leaf = await makeIdentity(directory, {
    name: 'tsa',
    issuer: root,
    extensions: [
      'basicConstraints = critical, CA:FALSE',
      'keyUsage = critical, digitalSignature',
      'extendedKeyUsage = critical, timeStamping',
      'subjectKeyIdentifier = hash',
      'authorityKeyIdentifier = keyid',
    ],
  });
  const chain = join(directory, 'tsa-chain.pem');
  const certificates = [leaf, root].map(identity => readFile(identity.certificateFile));
  await writeFile(chain, Buffer.concat(await Promise.all(certificates)));
  return { leaf, chain };
}
