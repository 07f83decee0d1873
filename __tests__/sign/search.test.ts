import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import type { RepositoryClient } from '../../src/registry/client.ts';
import { type SearchOptions, searchSignatures } from '../../src/sign/search.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { type Attachment, attach, attachLegacy, BUNDLE, EMPTY } from '../servers/attached.ts';
import { clientOf, failureOf, opened, SHORT } from '../servers/clients.ts';
import { made, pushImage, TYPES } from '../servers/images.ts';
import { writeFallback } from '../servers/referrers.ts';
import { type RegistryOptions, startRegistry } from '../servers/registry.ts';
import { type Making, newFoundry } from '../servers/signatures.ts';

const foundry = newFoundry();
const verifier = new SignatureVerifier({ root: foundry.root, keys: [] });
const PREDICATE = 'dev.sigstore.bundle.predicateType';
const SIGNATURE = { [PREDICATE]: 'https://sigstore.dev/cosign/sign/v1' };
const ATTESTATION = { [PREDICATE]: 'https://slsa.dev/provenance/v1' };
const BOTH: SearchOptions = { formats: ['bundle', 'legacy'] };

/** An image in a registry, and the means to sign it. */
async function setUp(options: RegistryOptions = { referrers: 'api' }) {
  const registry = await opened(startRegistry(options));
  const contents = registry.repository('acme/app');
  const image = pushImage(contents).root.descriptor;
  const client: RepositoryClient = clientOf(registry, 'acme/app', SHORT);
  const bundle = (making?: Making): string => JSON.stringify(foundry.bundle(image.digest, making));
  /** Attaches a valid signature. */
  const signed = (attachment: Attachment = {}) =>
    attach(contents, image, bundle(), { annotations: SIGNATURE, ...attachment });
  const search = (changes: Partial<SearchOptions> = {}) =>
    searchSignatures(client, image.digest, verifier, { ...BOTH, ...changes });
  /** Says of the image what referrers it has. */
  const list = (...manifests: object[]) =>
    registry.on({
      path: /referrers/,
      answer: (_, response) => sendJson(response, 200, { schemaVersion: 2, manifests }),
    });
  return { registry, contents, image, client, bundle, signed, search, list };
}

describe('the signatures of a manifest', () => {
  it.each<[string, RegistryOptions]>([
    ['the referrers API', { referrers: 'api' }],
    ['pages of the referrers API', { referrers: 'api', pageSize: 1 }],
  ])('are found through %s', async (_, options) => {
    const { signed, search } = await setUp(options);
    const [first, second] = [signed(), signed()];
    const found = await search();
    expect(found.map(({ digest, fault }) => [digest, fault])).toEqual([
      [second.descriptor.digest, undefined],
      [first.descriptor.digest, undefined],
    ]);
  });

  it('are found through the fallback tag, where cosign does not say what an entry is', async () => {
    const { contents, image, signed, bundle, search, registry } = await setUp({ referrers: 'none' });
    const signature = signed();
    const other = attach(contents, image, bundle(), { annotations: ATTESTATION });
    const foreign = attach(contents, image, '{}', { artifactType: 'application/vnd.example' });
    const undescribed = [signature, other, foreign].map(({ descriptor }) => ({
      ...descriptor,
      artifactType: EMPTY,
    }));
    const index = { schemaVersion: 2, mediaType: TYPES.index, manifests: undescribed };
    writeFallback(contents, image.digest.replace(':', '-'), index);
    const found = await search();
    expect(found).toMatchObject([{ digest: signature.descriptor.digest, fault: undefined }]);
    expect(registry.count('GET', /blobs/)).toBe(1);
  });

  it.each(['+json;version=0.3', '+json;version=0.2', '+json;version=0.1'])(
    'are found where their type is %s',
    async version => {
      const { signed, search } = await setUp();
      const artifactType = `application/vnd.dev.sigstore.bundle${version}`;
      signed({ artifactType, layerType: artifactType });
      expect(await search()).toMatchObject([{ fault: undefined }]);
    },
  );

  it('are found in both formats, or in that which is asked for', async () => {
    const { contents, image, signed, search } = await setUp();
    signed();
    attachLegacy(contents, image.digest, [foundry.legacy(image.digest)]);
    const formats = async (options?: Partial<SearchOptions>) =>
      (await search(options)).map(({ format, fault }) => [format, fault]);
    expect(await formats()).toEqual([
      ['bundle', undefined],
      ['legacy', undefined],
    ]);
    expect(await formats({ formats: ['bundle'] })).toEqual([['bundle', undefined]]);
    expect(await formats({ formats: ['legacy'] })).toEqual([['legacy', undefined]]);
  });

  it('are none of what is not signed', async () => {
    const { search } = await setUp();
    expect(await search()).toEqual([]);
  });

  it('are unknown of what is not there, unless somebody knows better', async () => {
    const { registry, client } = await setUp();
    const { digest } = made(TYPES.index, 'not there').descriptor;
    const error = await failureOf(() => searchSignatures(client, digest, verifier, BOTH));
    expect(error).toMatchObject({
      code: 'registry-not-found',
      message: expect.stringContaining('cannot be told'),
    });
    expect(await searchSignatures(client, digest, verifier, { ...BOTH, isPresent: true })).toEqual([]);
    expect(registry.count('HEAD', /manifests/)).toBe(1);
  });

  it('are unknown of a repository that is not there', async () => {
    const { registry, image } = await setUp();
    const client = clientOf(registry, 'acme/typo', SHORT);
    const error = await failureOf(() => searchSignatures(client, image.digest, verifier, BOTH));
    expect(error.code).toBe('registry-not-found');
  });
});

