import { generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { type CosignKey, openCosignKey } from '../../src/sign/cosign.ts';
import { check, run } from '../parts/command.ts';
import { toolPath } from '../tools/catalog.ts';

const VERSIONS = { cosign: '3.1.3', 'cosign-2.6': '2.6.5', 'cosign-2.5': '2.5.0' } as const;
const TOOLS = Object.keys(VERSIONS) as (keyof typeof VERSIONS)[];
const PASSWORD = 'lab-password';
const DATA = Buffer.from('DSSEv1 28 application/vnd.in-toto+json 2 {}\n\0\xff', 'latin1');

const KEYS: Readonly<Record<string, () => KeyObject>> = {
  p256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  p384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  p521: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  rsa2048: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  rsa3072: () => generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey,
  rsa4096: () => generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey,
  ed25519: () => generateKeyPairSync('ed25519').privateKey,
};

let directory: string;
/** Stands between the machine and the world, and lets nobody through. */
let border: Server;
let asked: string[];

const file = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'manifold-cosign-'));
  for (const [name, make] of Object.entries(KEYS)) {
    await writeFile(file(`${name}.pem`), make().export({ format: 'pem', type: 'pkcs8' }));
    const args = ['import-key-pair', '--key', file(`${name}.pem`), '--output-key-prefix', file(name)];
    await check(toolPath('cosign'), args, { env: { COSIGN_PASSWORD: PASSWORD } });
  }
  const generate = ['generate-key-pair', '--output-key-prefix', file('open')];
  await check(toolPath('cosign'), generate, { env: { COSIGN_PASSWORD: '' } });
  for (const tool of TOOLS) {
    await mkdir(file(`bin-${tool}`));
    await symlink(toolPath(tool), join(file(`bin-${tool}`), 'cosign'));
  }
  border = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(403).end();
  });
  border.on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await new Promise<void>(resolve => border.listen(0, '127.0.0.1', resolve));
});

beforeEach(() => {
  asked = [];
});

afterAll(async () => {
  border?.close();
  await rm(directory, { recursive: true, force: true });
});

/** What a step of a job finds, with everything that cosign might ask of the world led to the border. */
function environment(tool: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const proxy = `http://127.0.0.1:${(border.address() as AddressInfo).port}`;
  return { PATH: file(`bin-${tool}`), HOME: directory, HTTPS_PROXY: proxy, HTTP_PROXY: proxy, ...more };
}

async function open(tool: string, key: string, more: NodeJS.ProcessEnv = { COSIGN_PASSWORD: PASSWORD }) {
  const secrets: string[] = [];
  const env = environment(tool, more);
  return openCosignKey({ key, env, onSecret: secret => secrets.push(secret) });
}

async function refusal(opening: Promise<CosignKey>): Promise<ManifoldError> {
  const error = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ManifoldError);
  return error as ManifoldError;
}

