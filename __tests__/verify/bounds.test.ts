import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Gate } from '../../src/parallel.ts';
import { type Made, made, pushImage, storeManifest, TYPES } from '../servers/images.ts';
import { attach, digestOf, problemsOf, startRelease } from './released.ts';

describe('10,000 foreign referrers', () => {
  it('cost nothing but their listing', async () => {
    const release = await startRelease({ layers: () => [], pageSize: 1000 });
    const amd64 = digestOf(release.images.amd64);
    release.sign(amd64);
    for (let count = 0; count < 10_000; count++) {
      const { contents } = release;
      attach(contents, amd64, 'sbom', {
        artifactType: 'application/spdx+json',
        annotations: { count: String(count) },
      });
    }
    const asked = release.registry.log.length;
    expect(await release.verify({}, `@${amd64}`)).toMatchObject({ verdict: 'verified' });
    // The manifest and its config, one list of eleven pages, no tag of the older format, and one bundle of two parts.
    expect(release.registry.log.length - asked).toBe(2 + 11 + 1 + 2);
  });
});

describe('an image of many manifests', () => {
  it('is looked at by eight of them at a time', async () => {
    const release = await startRelease({
      layers: () => [],
      entries: (_, contents) =>
        Array.from({ length: 20 }, (__, count) => ({
          ...pushImage(contents, { content: String(count), attested: false }).manifest.descriptor,
          platform: { os: 'linux', architecture: `arch${count}` },
        })),
    });
    let [current, most] = [0, 0];
    release.registry.on({
      path: /manifests\/sha256:/,
      answer: async () => {
        most = Math.max(most, ++current);
        // Long enough for all that are on their way to come.
        for (let turn = 0; turn < 50; turn++) await setImmediate();
        current--;
      },
    });
    await release.verify();
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(8);
  });

  it('that would never end is refused', async () => {
    const release = await startRelease();
    let inner: Made = release.index;
    for (let depth = 0; depth < 5; depth++) {
      inner = made(TYPES.index, { schemaVersion: 2, manifests: [inner.descriptor] });
      storeManifest(release.contents, inner);
    }
    const report = await release.verify({}, `@${digestOf(inner)}`);
    expect(problemsOf(report)).toEqual(['broken-manifest: the image']);
    expect(report.problems[0]?.message).toContain('lies in more than 4 indexes');
  });

  it('is not read where it names more than anybody has', async () => {
    const many = (count: number, entry: object) =>
      made(TYPES.index, { schemaVersion: 2, manifests: Array.from({ length: count }, () => entry) });
    const release = await startRelease();
    const wide = many(1001, release.index.descriptor);
    const folded = many(600, release.index.descriptor);
    for (const index of [wide, folded]) {
      storeManifest(release.contents, index);
      const report = await release.verify({}, `@${digestOf(index)}`);
      expect(report.problems[0]?.message).toContain('names more than 1000 manifests');
    }
  });
});

describe('a gate', () => {
  it('lets so many in at a time, in their order, also where some fail', async () => {
    const gate = new Gate(2);
    const begun: number[] = [];
    let [current, most] = [0, 0];
    const works = Array.from({ length: 10 }, (_, position) =>
      gate.run(async () => {
        begun.push(position);
        most = Math.max(most, ++current);
        await setImmediate();
        current--;
        if (position % 3 === 0) throw new Error(String(position));
        return position;
      }),
    );
    const results = await Promise.allSettled(works);
    expect(most).toBe(2);
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(4);
  });
});
