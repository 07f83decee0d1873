import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { status } from '../servers/answering.ts';
import { failureOf, opened, temporaryFolder } from '../servers/clients.ts';
import { ORIGIN } from '../servers/images.ts';
import { secureServer, startProxy } from '../servers/proxy.ts';
import { startRun } from '../servers/run.ts';
import { startTuf } from '../servers/tuf.ts';
import { pem } from '../servers/x509.ts';

/** No files: what describes the Sigstore is fetched. */
const NO_FILES = { trustedRoot: undefined, signingConfig: undefined };

/** A run whose Sigstore is described by a TUF repository. */
async function started() {
  const run = await startRun({ referrers: 'api' });
  await run.build('linux/amd64');
  await run.build('linux/arm64');
  const tuf = await opened(
    startTuf({
      'trusted_root.json': JSON.stringify(TrustedRoot.toJSON(run.sigstore.root)),
      'signing_config.v0.2.json': JSON.stringify(SigningConfig.toJSON(run.sigstore.config)),
    }),
  );
  const env = { ...tuf.env, RUNNER_TEMP: temporaryFolder() };
  return { ...run, tuf, env, mergeByTuf: () => run.merge(NO_FILES, 1, env) };
}

describe('a merge that is given no files of a Sigstore', () => {
  it('fetches them, signs by them, verifies by them, and sets its tags', async () => {
    const { mergeByTuf, tuf, tags, issuer } = await started();
    const told = await mergeByTuf();
    expect(tags()).toEqual({ '1.0': told.outputs.digest, latest: told.outputs.digest });
    expect(JSON.parse(told.outputs.json ?? '').components.app.signed).toMatchObject({
      by: [{ issuer: issuer.url }],
      manifests: 5,
      attached: 5,
    });
    expect(tuf.log.filter(line => line.includes('timestamp'))).toHaveLength(1);
  });

  it('a second time in one job asks the repository for nothing, and signs nothing twice', async () => {
    const { mergeByTuf, tuf } = await started();
    const first = await mergeByTuf();
    await tuf.close();
    const second = await mergeByTuf();
    expect(second.outputs.digest).toBe(first.outputs.digest);
    expect(JSON.parse(second.outputs.json ?? '').components.app.signed.attached).toBe(0);
  });

  it.each([
    ['is not there', 'service-unreachable', (tuf: Tuf) => tuf.on(/./, status(404))],
    ['has expired', 'signing-config', expire],
  ] as const)('ends before anything is pushed where the repository %s', async (_, code, spoil) => {
    const { mergeByTuf, tuf, registries, tags, sigstore, issuer } = await started();
    spoil(tuf);
    const repository = registries[0]?.repository('acme/app');
    const before = repository?.manifests.size;
    const error = await failureOf(mergeByTuf);
    expect(error.code).toBe(code);
    expect(error.message).toContain(tuf.url);
    expect(repository?.manifests.size).toBe(before);
    expect([tags(), sigstore.log, issuer.given]).toEqual([{}, [], []]);
  });
});

describe("a merge whose Sigstore answers with what is somebody else's", () => {
  it.each([
    ['a certificate', '/api/v2/signingCert', 'certified another key than ours'],
    ['a log entry', '/api/v1/log/entries', 'gave the entry of another signature'],
  ] as const)('ends with %s before anything is attached', async (_, place, words) => {
    const { mergeByTuf, sigstore, registries, tags } = await started();
    const { authority, transparency } = sigstore;
    sigstore.on(place, (_body, response) => {
      const certificate = authority.certify({ publicKey: authority.root.publicKey, name: 'https://x' });
      const chain = { certificates: [pem(certificate)] };
      const entry = transparency.record({ kind: 'dsse', spec: {} });
      sendJson(
        response,
        201,
        place.endsWith('Cert') ? { signedCertificateEmbeddedSct: { chain } } : { entry },
      );
    });
    const error = await failureOf(mergeByTuf);
    expect(error.code).toBe('signing-failed');
    expect(error.message).toContain(`(${sigstore.url}) ${words}`);
    expect(error.hint).toContain('it goes on from here');
    expect(tags()).toEqual({});
    const manifests = [...(registries[0]?.repository('acme/app').manifests.values() ?? [])];
    expect(manifests.filter(({ bytes }) => bytes.includes('dev.sigstore.bundle'))).toEqual([]);
  });
});

