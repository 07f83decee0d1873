import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parsePublicKey } from '../../src/sign/public-key.ts';
import { failureOf } from '../servers/clients.ts';

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const PEM = publicKey.export({ type: 'spki', format: 'pem' }).toString();

describe('a public key', () => {
  it('is read whatever stands before it', () => {
    expect(parsePublicKey(`made by hand\n${PEM}`, 'the key').key.equals(publicKey)).toBe(true);
  });

  it.each([
    ['nothing of the kind', 'sEcReT', 'it has no line "-----BEGIN PUBLIC KEY-----"'],
    ['Base64 of one', Buffer.from(PEM).toString('base64'), 'it has no line "-----BEGIN PUBLIC KEY-----"'],
    ['a broken one', PEM.replace('MFkw', 'sEcReT'), 'what follows "-----BEGIN PUBLIC KEY-----" is broken'],
    [
      'the private one of cosign',
      '-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nsEcReT\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----',
      'it is of the kind "ENCRYPTED SIGSTORE PRIVATE KEY"',
    ],
    [
      'one for SSH',
      '-----BEGIN SSH2 PUBLIC KEY-----\nsEcReT\n-----END SSH2 PUBLIC KEY-----',
      'it is of the kind "SSH2 PUBLIC KEY"',
    ],
  ])('is told from %s in words for a person', async (_, text, words) => {
    const { code, message, hint } = await failureOf(() => parsePublicKey(text, 'The file'));
    expect(code).toBe('key-unusable');
    expect(message).toBe(`The file holds no public key: ${words}.`);
    expect(hint).toContain('cosign public-key');
    expect(`${message} ${hint}`).not.toContain('sEcReT');
  });
});
