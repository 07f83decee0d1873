import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { isSigned } from '../../src/verify/report.ts';
import { made, pushImage, storeManifest, TYPES } from '../servers/images.ts';
import { NAME } from '../servers/signatures.ts';
import { digestOf, problemsOf, startRelease } from './released.ts';

describe('an image', () => {
  it('that is signed in full is verified, by the digest that its tag pointed at', async () => {
    const release = await startRelease();
    release.signAll();
    const report = await release.verify();
    expect(problemsOf(report)).toEqual([]);
    expect(report).toMatchObject({ verdict: 'verified', digest: release.index.descriptor.digest });
    expect(report.manifests.map(({ role }) => role)).toEqual([
      'index',
      'image',
      'attestation',
      'image',
      'attestation',
    ]);
    expect(report.manifests.every(isSigned)).toBe(true);
    expect(report.manifests[0]?.signatures).toMatchObject([
      {
        outcome: 'accepted',
        format: 'bundle',
        signatory: { identity: { name: NAME } },
        annotations: { by: 'hand' },
      },
    ]);
  });

  it('is asked for by its tag once, and by digest from then on', async () => {
    const release = await startRelease();
    release.signAll();
    // As soon as it was asked for, the tag moves to an image that nobody has signed.
    release.registry.on({
      path: /manifests\/1\.0/,
      times: 1,
      answer: (_, response) => {
        response.once('finish', () => release.contents.tags.set('1.0', digestOf(release.images.amd64)));
      },
    });
    expect(await release.verify()).toMatchObject({ verdict: 'verified', digest: digestOf(release.index) });
    expect(release.registry.count('GET', /manifests\/1\.0/)).toBe(1);
  });

  it('by digest is that image, wherever its tag points', async () => {
    const release = await startRelease();
    release.signAll();
    const report = await release.verify({}, `:1.0@${digestOf(release.images.amd64)}`);
    expect(report).toMatchObject({ verdict: 'verified', digest: digestOf(release.images.amd64) });
    expect(report.manifests).toMatchObject([{ role: 'image', platform: { architecture: 'amd64' } }]);
  });

  it('that is not there is missing, and a registry that does not answer tells nothing', async () => {
    const release = await startRelease();
    expect(problemsOf(await release.verify({}, ':2.0'))).toEqual(['missing-image: the image']);
    release.registry.on({ answer: (_, response) => sendJson(response, 403, {}) });
    expect(await release.verify()).toMatchObject({ verdict: 'unknown', digest: undefined });
  });

  it('may be a Docker list, or have no attestations', async () => {
    const list = 'application/vnd.docker.distribution.manifest.list.v2+json';
    const release = await startRelease({ mediaType: list, layers: () => [] });
    expect(problemsOf(await release.verify())).toEqual([
      'unsigned: the index',
      'unsigned: linux/amd64',
      'unsigned: linux/arm64',
    ]);
    release.signAll();
    expect(await release.verify()).toMatchObject({ verdict: 'verified' });
  });

  it('that is none is refused with words', async () => {
    const release = await startRelease();
    const text = made('text/plain', 'hello');
    storeManifest(release.contents, text);
    release.contents.tags.set('2.0', digestOf(text));
    const report = await release.verify({}, ':2.0');
    expect(report.verdict).toBe('failed');
    expect(report.problems[0]?.message).toContain('neither an image nor an index: text/plain');
  });
});