type Tuf = Awaited<ReturnType<typeof startTuf>>;

function expire(tuf: Tuf): void {
  tuf.roles.timestamp.expires = new Date(Date.now() - 2000);
  tuf.publish();
}

/** The action as a runner has it: bundled, in a folder and a process of its own. */
describe('the bundled action', () => {
  const execute = promisify(execFile);
  const folder = mkdtempSync(path.join(tmpdir(), 'manifold-test-'));
  const main = path.join(folder, 'dist/main.js');
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  beforeAll(async () => {
    const root = path.resolve(import.meta.dirname, '../..');
    await execute(process.execPath, [path.join(root, 'scripts/bundle.mjs'), path.dirname(main)]);
  }, 60_000);

  /** A merge job. @returns its exit code, and its log */
  async function mergeJob(run: Awaited<ReturnType<typeof started>>, changes: NodeJS.ProcessEnv) {
    const temp = temporaryFolder();
    writeFileSync(path.join(temp, 'output'), '');
    const env = {
      ...run.issuer.jobEnvironment(),
      ...run.artifacts.jobEnvironment(ORIGIN.runId, 'merge', 1),
      PATH: temp,
      HOME: temp,
      RUNNER_TEMP: temp,
      GITHUB_OUTPUT: path.join(temp, 'output'),
      GITHUB_REPOSITORY: ORIGIN.repository,
      GITHUB_SERVER_URL: 'https://github.com',
      GITHUB_SHA: ORIGIN.commit,
      GITHUB_RUN_ID: ORIGIN.runId,
      INPUT_MODE: 'merge',
      INPUT_SIGN: 'keyless',
      INPUT_TAGS: '1.0',
      'INPUT_RETRY-BUDGET': '5',
      ...changes,
    };
    const options = { cwd: temp, env, timeout: 60_000 };
    const ended = execute(process.execPath, [main], options).then(
      ({ stdout }) => ({ code: 0, log: stdout }),
      ({ code, stdout }: { code: number; stdout: string }) => ({ code, log: stdout }),
    );
    return ended;
  }

  it('signs by the files that it fetches', async () => {
    const run = await started();
    const { code, log } = await mergeJob(run, run.tuf.env);
    expect(code, log).toBe(0);
    expect(log).toContain('5 manifests, verified in every registry');
    expect(Object.keys(run.tags())).toEqual(['1.0']);
  }, 60_000);

  it('carries the root of the public Sigstore, and believes nobody else in its name', async () => {
    const run = await started();
    const host = 'tuf-repo-cdn.sigstore.dev';
    const stranger = await secureServer(host, (request, response) => {
      const content = run.tuf.files.get(request.url ?? '');
      response.writeHead(content === undefined ? 404 : 200).end(content);
    });
    const proxy = await startProxy([leadTo(stranger.port)]);
    const certificate = path.join(temporaryFolder(), 'ca.pem');
    writeFileSync(certificate, stranger.ca);
    const { code, log } = await mergeJob(run, {
      HTTPS_PROXY: `http://${proxy.host}`,
      NODE_EXTRA_CA_CERTS: certificate,
    });
    expect(proxy.tunnels[0]?.target).toBe(`${host}:443`);
    expect(code).toBe(1);
    expect(log).toMatch(
      /^::error title=Manifold%3A signing-config::The trusted_root.json of the public Sigstore/m,
    );
    expect(log).toContain('is refused: timestamp was signed by 0/1 keys');
    expect(run.tags()).toEqual({});
  }, 60_000);
});

/** A tunnel that ends here, whatever was asked for. */
const leadTo = (port: number) => (client: Socket) => {
  const target = connect(port, '127.0.0.1', () => {
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    target.pipe(client).pipe(target);
  });
  target.on('error', () => client.destroy()).on('close', () => client.destroy());
  client.on('close', () => target.destroy());
};
