import { describe, expect, it } from 'vitest';
import { made, pushImage, storeManifest, TYPES } from '../servers/images.ts';
import type { Contents } from '../servers/registry.ts';
import { type By, outcomesOf, startNegative, UNSIGNED, WANTED } from './negative.ts';
import { digestOf, type ReleaseOptions } from './released.ts';
import { statements } from './statements.ts';

/* Of an image something is there, and something else is not. */

const ALL = 'the index and all 2 manifests in it';

/** An image that nobody expects, and what an index would say of it. */
function stranger(contents: Contents) {
  const { manifest } = pushImage(contents, { architecture: 'riscv64', content: 'evil', attested: false });
  return { ...manifest.descriptor, platform: { os: 'linux', architecture: 'riscv64' } };
}
const withStranger: ReleaseOptions = { entries: (given, contents) => [...given, stranger(contents)] };

type Release = Awaited<ReturnType<typeof startNegative>>;

describe.each([
  ['by identity, as bundles', 'identity', 'bundle'],
  ['by identity, as cosign 2 did', 'identity', 'legacy'],
  ['by key, as bundles', 'key', 'bundle'],
  ['by key, as cosign 2 did', 'key', 'legacy'],
] as const)('an image that is signed %s', (_, by: By, format) => {
  const signIn = ({ sign }: Release, ...digests: Release['all']): void => {
    for (const digest of digests) sign(digest, format);
  };

  it('in no part has no signatures', async () => {
    const release = await startNegative(by);
    const told = await release.verify();
    expect(told).toMatchObject({ code: 'verification-failed', problems: [`${ALL}: ${UNSIGNED}.`] });
    expect(outcomesOf(told)).toEqual([[], [], []]);
  });

  it('as its index only is not signed in full, unless that is enough', async () => {
    const release = await startNegative(by);
    signIn(release, release.root);
    const told = await release.verify();
    const problems = ['linux/amd64', 'linux/arm64'].map(title => `${title}: ${UNSIGNED}.`);
    expect(told).toMatchObject({ code: 'verification-failed', problems });
    expect(told.hint).toContain('sign what the index names, too ("cosign sign --recursive")');
    expect((await release.verify({ scope: 'index' })).code).toBe('verified');
  });

  it('as its platforms only is not signed', async () => {
    const release = await startNegative(by);
    signIn(release, release.amd64, release.arm64);
    for (const scope of ['all', 'index']) {
      const told = await release.verify({ scope });
      expect(told).toMatchObject({ code: 'verification-failed', problems: [`the index: ${UNSIGNED}.`] });
      expect(told.hint).toContain('do not use it before it was published with a signature');
    }
  });

  it('and of which a platform is gone is broken, though its signature is there', async () => {
    const release = await startNegative(by);
    signIn(release, ...release.all);
    release.contents.manifests.delete(release.arm64);
    expect(await release.verify()).toMatchObject({
      code: 'verification-failed',
      problems: ['linux/arm64: the index names it, but it is not in the registry.'],
    });
  });

  it('and holds a platform that nobody has signed is not signed in full', async () => {
    const release = await startNegative(by, withStranger);
    signIn(release, ...release.all);
    const problems = [`linux/riscv64: ${UNSIGNED}.`];
    expect(await release.verify()).toMatchObject({ code: 'verification-failed', problems });
    const unexpected = 'linux/riscv64: it is in the image, and not expected.';
    const platforms = 'linux/amd64, linux/arm64';
    expect((await release.verify({ platforms })).problems).toEqual([unexpected, ...problems]);
  });

  it('and whose tag points at another index of the same and one more is not signed', async () => {
    const release = await startNegative(by);
    signIn(release, ...release.all);
    const { contents, index } = release;
    const { manifests } = JSON.parse(index.bytes.toString());
    const larger = made(TYPES.index, { schemaVersion: 2, manifests: [...manifests, stranger(contents)] });
    storeManifest(contents, larger);
    contents.tags.set('1.0', digestOf(larger));
    expect(await release.verify()).toMatchObject({
      code: 'verification-failed',
      problems: [`the index: ${UNSIGNED}.`, `linux/riscv64: ${UNSIGNED}.`],
    });
  });
});

