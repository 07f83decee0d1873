import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readKeyReference } from '../../src/sign/cosign-key-reference.ts';
import { failureOf, temporaryFolder } from '../servers/clients.ts';

const PEM = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  format: 'pem',
  type: 'pkcs8',
});
const LINES = String(PEM)
  .split('\n')
  .filter(line => line.length >= 8 && !line.startsWith('-'));

async function refusal(key: string, env: NodeJS.ProcessEnv = {}) {
  const secrets: string[] = [];
  const failure = await failureOf(() => readKeyReference(key, env, secret => secrets.push(secret)));
  expect(failure.hint).toBeDefined();
  return { failure, said: `${failure.message}\n${failure.hint}`, secrets };
}

describe('the text of a key instead of its name', () => {
  it.each([
    ['PEM', String(PEM)],
    ['PEM without line breaks', String(PEM).replaceAll('\n', ' ')],
    ['PEM in Base64', Buffer.from(PEM).toString('base64')],
    ['PEM without its first line', LINES.join('\n')],
  ])('as %s is refused, masked and not shown', async (_, key) => {
    const { failure, said, secrets } = await refusal(key);
    expect(failure.code).toBe('invalid-input');
    expect(said).toContain('key: env://COSIGN_PRIVATE_KEY');
    for (const line of LINES) expect(said).not.toContain(line);
    expect(secrets).toContain(key.trim());
    if (key.includes('\n')) expect(secrets).toEqual(expect.arrayContaining(LINES));
  });

  it('that is empty, as a secret that does not exist, is refused', async () => {
    const { said, secrets } = await refusal('  ');
    expect(said).toContain('is empty');
    expect(secrets).toEqual([]);
  });
});

describe('a secret within the name of a key', () => {
  it('is refused as a PIN', async () => {
    const { said, secrets } = await refusal('pkcs11:token=a;object=b?module-path=/m.so&pin-value=314159');
    expect(said).toContain('COSIGN_PKCS11_PIN');
    expect(said).not.toContain('314159');
    expect(secrets).toEqual(['314159']);
  });

  it.each([
    'https://ghp_swordfish@raw.example.com/cosign.key',
    'https://raw.example.com/cosign.key?token=ghp_swordfish',
  ])('is refused as a token in %s', async key => {
    const { said, secrets } = await refusal(key);
    expect(said).not.toContain('ghp_swordfish');
    expect(secrets.join()).toContain('ghp_swordfish');
  });

  it('is refused as a password of an address', async () => {
    const { said, secrets } = await refusal('https://me:swordfish@example.com/cosign.key');
    expect(said).not.toContain('swordfish');
    expect(secrets).toEqual(['swordfish']);
  });
});

describe('a key in the environment', () => {
  it.each([
    ['env://SIGNING_KEY', {}, 'SIGNING_KEY, which is not set', 'SIGNING_KEY'],
    ['env://SIGNING_KEY', { SIGNING_KEY: ' \n' }, 'SIGNING_KEY, which is empty', 'SIGNING_KEY'],
    ['env://', {}, '"env://", without the name of a variable', 'COSIGN_PRIVATE_KEY'],
    ['env:// ', {}, '"env://", without the name of a variable', 'COSIGN_PRIVATE_KEY'],
  ])('by %j is refused where it is not there', async (key, env, words, name) => {
    const { failure, said } = await refusal(key, env);
    expect(failure.code).toBe('invalid-input');
    expect(said).toContain(words);
    expect(said).toContain(`${name}: \${{ secrets.COSIGN_PRIVATE_KEY }}`);
  });

  it.each([
    ['in one line', 'base64', ''],
    ['after an empty line', 'base64', '\n'],
  ] as const)('in Base64, %s, is refused, masked and not shown', async (_, encoding, before) => {
    const text = Buffer.from(`${before}${PEM}`).toString(encoding);
    const { failure, said, secrets } = await refusal('env://SIGNING_KEY', { SIGNING_KEY: text });
    expect(failure.code).toBe('key-unusable');
    expect(said).toContain('The key in the environment variable SIGNING_KEY is in Base64');
    expect(said).toContain('begins with "-----BEGIN"');
    expect(said).not.toContain(text.slice(0, 12));
    expect(secrets).toContain(text);
  });

  it('reaches cosign, and is masked line by line', () => {
    const secrets: string[] = [];
    const env = { COSIGN_KEY: String(PEM), COSIGN_OUTPUT: '/tmp/x', HOME: '/home/me' };
    const read = readKeyReference('env://COSIGN_KEY', env, secret => secrets.push(secret));
    expect(read).toEqual({
      reference: 'env://COSIGN_KEY',
      env: { COSIGN_KEY: String(PEM), HOME: '/home/me', COSIGN_PASSWORD: '' },
      hasPassword: false,
    });
    expect(secrets).toEqual([String(PEM).trim(), ...LINES]);
    expect(secrets.some(secret => secret.startsWith('-----') && !secret.includes('\n'))).toBe(false);
  });
});

describe('a key in a file', () => {
  it('is refused where it cannot be read', async () => {
    const { said } = await refusal(path.join(temporaryFolder(), 'cosign.key'));
    expect(said).toContain('ENOENT');
    expect(said).toContain('relative to the workspace');
  });

  it('is taken as it is named', () => {
    const file = path.join(temporaryFolder(), 'cosign.key');
    writeFileSync(file, PEM);
    expect(readKeyReference(file, { COSIGN_PASSWORD: 'word' }, () => {})).toMatchObject({
      reference: file,
      hasPassword: true,
    });
  });
});

it.each([
  'awskms:///alias/release',
  'gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k/versions/1',
  'azurekms://vault.vault.azure.net/release',
  'hashivault://release',
  'k8s://tools/cosign',
  'gitlab://acme/app',
  'pkcs11:token=a;object=b?module-path=/usr/lib/m.so',
  'https://keys.example.com/cosign.key',
])('a key in a key store is left to cosign: %s', key => {
  expect(readKeyReference(key, {}, () => {}).reference).toBe(key);
});
