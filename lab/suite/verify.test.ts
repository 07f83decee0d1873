import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LogVersion } from '../parts/sigstore.ts';
import { buildBoth, merge, newRelease, type Release, verify } from '../pipeline.ts';
import * as cosigns from './cosigns.ts';
import { IDENTITY } from './oracles.ts';
import { succeeded } from './refusing.ts';
import { openSigningSite, REGISTRIES, type SigningSite } from './signing-site.ts';
import { notVerified, verified } from './verifying.ts';
import { ALL, attest, built, CHILDREN, INDEX, type Kind, PLATFORMS, unsigned } from './verifying-site.ts';

// `mode: verify` accepts what others signed as well as what we did, and tells an image apart that is signed in part.

let site: SigningSite;

beforeAll(async () => {
  site = await openSigningSite({ buildkit: true });
});

afterAll(() => site?.close());

/** How another program signs; both take `--recursive`. */
type Sign = (reference: string, how?: { flags?: readonly string[]; workflow?: string }) => Promise<void>;

interface Signer {
  readonly program: string;
  readonly format: 'legacy' | 'bundle';
  readonly kind: Kind;
  readonly sign: Sign;
}

const signLegacy: Sign = (reference, how) => cosigns.signLegacy(site.lab, '2.6', reference, how);
const signBundle =
  (log: LogVersion): Sign =>
  (reference, how) =>
    cosigns.signBundle(site.lab, reference, site.configs[log], how);

const SIGNERS: readonly Signer[] = [
  { program: 'cosign 2.6.5', format: 'legacy', kind: 'plain', sign: signLegacy },
  { program: 'cosign 3.1.3', format: 'bundle', kind: 'plain', sign: signBundle(2) },
  { program: 'cosign 3.1.3', format: 'bundle', kind: 'olareg', sign: signBundle(1) },
];

const INDEX_ALONE = [INDEX];
const OTHER = 'acme/other/.github/workflows/release.yml@refs/heads/main';

describe.each(SIGNERS)('what $program signed as $format in the registry $kind', ({ format, kind, sign }) => {
  test('recursively is verified', async () => {
    const { release, image, references } = await unsigned(site, kind);
    await sign(`${image}:1.2.3`, { flags: ['--recursive'] });
    const result = await verify(release);
    const [found] = verified(result);
    expect(`${image}@${result.outputs.digest}`).toBe(references[INDEX]);
    expect(found?.manifests).toHaveLength(5);
    for (const { signed, signatures } of found?.manifests ?? []) {
      const [signature, ...others] = signatures.map(each => ({
        format: each.format,
        outcome: each.outcome,
        by: each.by,
      }));
      expect({ signed, signature, others }).toEqual({
        signed: true,
        signature: { format, outcome: 'accepted', by: expect.objectContaining({ identity: IDENTITY }) },
        others: [],
      });
    }
    // Somebody else who wants his own workflow's signature does not accept it.
    const theirs = { 'certificate-identity': IDENTITY.replace('release.yml', 'other.yml') };
    const { image: refusedImage } = notVerified(await verify(release, { with: theirs }));
    expect(refusedImage.problems.map(({ about }) => about)).toEqual(ALL);
  });

  const partly: readonly (readonly [string, readonly string[]])[] = [
    ['only its index', INDEX_ALONE],
    ['only what the index names', CHILDREN],
    ['all but an attestation manifest', ALL.slice(0, -1)],
    ['nothing', []],
  ];

  test.each(partly)('and of which it signed %s is not, and what lacks is named', async (_, signed) => {
    const { release, image, references } = await unsigned(site, kind);
    await Promise.all(signed.map(title => sign(references[title] as string)));
    const { image: found, error } = notVerified(await verify(release));
    const lacking = ALL.filter(title => !signed.includes(title));
    expect(found.problems.map(each => [each.kind, each.about])).toEqual(
      lacking.map(title => ['unsigned', title]),
    );
    const isSigned = (title: string): boolean | null | undefined =>
      found.manifests.find(({ digest }) => references[title] === `${image}@${digest}`)?.signed;
    for (const title of ALL) expect([title, isSigned(title)]).toEqual([title, signed.includes(title)]);
    // What all have in common is told once.
    const isShared = lacking.length === ALL.length;
    const named = isShared ? [`the index and all ${ALL.length - 1} manifests in it`] : lacking;
    for (const title of named) expect(error).toContain(`${image}:1.2.3: ${title}: it has no signature.`);
    if (signed === INDEX_ALONE) verified(await verify(release, { with: { scope: 'index' } }));
  });

  test('and of which somebody else signed one platform is not, and both are named', async () => {
    const { release, references } = await unsigned(site, kind);
    const theirs = 'linux/arm64';
    const signing = ALL.map(title =>
      sign(references[title] as string, title === theirs ? { workflow: OTHER } : {}),
    );
    await Promise.all(signing);
    const { image, error } = notVerified(await verify(release));
    expect(image.problems.map(each => [each.kind, each.about])).toEqual([['unsigned', theirs]]);
    const [signature] = image.manifests.find(({ platform }) => platform === theirs)?.signatures ?? [];
    expect(signature).toMatchObject({
      outcome: 'wrong-identity',
      by: { identity: `https://github.com/${OTHER}` },
    });
    expect(error).toContain(`${theirs}: its signature does not count`);
    expect(error).toContain(`https://github.com/${OTHER}`);
  });
});