describe('an image', () => {
  it('without a platform that is expected is not what was asked for', async () => {
    const release = await startNegative();
    release.signAll();
    expect(await release.verify({ platforms: 'linux/amd64, linux/arm64, linux/s390x' })).toMatchObject({
      code: 'verification-failed',
      problems: ['linux/s390x: it is expected, and not in the image.'],
    });
  });

  it('of which the registry shows other bytes is broken', async () => {
    const release = await startNegative();
    release.signAll();
    const { contents, amd64, arm64 } = release;
    const other = contents.manifests.get(amd64);
    if (other !== undefined) contents.manifests.set(arm64, other);
    const { code, problems } = await release.verify();
    expect(code).toBe('verification-failed');
    const where = `${release.registry.host}/acme/app`;
    expect(problems).toEqual([
      `linux/arm64: ${where} answered for ${arm64} with bytes whose digest is ${amd64}.`,
    ]);
  });

  it('with an attestation manifest that nobody has signed is not signed in full', async () => {
    const release = await startNegative('identity', { layers: statements });
    for (const digest of release.all.filter(each => each !== digestOf(release.attestations[1])))
      release.sign(digest);
    expect(await release.verify()).toMatchObject({
      code: 'verification-failed',
      problems: [`the attestation manifest of linux/arm64: ${UNSIGNED}.`],
    });
  });
});

describe('attestations without a signature', () => {
  const ONLY_ATTESTED =
    'it has no signature, only attestations. "cosign verify" does not tell them apart, but an attestation says something of the image, and not that it was released';
  const about = (digest: string, predicateType: string, predicate = {}) => ({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ digest: { sha256: digest.replace('sha256:', '') } }],
    predicateType,
    predicate,
  });

  it.each(['https://slsa.dev/provenance/v1', 'https://spdx.dev/Document', 'https://example.com/scan/v1'])(
    'of the type %s, signed by the right one, are no signature',
    async predicateType => {
      const release = await startNegative();
      const predicate = {
        spdxVersion: 'SPDX-2.3',
        buildDefinition: { buildType: 'x', externalParameters: {} },
      };
      for (const digest of release.all) release.attest(digest, about(digest, predicateType, predicate));
      expect(await release.verify()).toMatchObject({
        code: 'verification-failed',
        problems: [`${ALL}: ${ONLY_ATTESTED}.`],
      });
    },
  );

  it('of BuildKit’s, in an image that nobody has signed, do not count', async () => {
    const release = await startNegative('identity', { layers: statements });
    const told = await release.verify({ require: 'signatures, provenance, sbom' });
    const unsigned = 'it is a part of the image, and nobody whose signature counts has signed it';
    expect(told.problems).toContain(`linux/arm64: its provenance does not count: ${unsigned}.`);
    expect(told.problems).toContain(`linux/arm64: its SBOM does not count: ${unsigned}.`);
  });

  it('that somebody else has signed do not count', async () => {
    const release = await startNegative();
    release.signAll();
    const name = 'https://github.com/evil/app/.github/workflows/x.yml@refs/heads/main';
    const provenance = { buildDefinition: { buildType: 'x', externalParameters: {} } };
    for (const digest of [release.amd64, release.arm64]) {
      const statement = about(digest, 'https://slsa.dev/provenance/v1', provenance);
      release.attest(digest, statement, { certified: { name } });
    }
    expect(await release.verify({ require: 'signatures, provenance' })).toMatchObject({
      code: 'verification-failed',
      problems: ['linux/amd64', 'linux/arm64'].map(
        title => `${title}: its provenance does not count: its identity is ${name}, and ${WANTED} is wanted.`,
      ),
    });
  });
});
