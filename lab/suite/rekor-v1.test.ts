import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Lab, startLab } from '../lab.ts';
import { check } from '../parts/command.ts';
import { publishEarlier } from '../synthetic-release.ts';
import { nodeBinary } from '../tools/catalog.ts';
import {
  COSIGNS,
  type CosignVersion,
  type Expectation,
  type KeyPair,
  keyPair,
  signBundle,
  signLegacy,
  verify,
} from './cosigns.ts';
import { IDENTITY } from './oracles.ts';

let lab: Lab;
let key: KeyPair;
/** Signing configs that name the one log only; `none` has no log at all. */
let configs: Record<'v1' | 'v1WithoutTimestamp' | 'v2' | 'none', string>;

const OTHER = 'acme/other/.github/workflows/release.yml@refs/heads/main';

beforeAll(async () => {
  lab = await startLab({ registries: ['plain', 'olareg'], sigstore: { logs: [1, 2] } });
  const { sigstore } = lab;
  const [v1, v1WithoutTimestamp, v2, none] = await Promise.all([
    sigstore.signingConfigFor('v1', {}, { logs: [1] }),
    sigstore.signingConfigFor('v1-without-timestamp', {}, { logs: [1], timestamps: false }),
    sigstore.signingConfigFor('v2', {}, { logs: [2] }),
    sigstore.signingConfigFor('none', {}, { logs: [], timestamps: false }),
  ]);
  configs = { v1, v1WithoutTimestamp, v2, none };
  key = await keyPair(lab);
});

afterAll(() => lab?.close());

let images = 0;

/** An image of its own in one of the registries, by digest. */
async function newImage(kind: 'plain' | 'olareg' = 'plain'): Promise<string> {
  images++;
  const image = `${lab.registry(kind).host}/acme/image-${images}`;
  return `${image}@${await publishEarlier(lab, image, 'latest')}`;
}

type Verdicts = Readonly<Record<CosignVersion, boolean>>;

const ALL: Verdicts = { '3.1': true, '2.6': true, '2.5': true };
const NOBODY: Verdicts = { '3.1': false, '2.6': false, '2.5': false };
const READERS_OF_BUNDLES: Verdicts = { ...ALL, '2.5': false };

/** What each cosign thinks, with its words where that is not what was expected. */
async function expectVerdicts(reference: string, verdicts: Verdicts, expected: Expectation): Promise<void> {
  for (const cosign of COSIGNS) {
    const { accepted, said } = await verify(lab, cosign, reference, expected);
    expect(accepted, `cosign ${cosign}: ${said}`).toBe(verdicts[cosign]);
    // It has looked, and not failed at something else.
    if (!accepted) expect(said).toMatch(/no signatures found|no matching (signatures|attestations)/);
  }
}

describe.each(['plain', 'olareg'] as const)('in the registry %s', kind => {
  test.each(COSIGNS)('what cosign %s signs legacy, all accept', async cosign => {
    const image = await newImage(kind);
    await signLegacy(lab, cosign, image);
    await expectVerdicts(image, ALL, {});
    await expectVerdicts(image, ALL, { format: 'legacy' });
  });

  test.each([
    ['v1', 1],
    ['v1WithoutTimestamp', 1],
    ['v2', 2],
  ] as const)('a bundle by the signing config %s is accepted by who reads bundles', async (name, log) => {
    const image = await newImage(kind);
    await signBundle(lab, image, configs[name]);
    await expectVerdicts(image, READERS_OF_BUNDLES, { log });
  });
});

test('both together are accepted by all', async () => {
  const image = await newImage();
  await signBundle(lab, image, configs.v1);
  await signLegacy(lab, '2.6', image);
  await expectVerdicts(image, ALL, {});
  await expectVerdicts(image, ALL, { format: 'legacy' });
});

test('where there is a bundle, cosign 2.6 never looks at the legacy signature', async () => {
  const image = await newImage();
  await signBundle(lab, image, configs.v1, { workflow: OTHER });
  await signLegacy(lab, '2.6', image);
  await expectVerdicts(image, { '3.1': true, '2.6': false, '2.5': true }, { format: 'legacy' });
  await expectVerdicts(image, { '3.1': false, '2.6': false, '2.5': true }, {});
});

test('cosign 2.6 takes the time from the log of Rekor v1, or from time stamps where it is told to', async () => {
  const [stamped, logged] = [await newImage(), await newImage()];
  await signBundle(lab, stamped, configs.v2);
  await signBundle(lab, logged, configs.v1WithoutTimestamp);
  expect((await verify(lab, '2.6', stamped, { log: 1 })).said).toContain(
    'threshold not met for verified log entry integrated timestamps: 0 < 1',
  );
  expect((await verify(lab, '2.6', logged, { log: 2 })).said).toContain(
    'threshold not met for verified signed timestamps: 0 < 1',
  );
});

test('a legacy signature with a time stamp instead of a log is accepted by who leaves out the log', async () => {
  const image = await newImage();
  await signLegacy(lab, '2.6', image, { log: false, timestamp: true });
  await expectVerdicts(image, ALL, { log: 'none' });
});

