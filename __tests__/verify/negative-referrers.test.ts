import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { attachLegacy } from '../servers/attached.ts';
import { made, TYPES } from '../servers/images.ts';
import type { Json } from '../servers/signatures.ts';
import { outcomesOf, startNegative, startUnsignedPlatform, UNSIGNED } from './negative.ts';
import { attach } from './released.ts';

/* What others attach to an image: any number of it, and under any name. */

const SIGNATURE = 'https://sigstore.dev/cosign/sign/v1';
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

describe('10,000 foreign referrers', () => {
  /** The requests of a verification of linux/arm64 alone, and the bytes of blobs that came. */
  async function cost(release: Awaited<ReturnType<typeof startNegative>>) {
    const before = release.registry.log.length;
    const told = await release.verify({ images: release.name.replace(':1.0', `@${release.arm64}`) });
    return { told, requests: release.registry.log.length - before };
  }

  it.each([
    [
      'that are no signatures do not hide that there is none',
      { artifactType: 'application/spdx+json' },
      false,
    ],
    ['that are no signatures do not hide one', { artifactType: 'application/spdx+json' }, true],
    [
      'that are attestations of other types do not hide that there is none',
      { annotations: { 'dev.sigstore.bundle.predicateType': 'https://example.com/scan/v1' } },
      false,
    ],
  ])('%s, and cost the pages of their list', async (_, kind, isSigned) => {
    const release = await startNegative('identity', { pageSize: 1000 });
    if (isSigned) release.sign(release.arm64);
    many(10_000, count => attach(release.contents, release.arm64, 'x', { ...kind, manifest: { count } }));
    const { told, requests } = await cost(release);
    expect(told.code).toBe(isSigned ? 'verified' : 'verification-failed');
    // The manifest and its config, the tag of the older format, one list, and a signature in two parts.
    expect(requests).toBeLessThanOrEqual(2 + 1 + 11 + 2);
  });

  it('that call themselves signatures are not all read, and then it cannot be told', async () => {
    const release = await startNegative('identity', { pageSize: 1000 });
    const annotations = { 'dev.sigstore.bundle.predicateType': SIGNATURE };
    many(10_000, count => attach(release.contents, release.arm64, 'x', { annotations, manifest: { count } }));
    const { told, requests } = await cost(release);
    expect(told.code).toBe('verification-incomplete');
    expect(told.problems.join()).toContain('has more than 256 signatures in one format');
    expect(told.hint).toContain('find out who may write to this repository');
    expect(requests).toBeLessThanOrEqual(3 + 11 + 256 * 2);
  });

  it('in the older format are not all read either', async () => {
    const release = await startNegative();
    const { payload } = release.foundry.legacy(release.arm64);
    attachLegacy(release.contents, release.arm64, [
      ...Array.from({ length: 10_000 }, (_, count) => ({ payload, annotations: { count: String(count) } })),
    ]);
    const { told, requests } = await cost(release);
    expect(told.code).toBe('verification-incomplete');
    expect(told.problems.join()).toContain('could not tell');
    expect(requests).toBeLessThanOrEqual(10);
  });

  it('of any size are not read where they say that they are large', async () => {
    const release = await startNegative();
    const layer = { ...made('x', '').descriptor, mediaType: BUNDLE };
    const layers = [{ ...layer, size: 2 ** 40 }];
    const annotations = { 'dev.sigstore.bundle.predicateType': SIGNATURE };
    attach(release.contents, release.arm64, 'x', { annotations, manifest: { layers } });
    const { told } = await cost(release);
    expect(told.problems.join()).toContain(
      'its signature does not count: it is said to have 1099511627776 bytes; at most 1048576 are read',
    );
    expect(release.registry.count('GET', new RegExp(`blobs/${layer.digest}`))).toBe(0);
  });
});

function many(count: number, make: (number: number) => unknown): void {
  for (let number = 0; number < count; number++) make(number);
}