describe.each(['bundle', 'legacy', 'both'] as const)('what Manifold signed as %s', format => {
  const formats = format === 'both' ? ['bundle', 'legacy'] : [format];
  let release: Release;

  beforeAll(async () => {
    release = await built(site, REGISTRIES);
    const signing = { sign: 'keyless, key', key: site.key.privateKey, 'signature-format': format };
    const env = { COSIGN_PASSWORD: site.key.password };
    await succeeded(merge(release, { with: { ...signing, 'signing-config': site.configs[1] }, env }));
  });

  test.each([
    ['the identity', () => ({})],
    ['the key', () => ({ key: site.key.publicKey })],
    ['the key alone, without a trusted root', () => ({ key: site.key.publicKey, 'trusted-root': '' })],
  ])('is verified by %s, in both registries', async (_, policy) => {
    const images = verified(await verify(release, { with: policy() }));
    expect(images).toHaveLength(REGISTRIES.length);
    for (const { manifests } of images) {
      expect(manifests).toHaveLength(5);
      for (const { signatures } of manifests) {
        const accepted = signatures.filter(({ outcome }) => outcome === 'accepted');
        expect(accepted.map(signature => signature.format).sort()).toEqual(formats);
      }
    }
  });

  test('is not by another key', async () => {
    const other = await cosigns.keyPair(site.lab);
    const image = `${release.images[0]}:1.2.3`;
    const { image: found } = notVerified(
      await verify(release, { with: { images: image, key: other.publicKey } }),
    );
    expect(found.problems.map(({ about }) => about)).toEqual(ALL);
    for (const { signatures } of found.manifests)
      expect(signatures.map(({ outcome }) => outcome)).not.toContain('accepted');
  });
});

test('an image of which something is attested is not signed, although cosign takes it for that', async () => {
  const { release, image, references } = await unsigned(site, 'plain');
  for (const title of [INDEX, ...PLATFORMS]) await attest(site, references[title] as string);
  expect(await cosigns.verify(site.lab, '3.1', `${image}:1.2.3`, { log: 2 })).toMatchObject({
    accepted: true,
  });

  const { image: found, error } = notVerified(await verify(release));
  expect(found.problems.map(each => [each.kind, each.about])).toEqual(ALL.map(about => ['unsigned', about]));
  for (const title of [INDEX, ...PLATFORMS]) {
    expect(error).toContain(
      `${title}: it has no signature, only attestations. "cosign verify" does not tell them apart`,
    );
  }
  const index = found.manifests.find(({ role }) => role === 'index');
  expect(index).toMatchObject({ signed: false, signatures: [] });
  expect(index?.attestations).toMatchObject([{ origin: 'referrer', kind: 'provenance', fault: null }]);
});

describe('a release that BuildKit built', () => {
  let release: Release;

  beforeAll(async () => {
    release = newRelease(site.lab, [`${site.lab.registry('olareg').host}/acme/built`]);
    await buildBoth(release);
    await succeeded(merge(release, { with: { 'signing-config': site.configs[2] } }));
  });

  test('is signed and has provenance of each platform', async () => {
    const demands = { require: 'signatures, provenance', platforms: PLATFORMS.join() };
    const [image] = verified(await verify(release, { with: demands }));
    const attested = image?.manifests.filter(({ role }) => role === 'attestation') ?? [];
    expect(attested).toHaveLength(2);
    for (const { attestations } of attested)
      expect(attestations).toMatchObject([{ origin: 'buildkit', kind: 'provenance', fault: null }]);
  });

  test('has no SBOM, which is said of each platform, and no third platform', async () => {
    const demands = { require: 'signatures, sbom', platforms: [...PLATFORMS, 'linux/s390x'].join() };
    const { image } = notVerified(await verify(release, { with: demands }));
    expect(image.problems.map(each => [each.kind, each.about])).toEqual([
      ['missing-platform', 'linux/s390x'],
      ...PLATFORMS.map(platform => ['missing-attestation', platform]),
    ]);
  });
});