describe('by key', () => {
  test.each([
    ['v1', 1],
    ['v2', 2],
    ['none', 'none'],
  ] as const)('a bundle by the signing config %s', async (name, log) => {
    const image = await newImage();
    await signBundle(lab, image, configs[name], { key: key.privateKey });
    await expectVerdicts(image, READERS_OF_BUNDLES, { key: key.publicKey, log });
  });

  test.each(COSIGNS)('a legacy signature of cosign %s, logged and not', async cosign => {
    const logged = await newImage();
    await signLegacy(lab, cosign, logged, { key: key.privateKey });
    await expectVerdicts(logged, ALL, { key: key.publicKey });
    const unlogged = await newImage();
    await signLegacy(lab, cosign, unlogged, { key: key.privateKey, log: false });
    await expectVerdicts(unlogged, ALL, { key: key.publicKey, log: 'none' });
  });

  test('another key is refused by all', async () => {
    const other = await keyPair(lab);
    const image = await newImage();
    await signLegacy(lab, '2.6', image, { key: key.privateKey });
    await expectVerdicts(image, NOBODY, { key: other.publicKey });
  });
});

test('another identity, another issuer and an unsigned image are refused by all', async () => {
  const image = await newImage();
  await expectVerdicts(image, NOBODY, {});
  await signLegacy(lab, '2.6', image);
  await expectVerdicts(image, NOBODY, { identity: IDENTITY.replace('widget', 'gadget') });
  await expectVerdicts(image, NOBODY, { issuer: 'https://token.actions.githubusercontent.com' });
});

async function logSize(): Promise<number> {
  const response = await fetch(`${lab.sigstore.rekorV1.url}/api/v1/log`);
  return ((await response.json()) as { treeSize: number }).treeSize;
}

test('a signing config that names Rekor v1 alone writes to it, one that names both to Rekor v2', async () => {
  const before = await logSize();
  await signBundle(lab, await newImage(), configs.v1);
  expect(await logSize()).toBe(before + 1);
  await signBundle(lab, await newImage(), lab.sigstore.signingConfig);
  expect(await logSize()).toBe(before + 1);
});

test('the log goes on where it was when all of it was killed and started again', async () => {
  const before = await logSize();
  const { postgres, logServer, logSigner, rekor } = lab.sigstore.rekorV1.programs;
  for (const program of [rekor, logSigner, logServer, postgres]) await program.kill();
  for (const program of [postgres, logServer, logSigner, rekor]) await program.start();
  const image = await newImage();
  await signLegacy(lab, '2.5', image);
  await expectVerdicts(image, ALL, {});
  expect(await logSize()).toBe(before + 1);
});

test('a Sigstore without Rekor v1 says so when it is asked for', async () => {
  const other = await startLab({ sigstore: true });
  try {
    expect(() => other.sigstore.rekorV1).toThrow(/ask for it by sigstore: { logs: \[1\] }/);
    const root = JSON.parse(readFileSync(other.sigstore.trustedRoot, 'utf8')) as { tlogs: unknown[] };
    expect(root.tlogs).toHaveLength(1);
  } finally {
    await other.close();
  }
});

/** A process, and all that it has started: PostgreSQL's children leave its group and lose the lab's mark. */
async function family(head: number): Promise<number[]> {
  const listed = await check('ps', ['-e', '-o', 'pid=,ppid=']);
  const rows = listed.split('\n').map(line => line.trim().split(/\s+/).map(Number) as [number, number]);
  const found = [head];
  for (const parent of found) found.push(...rows.filter(([, ppid]) => ppid === parent).map(([pid]) => pid));
  return found;
}

function isAlive(pid: number): boolean {
  const status = `/proc/${pid}/status`;
  return existsSync(status) && !/^State:\s*Z/m.test(readFileSync(status, 'utf8'));
}

/** Who made the segments of System V shared memory on this machine (proc_sysvipc_shm(5): the fifth column). */
function sharedMemoryCreators(): number[] {
  const [, ...rows] = readFileSync('/proc/sysvipc/shm', 'utf8').trim().split('\n');
  return rows.map(row => Number(row.trim().split(/\s+/)[4]));
}

test('a lab that is killed leaves nothing of PostgreSQL behind: no process, no folder, no shared memory', async () => {
  const script = `
    import { startLab } from ${JSON.stringify(join(import.meta.dirname, '../lab.ts'))};
    const lab = await startLab({ sigstore: { logs: [1] } });
    const { pid } = lab.sigstore.rekorV1.programs.postgres;
    console.log(JSON.stringify({ directory: lab.directory, pid }));
    setInterval(() => {}, 1000);`;
  const child = spawn(nodeBinary('newest'), ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let directory: string;
  let processes: number[];
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const told = JSON.parse(line.toString()) as { directory: string; pid: number };
    directory = told.directory;
    processes = await family(told.pid);
    expect(processes.length).toBeGreaterThan(3);
    expect(sharedMemoryCreators().filter(creator => processes.includes(creator))).toHaveLength(1);
    // Nor has it anything there that would stay if it were killed itself.
    for (const each of processes)
      expect(readFileSync(`/proc/${each}/maps`, 'utf8')).not.toContain('/dev/shm/');
  } finally {
    child.kill('SIGKILL');
  }
  await vi.waitFor(() => expect(existsSync(directory)).toBe(false), { timeout: 30_000 });
  expect(processes.filter(isAlive)).toEqual([]);
  expect(sharedMemoryCreators().filter(creator => processes.includes(creator))).toEqual([]);
});