describe('partly signed', () => {
  it('the index alone is not enough, unless it is asked for alone', async () => {
    const release = await startRelease();
    release.sign(digestOf(release.index));
    const report = await release.verify();
    expect(problemsOf(report)).toEqual([
      'unsigned: linux/amd64',
      'unsigned: the attestation manifest of linux/amd64',
      'unsigned: linux/arm64',
      'unsigned: the attestation manifest of linux/arm64',
    ]);
    expect(report.problems[0]?.remedy).toContain('"scope: index"');
    const alone = await release.verify({ scope: 'index' });
    expect(alone.verdict).toBe('verified');
    expect(alone.manifests.map(({ signatures }) => signatures === 'unasked')).toEqual([
      false,
      true,
      true,
      true,
      true,
    ]);
  });

  it('the children alone are not enough, whatever the scope', async () => {
    const release = await startRelease();
    for (const digest of release.all.slice(0, -1)) release.sign(digest);
    for (const scope of ['all', 'index'] as const)
      expect(problemsOf(await release.verify({ scope }))).toEqual(['unsigned: the index']);
  });

  it.each([0, 1, 2, 3, 4])('manifest %i without its signature is missed', async left => {
    const release = await startRelease();
    for (const digest of release.all.filter((_, position) => position !== left)) release.sign(digest);
    const report = await release.verify();
    expect(report.problems).toMatchObject([
      { kind: 'unsigned', digest: release.all[left], message: 'it has no signature' },
    ]);
  });

  it('an extra child that nobody has signed is found, also in an index within the index', async () => {
    const release = await startRelease({
      entries: (entries, contents) => {
        const { manifest } = pushImage(contents, { architecture: 's390x', attested: false });
        const inner = made(TYPES.index, {
          schemaVersion: 2,
          manifests: [{ ...manifest.descriptor, platform: { os: 'linux', architecture: 's390x' } }],
        });
        storeManifest(contents, inner);
        return [...entries, inner.descriptor];
      },
    });
    release.signAll();
    expect(problemsOf(await release.verify())).toEqual([
      'unsigned: an index within the index',
      'unsigned: linux/s390x',
    ]);
  });

  it('a child that is gone is a fault, even where only the index is asked for', async () => {
    const release = await startRelease();
    release.signAll();
    release.contents.manifests.delete(digestOf(release.images.arm64));
    for (const scope of ['all', 'index'] as const) {
      const report = await release.verify({ scope });
      expect(problemsOf(report)).toEqual(['broken-manifest: linux/arm64']);
      expect(report.problems[0]?.message).toContain('not in the registry');
    }
  });

  it('a child of another size than the index says is none', async () => {
    const release = await startRelease({
      layers: () => [],
      entries: entries => entries.map(entry => ({ ...entry, size: entry.size + 1 })),
    });
    release.signAll();
    expect(problemsOf(await release.verify())).toEqual([
      'broken-manifest: linux/amd64',
      'broken-manifest: linux/arm64',
    ]);
  });

  it('a child that is called an attestation but has a platform is an image all the same', async () => {
    const release = await startRelease({
      entries: entries =>
        entries.map(entry => ({
          ...entry,
          annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
        })),
    });
    const report = await release.verify({ platforms: ['linux/amd64'].map(parsePlatform) });
    expect(problemsOf(report)).toContain('unexpected-platform: linux/arm64');
  });
});

describe('the platforms', () => {
  it.each([
    [['linux/amd64', 'linux/arm64'], []],
    [['linux/amd64'], ['unexpected-platform: linux/arm64']],
    [['linux/amd64', 'linux/arm64/v8', 'linux/s390x'], ['missing-platform: linux/s390x']],
  ])('%j', async (platforms, expected) => {
    const release = await startRelease();
    release.signAll();
    expect(problemsOf(await release.verify({ platforms: platforms.map(parsePlatform) }))).toEqual(expected);
  });

  it('twice is once too often', async () => {
    const release = await startRelease({
      layers: () => [],
      entries: (entries, contents) => {
        const { manifest } = pushImage(contents, { content: 'other', attested: false });
        return [...entries, { ...manifest.descriptor, platform: { os: 'linux', architecture: 'amd64' } }];
      },
    });
    const platforms = ['linux/amd64', 'linux/arm64'].map(parsePlatform);
    expect(problemsOf(await release.verify({ platforms, requirements: [] }))).toEqual([
      'doubled-platform: linux/amd64',
    ]);
  });

  it('of Windows stands there for each version of the system', async () => {
    const release = await startRelease({
      layers: () => [],
      entries: (_, contents) =>
        ['a', 'b'].map(content => ({
          ...pushImage(contents, { os: 'windows', content, attested: false }).manifest.descriptor,
          platform: { os: 'windows', architecture: 'amd64', 'os.version': content },
        })),
    });
    const platforms = [parsePlatform('windows/amd64')];
    expect(problemsOf(await release.verify({ platforms, requirements: [] }))).toEqual([]);
  });

  it('of a plain image is what its config says', async () => {
    const release = await startRelease();
    const name = `@${digestOf(release.images.arm64)}`;
    const report = await release.verify(
      { platforms: [parsePlatform('linux/arm64')], requirements: [] },
      name,
    );
    expect(report.verdict).toBe('verified');
  });
});
