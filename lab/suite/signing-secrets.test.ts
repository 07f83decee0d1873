import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { merge, newRelease, TOKEN } from '../pipeline.ts';
import type { RunResult } from '../runner.ts';
import { syntheticRelease } from '../synthetic-release.ts';
import { toolPath } from '../tools/catalog.ts';
import { succeeded } from './refusing.ts';
import { openSigningSite, REGISTRIES, type SigningSite } from './signing-site.ts';

// Nothing of a key, a token or a password gets out of a signing job: not into what it shows, and not into a file. That
// every job of the lab is watched for this, the jobs below that give something away tell.

let site: SigningSite;
/** cosign's private key, as a repository keeps it among its secrets. */
let privateKey: string;

beforeAll(async () => {
  site = await openSigningSite();
  privateKey = await readFile(site.key.privateKey, 'utf8');
});

afterAll(() => site?.close());

test('a job that signs with everything that it has keeps it to itself, also where it tells all', async () => {
  const { lab, key, configs } = site;
  const tools = await lab.folder('tools');
  const calls = join(tools, 'calls');
  await writeFile(
    join(tools, 'cosign'),
    `#!/bin/sh\necho "$*" >> ${calls}\nexec ${toolPath('cosign')} "$@"\n`,
  );
  await chmod(join(tools, 'cosign'), 0o755);
  const images = REGISTRIES.map(kind => `${lab.registry(kind).host}/acme/secret`);
  const release = await syntheticRelease(lab, images, 2);
  const signing = { sign: 'keyless, key', key: 'env://SIGNING_KEY', 'signature-format': 'both' };
  const env = {
    SIGNING_KEY: privateKey,
    COSIGN_PASSWORD: key.password,
    PATH: `${tools}:/usr/bin:/bin`,
    RUNNER_DEBUG: '1',
  };
  // The watch ends the test where something is shown.
  await succeeded(merge(release, { with: { ...signing, 'signing-config': configs[1] }, env }));
  const commands = (await readFile(calls, 'utf8')).trim().split('\n');
  expect(commands.filter(command => command.startsWith('sign-blob --key env://SIGNING_KEY '))).toHaveLength(
    15,
  );
  for (const secret of [key.password, 'PRIVATE KEY', TOKEN, 'eyJ'])
    expect(commands.join()).not.toContain(secret);
});

describe('a job that gives something away is found out', () => {
  const leaks: readonly (readonly [what: string, program: string, shown: string])[] = [
    ['a private key in the log', 'console.log(PEM)', 'the log of a job shows a private key'],
    ['a line of the key in the log', 'console.log(KEY.split("\\n")[3])', 'a password or token'],
    [
      'a private key as Base64 in the summary',
      'append("GITHUB_STEP_SUMMARY", base64(PEM))',
      'the summary of a job',
    ],
    ['one within JSON within Base64', 'console.log(base64(JSON.stringify({ id: 1, PEM })))', 'a private key'],
    ['the password in an output', 'append("GITHUB_OUTPUT", "a=" + PASSWORD)', 'a password or token'],
    ['the password on a command line', 'callWith(PASSWORD)', 'a command line of a job'],
    ['a key of an elliptic curve in RUNNER_TEMP', 'write(env.RUNNER_TEMP, DER)', 'a private key'],
    ['a key of RSA in the working folder', 'write(env.GITHUB_WORKSPACE, RSA)', 'a private key'],
    ['a JSON Web Key at home', 'write(env.HOME, JSON.stringify(JWK))', 'a private key'],
    ["cosign's key, encrypted, in a temporary folder", 'write(os.tmpdir(), KEY)', 'a private key'],
    ['the inside of a key in a temporary folder', 'write(os.tmpdir(), SEC1)', 'a private key'],
    ['a token in RUNNER_TEMP', 'write(env.RUNNER_TEMP, env.ACTIONS_RUNTIME_TOKEN)', 'a JSON Web Token'],
  ];

  test.each(leaks)('%s', async (_, program, shown) => {
    await expect(runAction(program)).rejects.toThrow(shown);
  });

  test('and one that gives nothing away is not', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = JSON.stringify(publicKey.export({ format: 'pem', type: 'spki' }));
    const certificate = JSON.stringify(site.lab.sigstore.legacyEnvironment.SIGSTORE_ROOT_FILE);
    const program = `write(env.RUNNER_TEMP, ${pem}); write(env.HOME, readFileSync(${certificate}))`;
    const { exitCode, log } = await runAction(program);
    expect(exitCode, log).toBe(0);
  });
});

/** Runs a job of one statement that has what a signing job has. */
async function runAction(statement: string): Promise<RunResult> {
  const { lab, key } = site;
  const seen = join(await lab.folder('seen'), 'seen');
  const env = { SIGNING_KEY: privateKey, COSIGN_PASSWORD: key.password, SEEN: seen };
  return merge(newRelease(lab, []), {
    action: await leakyAction(statement),
    env,
    with: { key: 'env://SIGNING_KEY' },
    // The watch has looked when this is called.
    onLine: line => {
      if (line === 'now') writeFileSync(seen, '');
    },
  });
}

/** An action of one statement, which finds a private key in the forms that there are. */
async function leakyAction(statement: string): Promise<string> {
  const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    format: 'pem',
    type: 'pkcs8',
  });
  const main = `
    import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
    import { spawnSync } from 'node:child_process';
    import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
    import os from 'node:os';
    import { join } from 'node:path';
    const { env } = process;
    const PEM = ${JSON.stringify(pem)};
    const { SIGNING_KEY: KEY, COSIGN_PASSWORD: PASSWORD } = env;
    const privateKey = createPrivateKey(PEM);
    const DER = privateKey.export({ format: 'der', type: 'pkcs8' });
    const SEC1 = privateKey.export({ format: 'der', type: 'sec1' });
    const JWK = privateKey.export({ format: 'jwk' });
    const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'der', type: 'pkcs8' });
    const base64 = text => Buffer.from(text).toString('base64');
    const append = (name, text) => appendFileSync(env[name], text + '\\n');
    const write = (folder, content) => writeFileSync(join(folder, 'left'), content);
    const callWith = text =>
      spawnSync('sh', ['-c', 'echo now; until [ -e "$SEEN" ]; do :; done; : "$0"', text], {
        stdio: ['ignore', 'inherit', 'ignore'],
      });
    ${statement};
    console.log('the last word');`;
  const folder = await site.lab.folder('action');
  await writeFile(join(folder, 'main.mjs'), main);
  await writeFile(
    join(folder, 'action.yml'),
    'name: leaky\ndescription: It gives something away.\nruns:\n  using: node24\n  main: main.mjs\n',
  );
  return folder;
}
