import { createHash, verify } from 'node:crypto';
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { failureOf, SHORT, temporaryFolder } from '../servers/clients.ts';
import { fakeCosign, openWith } from '../servers/cosign.ts';

const DATA = Buffer.from('DSSEv1 28 application/vnd.in-toto+json 2 {}\n\0\xff', 'latin1');

describe('a key that cosign holds', () => {
  it('has the public half that cosign gives, and signs with the private one', async () => {
    const cosign = fakeCosign();
    const key = await openWith(cosign);
    const { bytes, by } = await key.sign(DATA);
    expect(verify('sha256', DATA, key.publicKey.key, bytes)).toBe(true);
    expect(by).toEqual({ kind: 'key', key: key.publicKey });
    const der = key.publicKey.key.export({ format: 'der', type: 'spki' });
    const fingerprint = createHash('sha256').update(der).digest('base64');
    expect(key.signatory).toEqual({ kind: 'key', fingerprint });
    expect(cosign.calls('sign-blob').map(({ input }) => input)).toEqual([DATA.toString('base64')]);
  });

  it.each([
    ['v2.4.0', ['--tlog-upload=false']],
    ['v2.6.5', ['--tlog-upload=false']],
    ['v3.0.2', ['--use-signing-config=false', '--new-bundle-format=false', '--tlog-upload=false']],
    ['v3.1.3', ['--use-signing-config=false', '--new-bundle-format=false', '--tlog-upload=false']],
    ['3.9.0-rc.1+build', ['--use-signing-config=false', '--new-bundle-format=false', '--tlog-upload=false']],
  ])('is used by cosign %s without any service', async (version, flags) => {
    const cosign = fakeCosign({ version });
    const key = await openWith(cosign);
    await key.sign(DATA);
    expect(key.version).toBe(/\d+\.\d+\.\d+/.exec(version)?.[0]);
    expect(cosign.calls('sign-blob')[0]?.args).toEqual(['sign-blob', '--key', cosign.key, ...flags, '-']);
    expect(cosign.calls('public-key')[0]?.args).toEqual(['public-key', '--key', cosign.key]);
  });

  it('is unlocked by the environment, and nothing secret stands on a command line', async () => {
    const cosign = fakeCosign({ password: 'correct horse' });
    const secrets: string[] = [];
    const job = { COSIGN_PASSWORD: 'correct horse', VAULT_TOKEN: 'hvs.token', KUBECONFIG: '/home/kube' };
    const key = await openWith(cosign, { job, onSecret: secret => secrets.push(secret) });
    await key.sign(DATA);
    expect(secrets).toEqual(['correct horse', 'hvs.token']);
    for (const { args, env } of [...cosign.calls('public-key'), ...cosign.calls('sign-blob')]) {
      expect(args.join(' ')).not.toMatch(/horse|hvs/);
      expect(env).toMatchObject(job);
    }
  });

  it('without a password does not take what is to be signed for it', async () => {
    const cosign = fakeCosign();
    const key = await openWith(cosign);
    await key.sign(DATA);
    expect(cosign.calls('sign-blob')[0]?.env.COSIGN_PASSWORD).toBe('');
  });

  it('is used without the switches of cosign that this job has for other steps', async () => {
    const cosign = fakeCosign();
    const kept = { COSIGN_PKCS11_PIN: '123456', COSIGN_MY_KEY: 'the key', SIGSTORE_ROOT_FILE: '/root.pem' };
    const dropped = {
      COSIGN_BUNDLE: '/b',
      COSIGN_OUTPUT: '/o',
      COSIGN_TLOG_UPLOAD: 'true',
      COSIGN_YES: 'true',
    };
    const key = await openWith(cosign, { key: 'env://COSIGN_MY_KEY', job: { ...kept, ...dropped } });
    await key.sign(DATA);
    for (const command of ['version', 'public-key', 'sign-blob']) {
      const { env = {} } = cosign.calls(command)[0] ?? {};
      expect(env).toMatchObject(kept);
      for (const name of Object.keys(dropped)) expect(env).not.toHaveProperty(name);
    }
  });

  it('signs four things at a time', async () => {
    const cosign = fakeCosign({ together: 4 });
    const key = await openWith(cosign);
    const data = Array.from({ length: 10 }, (_, position) => Buffer.from(`manifest ${position}`));
    const signatures = await Promise.all(data.map(bytes => key.sign(bytes)));
    const valid = signatures.map(({ bytes }, position) =>
      verify('sha256', data[position] ?? DATA, key.publicKey.key, bytes),
    );
    expect(valid).toEqual(data.map(() => true));
    expect(cosign.most()).toBe(4);
  });

  it('signs nothing any more once it is closed, and what runs is ended', async () => {
    const cosign = fakeCosign({ faults: { 'sign-blob': Array.from({ length: 4 }, () => ({ hang: true })) } });
    const key = await openWith(cosign);
    const failures = Array.from({ length: 6 }, () => failureOf(() => key.sign(DATA)));
    await expect.poll(() => cosign.calls('sign-blob').length, { timeout: 10_000 }).toBe(4);
    key.close();
    for (const failure of failures) expect((await failure).message).toContain('it was ended');
    rmSync(cosign.bin, { recursive: true });
    expect((await failureOf(() => key.sign(DATA))).message).toContain('it was ended');
    expect(cosign.calls('sign-blob')).toHaveLength(4);
    for (const { pid } of cosign.calls('sign-blob')) {
      await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
    }
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('cosign', () => {
  it('that is missing is named, with the way to get it', async () => {
    const cosign = fakeCosign();
    const failure = await failureOf(() => openWith(cosign, { job: { PATH: temporaryFolder() } }));
    expect(failure.code).toBe('cosign-unusable');
    expect(failure.message).toContain('not on this runner');
    expect(failure.hint).toContain('uses: sigstore/cosign-installer@v4');
  });

  it.each(['v2.3.9', 'v1.13.6', 'v4.0.0', 'v10.0.0', 'devel', '', 'v3'])(
    'of version %j is refused',
    async version => {
      const cosign = fakeCosign({ version });
      const failure = await failureOf(() => openWith(cosign));
      expect(failure.code).toBe('cosign-unusable');
      expect(failure.message).toContain(version.replace(/^v(?=\d+\.)/, ''));
      expect(failure.hint).toContain('cosign-installer');
      expect(cosign.calls('public-key')).toEqual([]);
    },
  );

  it.each(['', 'cosign v3', '{"version":3}'])('that answers %j for its version is refused', async stdout => {
    const failure = await failureOf(() => openWith(fakeCosign({ faults: { version: [{ stdout }] } })));
    expect(failure.code).toBe('cosign-unusable');
    expect(failure.message).toMatch(/version of cosign/i);
  });

  it('that does not end is ended', async () => {
    const failure = await failureOf(() => openWith(fakeCosign(), { timeout: 1, retry: SHORT }));
    expect(failure.message).toContain('it did not end within 0.001 s');
  });

  it('that says too much is ended', async () => {
    const failure = await failureOf(() =>
      openWith(fakeCosign({ faults: { 'public-key': [{ flood: true }] } })),
    );
    expect(failure.message).toContain('more than any key or signature needs');
  });

  it('that is killed is no success', async () => {
    const key = await openWith(fakeCosign({ faults: { 'sign-blob': [{ signal: true }] } }));
    expect((await failureOf(() => key.sign(DATA))).message).toContain('ended by SIGTERM');
  });

  it('that ends without reading tells why', async () => {
    const faults = { 'sign-blob': [{ deaf: true, words: 'the token is not plugged in' }] };
    const key = await openWith(fakeCosign({ faults }));
    const { message } = await failureOf(() => key.sign(Buffer.alloc(4 * 1024 * 1024)));
    expect(message).toContain('the token is not plugged in');
  });

  it('that breaks down is quoted without its stack', async () => {
    const stderr =
      'panic: crypto: requested hash function #0 is unavailable\n\ngoroutine 1 [running]:\nmain.main()\n';
    const key = await openWith(fakeCosign({ faults: { 'sign-blob': [{ stderr, words: 'x' }] } }));
    const { message } = await failureOf(() => key.sign(DATA));
    expect(message).toContain('panic: crypto: requested hash function #0 is unavailable.');
    expect(message).not.toContain('goroutine');
  });

  it('is quoted once, in one line, without what it always says and without secrets', async () => {
    const stderr = 'Flag --tlog-upload has been deprecated, prefer x\nSigning artifact...\n::error::\n';
    const words = 'kms said: "hvs.a-secret-token" is no token';
    const cosign = fakeCosign({ faults: { 'sign-blob': [{ stderr, words }] } });
    const key = await openWith(cosign, { job: { VAULT_TOKEN: 'hvs.a-secret-token' } });
    const { message } = await failureOf(() => key.sign(DATA));
    expect(message).toContain(': ::error::; kms said: "***" is no token.');
  });
});

describe('a signature', () => {
  it('over another hash is not used', async () => {
    const key = await openWith(fakeCosign({ hash: 'sha384' }));
    const failure = await failureOf(() => key.sign(DATA));
    expect(failure.code).toBe('signing-failed');
    expect(failure.message).toContain('does not verify with the public key');
  });

  it.each(['', 'no base64 at all', 'AAAA'])('that reads %j is not used', async stdout => {
    const key = await openWith(fakeCosign({ faults: { 'sign-blob': [{ stdout }] } }));
    expect((await failureOf(() => key.sign(DATA))).code).toBe('signing-failed');
  });
});