describe.each(TOOLS)('%s', tool => {
  test('says its version', async () => {
    expect((await open(tool, file('p256.key'))).version).toBe(VERSIONS[tool]);
  });

  const usable = ['p256', 'rsa2048', 'rsa3072', 'rsa4096'].concat(tool === 'cosign-2.6' ? [] : ['ed25519']);
  test.each(usable)('signs with %s what every version of cosign verifies, and asks nobody', async name => {
    const key = await open(tool, file(`${name}.key`));
    const { bytes } = await key.sign(DATA);
    expect(asked).toEqual([]);
    expect(verify(name === 'ed25519' ? null : 'sha256', DATA, key.publicKey.key, bytes)).toBe(true);
    const pem = key.publicKey.key.export({ format: 'pem', type: 'spki' });
    expect(pem).toBe(await readFile(file(`${name}.pub`), 'utf8'));
    await writeFile(file('data'), DATA);
    await writeFile(file('signature'), bytes.toString('base64'));
    for (const verifier of TOOLS) {
      const legacy = verifier === 'cosign' ? ['--new-bundle-format=false'] : [];
      const how = ['--key', file(`${name}.pub`), '--signature', file('signature')];
      const args = ['verify-blob', ...how, '--insecure-ignore-tlog=true', ...legacy, file('data')];
      const { status, stderr } = await run(toolPath(verifier), args, { env: environment(verifier) });
      expect(status, `${verifier}: ${stderr}`).toBe(0);
    }
  });

  test('would ask the public Sigstore without our flags', async () => {
    const bundle = tool === 'cosign' ? ['--bundle', file('bundle')] : [];
    const args = ['sign-blob', '--key', file('p256.key'), '--yes', ...bundle, '-'];
    const env = environment(tool, { COSIGN_PASSWORD: PASSWORD });
    const { status } = await run(toolPath(tool), args, { env, input: DATA });
    expect(status).not.toBe(0);
    expect(asked.join(' ')).toMatch(/sigstore\.dev:443/);
  });

  const unusable: (readonly [name: string, words: string])[] = [
    ['p384', 'P-384'],
    ['p521', 'P-521'],
  ];
  if (tool === 'cosign-2.6') unusable.push(['ed25519', 'Ed25519']);
  test.each(unusable)('is not used with %s', async (name, words) => {
    const error = await refusal(open(tool, file(`${name}.key`)));
    expect(error.code).toBe('key-unusable');
    expect(error.message).toContain(words);
  });

  test('reads a key from the environment, with a password and without one', async () => {
    const locked = { MY_KEY: await readFile(file('p256.key'), 'utf8'), COSIGN_PASSWORD: PASSWORD };
    const unlocked = { COSIGN_KEY: await readFile(file('open.key'), 'utf8') };
    const keys = await Promise.all([
      open(tool, 'env://MY_KEY', locked),
      open(tool, 'env://COSIGN_KEY', unlocked),
    ]);
    for (const key of keys) {
      const { bytes } = await key.sign(DATA);
      expect(verify('sha256', DATA, key.publicKey.key, bytes)).toBe(true);
    }
    expect(asked).toEqual([]);
  });

  test('signs the same way whatever switches of cosign the job has', async () => {
    const switches = { COSIGN_BUNDLE: file('stray'), COSIGN_OUTPUT: file('stray'), COSIGN_B64: 'false' };
    const key = await open(tool, file('p256.key'), { COSIGN_PASSWORD: PASSWORD, ...switches });
    await key.sign(DATA);
    await expect(readFile(file('stray'))).rejects.toThrow('ENOENT');
  });

  test('signs 17 manifests', async () => {
    const key = await open(tool, file('p256.key'));
    const manifests = Array.from({ length: 17 }, (_, position) => Buffer.from(`manifest ${position}`));
    const signatures = await Promise.all(manifests.map(data => key.sign(data)));
    expect(signatures).toHaveLength(17);
  });

  test('does not wait for a password that nobody can type', async () => {
    const error = await refusal(open(tool, file('p256.key'), {}));
    expect(error.hint).toContain('COSIGN_PASSWORD: ${{ secrets.COSIGN_PASSWORD }}');
    const wrong = await refusal(open(tool, file('p256.key'), { COSIGN_PASSWORD: 'another one' }));
    expect(wrong.hint).toContain('another password');
  });

  test('says what it does not understand', async () => {
    const plain = await refusal(open(tool, file('p256.pem')));
    expect(plain.hint).toContain('import-key-pair');
    expect((await refusal(open(tool, file('p256.pub')))).hint).toContain('public half');
    expect((await refusal(open(tool, 'keystore://acme'))).message).toContain('keystore://');
  });

  test('is asked again when a key store does not answer', async () => {
    const retries: string[] = [];
    const env = environment(tool, {
      VAULT_ADDR: 'http://127.0.0.1:1',
      VAULT_TOKEN: 'hvs.secret',
      VAULT_MAX_RETRIES: '0',
    });
    const error = await refusal(
      openCosignKey({
        key: 'hashivault://release',
        env,
        onSecret: () => {},
        onRetry: message => retries.push(message),
        retry: { budget: 50, base: 1, longest: 1 },
      }),
    );
    expect(error.code).toBe('signing-failed');
    expect(error.message).toContain('connection refused');
    expect(retries.length).toBeGreaterThan(0);
  });
});
