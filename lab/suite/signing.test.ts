import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../parts/command.ts';
import { merge } from '../pipeline.ts';
import type { RunResult } from '../runner.ts';
import { syntheticRelease } from '../synthetic-release.ts';
import { toolPath } from '../tools/catalog.ts';
import { COSIGNS, type Expectation } from './cosigns.ts';
import { mergeJson, Oracles } from './oracles.ts';
import { refused, succeeded } from './refusing.ts';
import {
  behindProxies,
  expectationOf,
  type Format,
  type Hand,
  type Manner,
  openSigningSite,
  type Published,
  publishedAs,
  READERS,
  REGISTRIES,
  type SigningSite,
  signingChanges,
  tally,
  tallyLine,
  writesOf,
} from './signing-site.ts';

// What Manifold signs, every cosign accepts that reads the format: each manifest by its digest, and the index by its tag.

let site: SigningSite;

beforeAll(async () => {
  site = await openSigningSite();
});

afterAll(() => site?.close());

const HANDS: readonly Hand[] = ['keyless', 'key'];
const FORMATS: readonly Format[] = ['bundle', 'legacy', 'both'];

const MANNERS: readonly Manner[] = ([1, 2] as const).flatMap(log =>
  FORMATS.flatMap(format => HANDS.map(hand => ({ log, format, hand }))),
);
/** What a legacy signature holds of a log is a promise, and Rekor v2 makes none. */
const isPossible = ({ log, format }: Manner): boolean => log !== 2 || format === 'bundle';

let names = 0;

/** A merge, and the image that it has published in every registry. */
interface Publication {
  readonly merged: RunResult;
  readonly images: readonly Published[];
}

/** Signs an image of so many attested platforms in one manner. */
async function publish(manner: Manner, platforms: number): Promise<Publication> {
  names++;
  const name = `image-${names}`;
  const repositories = REGISTRIES.map(kind => `${site.lab.registry(kind).host}/acme/${name}`);
  const release = await syntheticRelease(site.lab, repositories, platforms);
  const before = site.lab.issuer.given.length;
  const merged = await succeeded(merge(release, signingChanges(site, manner)));
  expect(site.lab.issuer.given.length - before).toBe(manner.hand === 'keyless' ? 1 : 0);
  return { merged, images: publishedAs(site, name, merged) };
}

/** Every cosign that reads the format accepts all, and the others nothing. */
async function expectAccepted(manner: Manner, image: Published, expected: Expectation): Promise<string> {
  const tallies = await Promise.all(COSIGNS.map(cosign => tally(site, cosign, image, expected)));
  for (const { cosign, accepted, tag, said } of tallies) {
    const isReader = READERS[manner.format].includes(cosign);
    const wanted = { accepted: isReader ? image.digests.length : 0, tag: isReader };
    expect({ accepted, tag }, `cosign ${cosign}: ${said}`).toEqual(wanted);
    // It has looked, and not failed at something else.
    if (!isReader) expect(said).toContain('no signatures found');
  }
  return tallyLine(image, tallies);
}

/** Merges in one manner, and shows how many manifests each cosign accepts in each registry. */
async function tryOut(manner: Manner, platforms: number): Promise<Publication> {
  const publication = await publish(manner, platforms);
  const lines = await Promise.all(
    publication.images.map(image => expectAccepted(manner, image, expectationOf(site, manner))),
  );
  const { log, hand, format } = manner;
  const logName = log === 'none' ? 'no log' : `Rekor v${log}`;
  for (const line of lines) console.log(`${hand}, ${format}, ${logName}, ${platforms} platforms, ${line}`);
  return publication;
}

describe('two attested platforms, five manifests', () => {
  test.each(MANNERS.filter(isPossible))('$hand, $format, Rekor v$log', async manner => {
    const { merged } = await tryOut(manner, 2);
    await expectPrintedCommands(merged);
  });

  test.each(['bundle', 'legacy'] as const)('key, %s, and no Sigstore: nothing is logged', async format => {
    const before = await logSize();
    const manner: Manner = { log: 'none', format, hand: 'key' };
    const { images } = await tryOut(manner, 2);
    expect(await logSize()).toBe(before);
    if (format === 'legacy') return; // for which it would look into the public log
    // A cosign that is not told to do without a log accepts nothing of it.
    const demanding = await tally(
      site,
      '3.1',
      images[0] as Published,
      expectationOf(site, { log: 1, hand: 'key' }),
    );
    expect(demanding).toMatchObject({ accepted: 0, of: 5, tag: false });
    expect(demanding.said).toContain('not enough verified log entries from transparency log: 0 < 1');
  });
});

test.each([
  { log: 1, format: 'bundle', hand: 'keyless' },
  { log: 1, format: 'both', hand: 'keyless' },
  { log: 2, format: 'bundle', hand: 'keyless' },
] as const)('eight attested platforms, seventeen manifests: $hand, $format, Rekor v$log', async manner => {
  const { merged } = await tryOut(manner, 8);
  const formats = manner.format === 'both' ? 2 : 1;
  const attached = 17 * formats * REGISTRIES.length;
  expect(mergeJson(merged.outputs).signed).toMatchObject({ manifests: 17, attached });
});

describe('a legacy signature with nothing but a Rekor v2 is refused before anything is pushed', () => {
  test.each(MANNERS.filter(manner => !isPossible(manner)))('$hand, $format', async manner => {
    const release = await behindProxies(site, 'refused');
    const error = await refused(merge(release, signingChanges(site, manner)));
    expect(error).toContain('signing-config');
    expect(error).toContain('No verifier could check a legacy signature');
    expect(error).toContain('signature-format: bundle');
    for (const proxy of site.proxies) expect(writesOf(proxy)).toEqual([]);
    const oracles = new Oracles(site.lab);
    for (const image of release.images) expect(await oracles.tags(image)).toEqual([]);
  });
});

async function logSize(): Promise<number> {
  const response = await fetch(`${site.lab.sigstore.rekorV1.url}/api/v1/log`);
  return ((await response.json()) as { treeSize: number }).treeSize;
}

/** The commands that a merge prints for consumers are run as they stand, by the cosigns that they are for. */
async function expectPrintedCommands({ log }: RunResult): Promise<void> {
  const printed = [...log.matchAll(/^Check \S+ by cosign (2\.6|3)( or newer)?\b.*:\n((?:.*\\\n)*.*)$/gm)];
  expect(printed).not.toEqual([]);
  for (const [, version, orNewer, command = ''] of printed) {
    const tools = version === '3' ? ['cosign'] : ['cosign-2.6', ...(orNewer ? ['cosign'] : [])];
    for (const tool of tools) await expectSuccess(tool, command);
  }
}

/** @param tool that the command calls by the name of cosign */
async function expectSuccess(tool: string, command: string): Promise<void> {
  const folder = await site.lab.folder('consumer');
  await symlink(toolPath(tool), join(folder, 'cosign'));
  await symlink(site.key.publicKey, join(folder, 'cosign.pub'));
  const env = { ...site.lab.environment(), PATH: folder };
  const { status, stderr } = await run('/bin/sh', ['-c', command], { env, cwd: folder });
  expect(status, `${tool}: ${command}\n${stderr}`).toBe(0);
}
