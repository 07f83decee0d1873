import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab } from '../lab.ts';
import { check } from '../parts/command.ts';
import { buildBoth, listInput, merge, newRelease, type Release } from '../pipeline.ts';
import { syntheticComponents } from '../synthetic-release.ts';
import { toolPath } from '../tools/catalog.ts';
import { differencesOf } from './differences.ts';
import { CASES, type Case, REFUSALS } from './imagetools-cases.ts';
import { mergeJson, Oracles } from './oracles.ts';
import { buildRecords } from './stored-records.ts';

let lab: Lab;
let oracles: Oracles;

beforeAll(async () => {
  lab = await startLab({ buildkit: true, registries: ['plain'], artifacts: true });
  oracles = new Oracles(lab);
});

afterAll(() => lab?.close());

let images = 0;

async function prepare(builds: Case['builds']): Promise<{ image: string; release: Release }> {
  images++;
  const image = `${lab.registry('plain').host}/acme/app-${images}`;
  if (builds !== 'buildkit') {
    return {
      image,
      release: await syntheticComponents(lab, [{ component: 'app', images: [image], builds }]),
    };
  }
  const release = newRelease(lab, [image]);
  await buildBoth(release);
  return { image, release };
}

/** The digests that the builds pushed, by platform. */
function pushed(release: Release): Map<string, string> {
  return new Map(buildRecords(release).map(({ platform, digest }) => [platform, digest]));
}

function mergeInto(release: Release, { annotations = [], inputs = {} }: Partial<Case>) {
  const given = { sign: 'none', tags: '1.2.3', annotations: listInput(annotations), ...inputs };
  return merge(release, { with: given });
}

function create(
  image: string,
  digests: readonly string[],
  { annotations = [], options = [] }: Partial<Case>,
) {
  const args = [...options, ...annotations.flatMap(text => ['--annotation', text])];
  return oracles.createIndex(image, 'peer', digests, args);
}

test.each(Object.entries(CASES))('%s', async (_, { differences, inOurOrder, ...given }) => {
  const { image, release } = await prepare(given.builds);
  const merged = await mergeInto(release, given);
  expect(merged.exitCode, merged.log).toBe(0);
  const { platforms } = mergeJson(merged.outputs);
  const order = platforms.map(({ platform }) => pushed(release).get(platform) as string);
  const created = await create(image, inOurOrder ? order : order.toReversed(), given);
  expect(created.status, created.stderr).toBe(0);

  const [ours, theirs] = await Promise.all([
    oracles.manifest(`${image}:1.2.3`),
    oracles.manifest(`${image}:peer`),
  ]);
  expect(differencesOf(ours, theirs).sort()).toEqual(Object.values(differences).flat().sort());
  if (Object.keys(differences).length === 0) expect(theirs).toBe(ours);
});

test.each(Object.entries(REFUSALS))('only one of them goes on: %s', async (_, refusal) => {
  const { image, release } = await prepare(refusal.builds);
  const merged = await mergeInto(release, refusal);
  // By platform, the last one first: never in the order of our index.
  const created = await create(
    image,
    [...pushed(release)].toSorted(([a], [b]) => b.localeCompare(a)).map(([, digest]) => digest),
    refusal,
  );
  const isOurs = refusal.code !== undefined;
  expect({ ours: merged.exitCode, imagetools: created.status }, merged.log + created.stderr).toEqual({
    ours: isOurs ? 1 : 0,
    imagetools: isOurs ? 0 : 1,
  });
  if (isOurs) expect(merged.annotations.map(({ title }) => title).join()).toContain(refusal.code);
  const made = JSON.parse(await oracles.manifest(`${image}:${isOurs ? 'peer' : '1.2.3'}`)) as object;
  expect(made).toMatchObject(refusal.made);
  if (refusal.lacks !== undefined) expect(made).not.toHaveProperty(refusal.lacks);
});

test('docs/imagetools.md has a section for each difference, which names its fields, and no others', async () => {
  const text = await readFile(new URL('../../docs/imagetools.md', import.meta.url), 'utf8');
  const sections = new Map(
    text
      .split(/^### /m)
      .slice(1)
      .map(section => [/^`([\w-]+)`/.exec(section)?.[1], section] as const),
  );
  const found = Object.values(CASES).flatMap(({ differences }) => Object.entries(differences));
  const ids = new Set([...found.map(([id]) => id), ...Object.keys(REFUSALS)]);
  expect(new Set(sections.keys())).toEqual(ids);
  for (const [id, differences] of found) {
    for (const field of differences.filter(each => each.startsWith('ours: ')).map(lastField)) {
      expect(sections.get(id)).toContain(`\`${field}\``);
    }
  }
  for (const [id, { code = '' }] of Object.entries(REFUSALS)) expect(sections.get(id)).toContain(code);
  expect(text).toContain((await check(toolPath('buildx'), ['version'])).split(' ')[1]);
});

function lastField(difference: string): string {
  return difference.split(' > ').at(-1) as string;
}