describe('what is wrong with one signature', () => {
  it.each([
    ['is no bundle', '{}', {}, 'illegible', 'is no Sigstore bundle'],
    ['is no JSON', 'nonsense', {}, 'illegible', 'is no Sigstore bundle'],
    ['is not there', undefined, {}, 'illegible', 'cannot be read'],
    ['is said to be huge', '{}', { layer: { size: 10_000_000_000 } }, 'illegible', 'at most'],
    ['is larger than it says', '{"a":1}', { layer: { size: 2 } }, 'illegible', 'cannot be read'],
    ['is of another type', '{}', { layerType: 'text/plain' }, 'illegible', 'and holds none'],
    ['is one of two', '{}', { copies: 2 }, 'illegible', 'and holds none'],
    ['has no layer', '{}', { copies: 0 }, 'illegible', 'and holds none'],
  ])('spoils no other: %s', async (_, content, attachment, fault, reason) => {
    const { contents, image, signed, search } = await setUp();
    const bad = attach(contents, image, content, attachment);
    const good = signed();
    expect(await search()).toMatchObject([
      { digest: good.descriptor.digest, fault: undefined },
      { digest: bad.descriptor.digest, fault, reason: expect.stringContaining(reason) },
    ]);
  });

  it('is that it was made of another image', async () => {
    const { contents, image, search } = await setUp();
    const other = made(TYPES.index, 'another image').descriptor;
    attach(contents, image, JSON.stringify(foundry.bundle(other.digest)));
    expect(await search()).toMatchObject([{ fault: 'wrong-subject' }]);
  });

  it('is that it refers to another image than it is listed for', async () => {
    const { contents, bundle, search, list } = await setUp();
    const stray = attach(contents, made(TYPES.index, 'another image').descriptor, bundle());
    list({ ...stray.descriptor, artifactType: BUNDLE });
    expect(await search()).toMatchObject([
      { fault: 'wrong-subject', reason: expect.stringContaining('does not refer to it') },
    ]);
  });

  it.each<[string, Attachment]>([
    ['an artifact of another type', { artifactType: 'application/vnd.example' }],
    ['an image', { artifactType: undefined, config: TYPES.config }],
  ])('is that it is %s, although the list says otherwise', async (_, attachment) => {
    const { contents, image, bundle, search, list } = await setUp();
    const other = attach(contents, image, bundle(), attachment);
    list({ ...other.descriptor, artifactType: BUNDLE });
    expect(await search()).toMatchObject([
      { fault: 'illegible', reason: expect.stringContaining('it is listed as a Sigstore bundle, and is') },
    ]);
  });

  it.each([
    ['is gone', 'gone', {}, 'cannot be read'],
    ['is no manifest', '{}', {}, 'cannot be read'],
    ['is said to be huge', '{}', { size: 10_000_000_000 }, 'at most'],
  ])('is that its manifest %s', async (_, content, changes, reason) => {
    const { contents, search, list } = await setUp();
    const { descriptor, bytes } = made(TYPES.manifest, content);
    if (content !== 'gone') contents.manifests.set(descriptor.digest, { bytes, mediaType: TYPES.manifest });
    list({ ...descriptor, artifactType: BUNDLE, ...changes });
    expect(await search()).toMatchObject([{ fault: 'illegible', reason: expect.stringContaining(reason) }]);
  });

  it('is that the registry changed its bytes', async () => {
    const { contents, signed, search } = await setUp();
    signed();
    for (const [digest, bytes] of contents.blobs) {
      if (bytes.includes('dsseEnvelope'))
        contents.blobs.set(digest, Buffer.from(bytes.toString().replace('a', 'b')));
    }
    expect(await search()).toMatchObject([{ fault: 'illegible' }]);
  });
});

describe('what fails', () => {
  it.each([429, 500, 503, 403, 401])('is told and is not "unsigned": %s', async status => {
    for (const path of [/referrers/, /manifests\/sha256:/, /blobs/, /manifests\/sha256-.*\.sig/]) {
      const { contents, image, registry, signed, search } = await setUp();
      signed();
      attachLegacy(contents, image.digest, [foundry.legacy(image.digest)]);
      registry.on({ method: 'GET', path, answer: (_, response) => sendJson(response, status, {}) });
      expect((await failureOf(search)).code).toMatch(/^registry-/);
    }
  });

  it('is told where it is the second page of a list', async () => {
    const { registry, signed, search } = await setUp({ referrers: 'api', pageSize: 1 });
    signed();
    signed();
    registry.on({ path: /from=/, answer: (_, response) => sendJson(response, 404, {}) });
    expect((await failureOf(search)).code).toBe('registry-not-found');
  });
});
