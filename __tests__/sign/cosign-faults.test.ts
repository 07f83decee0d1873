import { generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { mayPass } from '../../src/sign/cosign-command.ts';
import { failureOf, SHORT } from '../servers/clients.ts';
import { type CosignBehaviour, fakeCosign, openWith } from '../servers/cosign.ts';

const DATA = Buffer.from('what is to be signed');

const failing = (command: string, ...words: string[]): Partial<CosignBehaviour> => ({
  faults: { [command]: words.map(said => ({ words: said })) },
});

const THROTTLED =
  'kms: operation error KMS: Sign, https response error StatusCode: 400, ThrottlingException: Rate exceeded';
const DENIED =
  'kms: operation error KMS: Sign, https response error StatusCode: 400, AccessDeniedException: not authorized';

describe('a fault of a key store', () => {
  it('that may pass is tried again', async () => {
    const cosign = fakeCosign({
      faults: {
        'public-key': [{ words: 'dial tcp 127.0.0.1:8200: connect: connection refused' }],
        'sign-blob': [{ words: THROTTLED }, { words: 'rpc error: code = Unavailable desc = try later' }],
      },
    });
    const retries: string[] = [];
    const key = await openWith(cosign, { onRetry: message => retries.push(message) });
    await key.sign(DATA);
    expect(retries.map(message => message.split(':')[0])).toEqual([
      'cosign public-key',
      'cosign sign-blob',
      'cosign sign-blob',
    ]);
    expect(cosign.calls('sign-blob').map(({ input }) => input)).toEqual(
      Array(3).fill(DATA.toString('base64')),
    );
  });

  it('that does not pass within the budget says how often it was tried', async () => {
    const cosign = fakeCosign(failing('sign-blob', ...Array<string>(100).fill(THROTTLED)));
    const key = await openWith(cosign, { retry: SHORT });
    const failure = await failureOf(() => key.sign(DATA));
    expect(failure.code).toBe('signing-failed');
    const tries = cosign.calls('sign-blob').length;
    expect(failure.message).toContain(tries === 1 ? 'tried once' : `tried ${tries} times`);
    expect(failure.message).toContain('ThrottlingException');
    expect(failure.hint).toContain('Re-run');
  });

  it('at opening is one of the store and not of the configuration', async () => {
    const cosign = fakeCosign(failing('public-key', ...Array<string>(100).fill(THROTTLED)));
    expect((await failureOf(() => openWith(cosign, { retry: SHORT }))).code).toBe('signing-failed');
  });

  it('that will not change fails at once', async () => {
    const cosign = fakeCosign(failing('sign-blob', DENIED));
    const key = await openWith(cosign);
    const failure = await failureOf(() => key.sign(DATA));
    expect(failure.code).toBe('signing-failed');
    expect(failure.message).toContain('AccessDeniedException');
    expect(cosign.calls('sign-blob')).toHaveLength(1);
  });

  // As cosign 2.5.0, 2.6.5 and 3.1.3 and the clients of the key stores within them say it.
  it.each([
    'public key: Get "http://127.0.0.1:1/v1/transit/keys/k": dial tcp 127.0.0.1:1: connect: connection refused',
    'Get "https://host/cosign.key": read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer',
    'Post "https://kms.us-east-1.amazonaws.com/": net/http: TLS handshake timeout',
    'Post "https://vault/v1/transit/sign/k": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
    'Get "https://vault/": EOF',
    'dial tcp: lookup kms.example: Temporary failure in name resolution',
    'operation error KMS: GetPublicKey, https response error StatusCode: 503, RequestID: a, api error X: busy',
    'signing: Error making API request.\n\nURL: PUT http://vault/v1/transit/sign/k\nCode: 503. Errors:\n\n* sealed',
    'rpc error: code = DeadlineExceeded desc = context deadline exceeded',
    'googleapi: rpc error: code = ResourceExhausted desc = Quota exceeded',
    'POST https://v.vault.azure.net/keys/k/sign RESPONSE 429: 429 Too Many Requests ERROR CODE: Throttled',
    'loading URL http://127.0.0.1/cosign.key: server returned HTTP 502',
  ])('may pass: %s', words => {
    expect(mayPass(words.replaceAll('\n', ' '))).toBe(true);
  });

  it.each([
    'decrypt: encrypted: decryption failed',
    'open cosign.key: no such file or directory',
    'unsupported pem type: PRIVATE KEY',
    'loading URL: unrecognized scheme: foo://',
    'dial tcp: lookup vault.invalid on 10.0.0.1:53: no such host',
    'Post "https://kms/": tls: failed to verify certificate: x509: certificate signed by unknown authority',
    'operation error KMS: Sign, https response error StatusCode: 400, RequestID: 5031, AccessDeniedException: no',
    'Error making API request. URL: PUT http://vault:429/v1/transit/sign/k Code: 403. Errors: * permission denied',
    'rpc error: code = PermissionDenied desc = Permission denied on resource',
    'rpc error: code = NotFound desc = CryptoKey 503 not found',
    'loading URL http://127.0.0.1/cosign.key: server returned HTTP 404',
    '',
  ])('will not change: %s', words => {
    expect(mayPass(words)).toBe(false);
  });
});

describe('what cosign cannot use', () => {
  it('is a key whose password is missing', async () => {
    const failure = await failureOf(() => openWith(fakeCosign({ password: 'word' })));
    expect(failure.code).toBe('key-unusable');
    expect(failure.hint).toContain('COSIGN_PASSWORD: ${{ secrets.COSIGN_PASSWORD }}');
  });

  it('is a key with another password', async () => {
    const job = { COSIGN_PASSWORD: 'other' };
    const failure = await failureOf(() => openWith(fakeCosign({ password: 'word' }), { job }));
    expect(failure.hint).toContain('another password');
    expect(failure.message).not.toContain('other');
  });

  it.each([
    ['unsupported pem type: PRIVATE KEY', 'import-key-pair'],
    ['unsupported pem type: RSA PRIVATE KEY', 'import-key-pair'],
    ['unsupported pem type: PUBLIC KEY', 'public half'],
    ['getting key: 403 Forbidden', 'access'],
  ])('is %s, and the remedy is named', async (words, remedy) => {
    const failure = await failureOf(() => openWith(fakeCosign(failing('public-key', words))));
    expect(failure.code).toBe('key-unusable');
    expect(failure.message).toContain(words);
    expect(failure.hint).toContain(remedy);
  });

  it('is a public key that is none', async () => {
    const cosign = fakeCosign({ faults: { 'public-key': [{ stdout: 'nothing' }] } });
    const failure = await failureOf(() => openWith(cosign));
    expect(failure.code).toBe('key-unusable');
    expect(failure.message).toContain('holds no public key: it has no line "-----BEGIN PUBLIC KEY-----".');
  });

  const curve = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey;
  const rsa = (modulusLength: number): KeyObject => generateKeyPairSync('rsa', { modulusLength }).privateKey;
  const ed25519 = generateKeyPairSync('ed25519').privateKey;

  it.each([
    ['P-384', curve('P-384'), 'v3.1.3'],
    ['P-384', curve('P-384'), 'v2.5.0'],
    ['P-521', curve('P-521'), 'v3.1.3'],
    ['secp256k1', curve('secp256k1'), 'v3.1.3'],
    ['RSA of 1024 bits', rsa(1024), 'v3.1.3'],
    ['ED448', generateKeyPairSync('ed448').privateKey, 'v3.1.3'],
    ['Ed25519, which cosign 2.6.0', ed25519, 'v2.6.0'],
    ['Ed25519, which cosign 3.0.6', ed25519, 'v3.0.6'],
  ])('is a key of %s (%#)', async (name, key, version) => {
    const cosign = fakeCosign({ version }, key);
    const failure = await failureOf(() => openWith(cosign));
    expect(failure.code).toBe('key-unusable');
    expect(failure.message).toContain(name);
    expect(cosign.calls('sign-blob')).toEqual([]);
  });

  it.each([
    ['RSA of 2048 bits', rsa(2048), 'v3.1.3'],
    ['Ed25519', ed25519, 'v2.5.3'],
    ['Ed25519', ed25519, 'v3.1.3'],
  ])('is not a key of %s (%#)', async (_, privateKey, version) => {
    const key = await openWith(fakeCosign({ version }, privateKey));
    const { bytes } = await key.sign(DATA);
    const algorithm = privateKey === ed25519 ? null : 'sha256';
    expect(verify(algorithm, DATA, key.publicKey.key, bytes)).toBe(true);
  });
});
