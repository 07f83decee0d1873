import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Lab, startLab } from '../lab.ts';
import { run } from '../parts/command.ts';
import { merge } from '../pipeline.ts';
import { syntheticRelease } from '../synthetic-release.ts';
import { toolPath } from '../tools/catalog.ts';
import { type KeyPair, keyPair } from './cosigns.ts';

let lab: Lab;
let key: KeyPair;
/** Folders in which the command `cosign` is one of these releases. */
const paths = new Map<string, string>();
let releases = 0;

beforeAll(async () => {
  lab = await startLab({ registries: ['olareg'], artifacts: true, sigstore: { logs: [1, 2] } });
  key = await keyPair(lab);
  for (const [release, binary] of [
    ['3', 'cosign'],
    ['2.6', 'cosign-2.6'],
  ] as const) {
    const folder = await lab.folder(`cosign-${release}`);
    await mkdir(folder, { recursive: true });
    await symlink(toolPath(binary), join(folder, 'cosign'));
    paths.set(release, folder);
  }
});
afterAll(() => lab?.close());

/** Each command that a merge prints, with the releases of cosign that it is said to be for. */
function commandsIn(log: string): { releases: string[]; command: string }[] {
  const printed = log.matchAll(/Check app by (cosign [^:\n]*):\n((?:.*\\\n)+.*)/g);
  return [...printed].map(([, title = '', command = '']) => ({
    releases: title.startsWith('cosign 2.6 or newer') ? ['3', '2.6'] : [title.includes('2.6') ? '2.6' : '3'],
    command,
  }));
}

it.each([
  { logs: [1], with: { sign: 'keyless' }, count: 1 },
  { logs: [2], with: { sign: 'keyless' }, count: 2 },
  { logs: [1], with: { sign: 'keyless', 'signature-format': 'legacy' }, count: 1 },
  { logs: [1, 2], with: { sign: 'keyless', 'signature-format': 'both' }, count: 2 },
  { logs: [2], with: { sign: 'key' }, count: 1 },
  { logs: [1], with: { sign: 'keyless, key' }, count: 2 },
] as const)('what a merge with $with prints, logged in Rekor v$logs, verifies its image', async scene => {
  const name = `check-${++releases}`;
  const release = await syntheticRelease(lab, [`${lab.registry('olareg').host}/acme/${name}`], 2);
  const config = await lab.sigstore.signingConfigFor(name, {}, { logs: scene.logs });
  const keyed = scene.with.sign.includes('key,') || / key|^key$/.test(scene.with.sign);
  const { exitCode, log } = await merge(release, {
    with: { ...scene.with, 'signing-config': config, ...(keyed ? { key: key.privateKey } : {}) },
    env: { COSIGN_PASSWORD: key.password },
  });
  expect(exitCode, log).toBe(0);
  const commands = commandsIn(log);
  expect(commands).toHaveLength(scene.count);
  for (const { releases: said, command } of commands) {
    for (const version of said) {
      const PATH = `${paths.get(version)}:${process.env.PATH}`;
      const env = { ...lab.environment(), PATH };
      // Who verifies has the public key at hand under this name.
      const here = command.replace('--key cosign.pub', `--key ${key.publicKey}`);
      const { status, stderr } = await run('/bin/sh', ['-c', here], { env });
      expect(status, `cosign ${version}: ${here}\n${stderr}`).toBe(0);
      // It is exact: another identity, or another key, is not accepted.
      const other = here.replace(/(--certificate-identity \S+)/, '$1x').replace(key.publicKey, '/dev/null');
      expect((await run('/bin/sh', ['-c', other], { env })).status).not.toBe(0);
    }
  }
});
