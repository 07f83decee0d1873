import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { manifestContent } from '../../src/oci/manifest.ts';
import { formatPlatform, parsePlatform } from '../../src/oci/platform.ts';
import { readBuiltImage, requirePlatform, requireWhole } from '../../src/registry/image.ts';
import { clientOf, failureOf, opened } from '../servers/clients.ts';
import {
  attestationDescriptor,
  type Made,
  made,
  PROVENANCE,
  pushImage,
  storeManifest,
  TYPES,
} from '../servers/images.ts';
import { startRegistry } from '../servers/registry.ts';

async function setUp() {
  const registry = await opened(startRegistry());
  const contents = registry.repository('acme/app');
  const client = clientOf(registry);
  const read = (root: Made) => readBuiltImage(client, root.descriptor.digest);
  return { registry, contents, client, read };
}

/** An index as BuildKit writes it, of these children. */
const indexOf = (manifests: object[]): Made =>
  made(TYPES.index, { schemaVersion: 2, mediaType: TYPES.index, manifests });

describe('what a build pushed', () => {
  it('is read as index, manifest, config and attestations', async () => {
    const { contents, read } = await setUp();
    const pushed = pushImage(contents, { architecture: 'arm64', variant: 'v8' });
    const { content, image, predicateTypes } = await read(pushed.root);
    expect(content.digest).toBe(pushed.root.descriptor.digest);
    expect(image.image).toMatchObject(pushed.manifest.descriptor);
    expect(image.platform).toEqual({ os: 'linux', architecture: 'arm64' });
    expect(image.config).toMatchObject({ architecture: 'arm64', variant: 'v8' });
    expect(image.attestations.map(({ digest }) => digest)).toEqual([pushed.attestation?.descriptor.digest]);
    expect(predicateTypes).toEqual([PROVENANCE]);
  });

  it('may be a bare manifest', async () => {
    const { contents, read } = await setUp();
    const pushed = pushImage(contents, { attested: false });
    const { content, image, predicateTypes } = await read(pushed.root);
    expect(content.digest).toBe(pushed.manifest.descriptor.digest);
    expect(image.image).toEqual(pushed.manifest.descriptor);
    expect(predicateTypes).toEqual([]);
  });

  it.each([
    [{ architecture: 'amd64' }, 'linux/amd64'],
    [{ architecture: 'arm', variant: 'v6' }, 'linux/arm/v6'],
    [{ architecture: 'amd64', variant: 'v3' }, 'linux/amd64/v3'],
    [{ os: 'windows', architecture: 'amd64' }, 'windows/amd64'],
  ])(
    'for %j is for %s and for nothing else: both are named, and what may be the reason',
    async (options, own) => {
      const { contents, read } = await setUp();
      const { image } = await read(pushImage(contents, options).root);
      expect(formatPlatform(image.platform)).toBe(own);
      expect(() => requirePlatform('here', parsePlatform(own), image.platform)).not.toThrow();
      const expected = parsePlatform('linux/arm64');
      const error = await failureOf(() => requirePlatform('here', expected, image.platform));
      expect(error.code).toBe('wrong-architecture');
      expect(error.message).toContain('linux/arm64');
      expect(error.message).toContain(own);
      expect(error.hint).toContain('--platform');
    },
  );

  it('may name an attestation twice, which is one', async () => {
    const { registry, contents, read } = await setUp();
    const { manifest, attestation } = pushImage(contents);
    const about = attestationDescriptor((attestation as Made).descriptor, manifest.descriptor.digest);
    const doubled = indexOf([manifest.descriptor, about, about]);
    storeManifest(contents, doubled);
    const { image } = await read(doubled);
    expect(image.attestations).toEqual([about]);
    expect(registry.count('GET', new RegExp(about.digest))).toBe(1);
  });

  it('is judged by the config and not by what the index says of it', async () => {
    const { contents, read } = await setUp();
    const { manifest } = pushImage(contents, { architecture: 'amd64' });
    const liar = indexOf([{ ...manifest.descriptor, platform: { os: 'linux', architecture: 'arm64' } }]);
    storeManifest(contents, liar);
    expect((await read(liar)).image.platform).toEqual({ os: 'linux', architecture: 'amd64' });
  });

  it('is read without asking for what its record brought along', async () => {
    const { registry, contents, client } = await setUp();
    const { root, manifest } = pushImage(contents);
    contents.manifests.delete(root.descriptor.digest);
    const content = manifestContent(root.bytes, root.descriptor.mediaType);
    const built = await readBuiltImage(client, content);
    expect(built.content).toBe(content);
    expect(built.manifest.digest).toBe(manifest.descriptor.digest);
    expect(registry.count('GET', new RegExp(root.descriptor.digest))).toBe(0);
  });

  it('as a bare manifest is asked for once, and also when its record brought it along', async () => {
    const { registry, contents, client, read } = await setUp();
    const { manifest } = pushImage(contents, { attested: false });
    const asked = () => registry.count('GET', new RegExp(manifest.descriptor.digest));
    await read(manifest);
    expect(asked()).toBe(1);
    await readBuiltImage(client, manifestContent(manifest.bytes, manifest.descriptor.mediaType));
    expect(asked()).toBe(2);
    contents.manifests.delete(manifest.descriptor.digest);
    const content = manifestContent(manifest.bytes, manifest.descriptor.mediaType);
    expect((await failureOf(() => readBuiltImage(client, content))).code).toBe('registry-not-found');
  });

  it('is required in another repository by its manifests', async () => {
    const { registry, contents, client, read } = await setUp();
    const pushed = pushImage(contents);
    const { image } = await read(pushed.root);
    await requireWhole(client, image);
    const other = clientOf(registry, 'acme/other');
    pushImage(registry.repository('acme/other'));
    await requireWhole(other, image);
    for (const lost of [pushed.manifest, pushed.attestation]) {
      const digest = lost?.descriptor.digest ?? '';
      const stored = registry.repository('acme/other').manifests;
      const kept = stored.get(digest);
      stored.delete(digest);
      const error = await failureOf(() => requireWhole(other, image));
      expect(error.message).toContain(digest);
      if (kept !== undefined) stored.set(digest, kept);
    }
  });

  it.each([[0], [2]])('with %d images is refused', async count => {
    const { contents, read } = await setUp();
    const all = ['amd64', 'arm64'].map(
      architecture => pushImage(contents, { architecture }).manifest.descriptor,
    );
    const index = indexOf(all.slice(0, count));
    storeManifest(contents, index);
    const error = await failureOf(() => read(index));
    expect(error.code).toBe('invalid-document');
    expect(error.message).toContain(`${count} images`);
  });

  it('with an attestation about another image is refused', async () => {
    const { contents, read } = await setUp();
    const one = pushImage(contents, { architecture: 'amd64' });
    const other = pushImage(contents, { architecture: 'arm64' });
    const stray = attestationDescriptor(
      other.attestation?.descriptor as never,
      other.manifest.descriptor.digest,
    );
    const index = indexOf([one.manifest.descriptor, stray]);
    storeManifest(contents, index);
    const error = await failureOf(() => read(index));
    expect(error.code).toBe('invalid-document');
    expect(error.message).toContain('another image');
  });

  it.each([
    ['size', { size: 1 }],
    ['media type', { mediaType: TYPES.dockerManifest }],
  ])(
    'whose index gives its image another %s is refused: the published index would say the same',
    async (_, lie) => {
      const { contents, read } = await setUp();
      const { manifest } = pushImage(contents);
      const index = indexOf([{ ...manifest.descriptor, ...lie }]);
      storeManifest(contents, index);
      await failureOf(() => read(index));
    },
  );

  it('that is an artifact and no image is refused', async () => {
    const { contents, read } = await setUp();
    const config = made('application/vnd.oci.empty.v1+json', '{}');
    contents.blobs.set(config.descriptor.digest, config.bytes);
    const artifact = made(TYPES.manifest, {
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      config: config.descriptor,
      layers: [],
    });
    storeManifest(contents, artifact);
    const error = await failureOf(() => read(artifact));
    expect(error.message).toContain('no image');
  });

  it('under an unknown media type is refused', async () => {
    const { contents, read } = await setUp();
    const odd = made('text/plain', '{}');
    storeManifest(contents, odd);
    const error = await failureOf(() => read(odd));
    expect(error.code).toBe('invalid-document');
    expect(error.message).toContain('text/plain');
  });

  it('that the registry shows late is waited for in all its parts', async () => {
    const { registry, contents, client } = await setUp();
    const { root, manifest, config } = pushImage(contents);
    const digests: Digest[] = [root, manifest, config].map(({ descriptor }) => descriptor.digest);
    for (const digest of digests) {
      registry.on({
        path: new RegExp(digest),
        times: 1,
        answer: (_, response) => sendJson(response, 404, {}),
      });
    }
    const pushed = { justPushed: true };
    const { image } = await readBuiltImage(client, root.descriptor.digest, pushed);
    expect(image.image.digest).toBe(manifest.descriptor.digest);
  });
});