describe('an artifact that says it is another', () => {
  it.each<[string, Parameters<typeof attach>[3], string, string]>([
    [
      'an SBOM that calls itself a bundle',
      { layerType: 'application/spdx+json' },
      'illegible',
      'it is listed as a Sigstore bundle, and holds none',
    ],
    [
      'an SBOM whose layer calls itself a bundle, too',
      {},
      'illegible',
      'it is no Sigstore bundle: wrong or missing are mediaType, content, verificationMaterial',
    ],
    [
      'a bundle among other layers',
      { manifest: { layers: [made('text/plain', 'x').descriptor, made('text/plain', 'y').descriptor] } },
      'illegible',
      'it is listed as a Sigstore bundle, and holds none',
    ],
  ])('%s is no signature', async (_, changes, outcome, says) => {
    const release = await startUnsignedPlatform();
    attach(release.contents, release.arm64, { spdxVersion: 'SPDX-2.3' }, changes);
    const told = await release.verify();
    expect(told.problems).toEqual([`linux/arm64: its signature does not count: ${says}.`]);
    expect(outcomesOf(told)).toEqual([['accepted'], ['accepted'], [outcome]]);
  });

  it('a list that calls an SBOM a bundle is contradicted by what it holds', async () => {
    const release = await startUnsignedPlatform();
    const { descriptor } = attach(release.contents, release.arm64, 'sbom', {
      artifactType: 'application/spdx+json',
    });
    list(release, { ...descriptor, artifactType: BUNDLE });
    expect((await release.verify()).problems).toEqual([
      'linux/arm64: its signature does not count: it is listed as a Sigstore bundle, and is application/spdx+json.',
    ]);
  });

  it('a list that names the signature of another image does not make it one of this', async () => {
    const release = await startUnsignedPlatform();
    const { contents, foundry, amd64, arm64 } = release;
    const { descriptor } = attach(contents, amd64, foundry.bundle(arm64));
    list(release, { ...descriptor, artifactType: BUNDLE });
    const told = await release.verify();
    expect(told.problems).toEqual([
      'linux/arm64: its signature does not count: it is listed for this image, and does not refer to it.',
    ]);
    expect(outcomesOf(told)[2]).toEqual(['wrong-subject']);
  });

  it('an attestation that calls itself a signature is none', async () => {
    const release = await startUnsignedPlatform();
    const { contents, foundry, arm64 } = release;
    const payload = {
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ digest: { sha256: arm64.slice(7) } }],
      predicateType: 'https://slsa.dev/provenance/v1',
      predicate: {},
    };
    const annotations = { 'dev.sigstore.bundle.predicateType': SIGNATURE };
    attach(contents, arm64, foundry.bundle(arm64, { payload }), { annotations });
    expect((await release.verify()).problems).toEqual([
      'linux/arm64: its signature does not count: it states https://slsa.dev/provenance/v1: an attestation about an image is no signature of it.',
    ]);
  });

  it.each([
    [
      'an attestation',
      { annotations: { 'dev.sigstore.bundle.predicateType': 'https://slsa.dev/provenance/v1' } },
    ],
    ['an SBOM', { artifactType: 'application/spdx+json' }],
  ])('a signature that calls itself %s is not taken for one', async (_, changes) => {
    const release = await startUnsignedPlatform();
    const { contents, foundry, arm64 } = release;
    attach(contents, arm64, foundry.bundle(arm64), changes);
    expect((await release.verify()).problems).toEqual([`linux/arm64: ${UNSIGNED}.`]);
  });

  it('an attestation manifest that clients would run is an image', async () => {
    const release = await startNegative('identity', {
      entries: given =>
        given.map((entry, position) =>
          position === 1
            ? { ...entry, annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }
            : entry,
        ),
    });
    for (const digest of [release.amd64, release.root]) release.sign(digest);
    expect((await release.verify()).problems).toEqual([`linux/arm64: ${UNSIGNED}.`]);
  });
});

/** Makes the registry list this alone for linux/arm64. */
function list({ registry, arm64 }: Awaited<ReturnType<typeof startNegative>>, entry: Json): void {
  registry.on({
    path: new RegExp(`referrers/${arm64}`),
    answer: (_, response) =>
      sendJson(response, 200, { schemaVersion: 2, mediaType: TYPES.index, manifests: [entry] }),
  });
}
