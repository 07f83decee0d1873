import { generateKeyPairSync, sign } from 'node:crypto';
import { type PublicKey, parsePublicKey } from '../../src/sign/public-key.ts';
import type { Signer } from '../../src/sign/signer.ts';

/** One who signs with a key that lies here, P-256 as cosign makes it. */
export function newKeySigner(): Signer & { readonly publicKey: PublicKey } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = parsePublicKey(publicKey.export({ format: 'pem', type: 'spki' }).toString(), 'the key');
  return {
    signatory: { kind: 'key', fingerprint: key.fingerprint },
    publicKey: key,
    sign: async data => ({ bytes: sign('sha256', data, privateKey), by: { kind: 'key', key } }),
  };
}
