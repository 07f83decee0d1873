import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareMerges } from '../../bench/measure.ts';
import { type Lab, startLab } from '../lab.ts';
import { buildBoth, newRelease, type Release } from '../pipeline.ts';
import { syntheticRelease } from '../synthetic-release.ts';

let lab: Lab;

beforeAll(async () => {
  lab = await startLab({ buildkit: true, registries: ['plain'], artifacts: true });
});

afterAll(() => lab?.close());

async function realBuilds(images: readonly string[]): Promise<Release> {
  const release = newRelease(lab, images);
  await buildBoth(release);
  return release;
}

test('an unsigned merge of 2 attested platforms takes at most a third of the requests of imagetools, which takes 31 or more', async () => {
  const { ours, peer } = await compareMerges(lab, realBuilds);
  console.log(
    `requests of a merge of 2 attested platforms: ${ours.requests}; imagetools create: ${peer.requests}`,
  );
  expect(ours.requests).toBeLessThanOrEqual(peer.requests / 3);
  expect(peer.requests).toBeGreaterThanOrEqual(31);
});

test.each([8, 32])(
  'of %i attested platforms it takes at most a third of the requests of imagetools',
  async count => {
    const { ours, peer } = await compareMerges(lab, images => syntheticRelease(lab, images, count));
    expect(ours.requests).toBeLessThanOrEqual(peer.requests / 3);
  },
);
