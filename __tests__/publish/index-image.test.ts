import { describe, expect, it } from 'vitest';
import { parseIndex } from '../../src/oci/manifest.ts';
import { createIndexImage } from '../../src/publish/index-image.ts';
import { clientOf, FAST, failureOf, opened, SHORT } from '../servers/clients.ts';
import { type PushedImage, pushImage, recordOf, TYPES } from '../servers/images.ts';
import { startRegistry } from '../servers/registry.ts';

const SERVER = 'https://github.com';

async function setUp(registries = 1, retry = FAST) {
  const all = await Promise.all(Array.from({ length: registries }, () => opened(startRegistry())));
  const push = (architecture: string): PushedImage => {
    const [first] = all.map(registry => pushImage(registry.repository('acme/app'), { architecture }));
    return first as PushedImage;
  };
  const images = { amd64: push('amd64'), arm64: push('arm64') };
  const records = [
    recordOf(images.arm64.root, 'linux/arm64', { started: '2026-11-21T10:00:05.000Z' }),
    recordOf(images.amd64.root, 'linux/amd64', { started: '2026-11-21T10:00:03.000Z' }),
  ];
  return { all, images, records, clients: all.map(registry => clientOf(registry, 'acme/app', retry)) };
}

describe('the index of a merge', () => {
  it('holds what the records name, images beside their attestations', async () => {
    const { images, records, clients } = await setUp();
    const { content } = await createIndexImage(records, clients, SERVER);
    const { manifests, annotations } = parseIndex(content, 'here');
    expect(manifests.map(({ digest }) => digest)).toEqual(
      [images.amd64, images.arm64].flatMap(({ manifest, attestation }) => [
        manifest.descriptor.digest,
        attestation?.descriptor.digest,
      ]),
    );
    expect(annotations).toEqual({
      'org.opencontainers.image.created': '2026-11-21T10:00:03.000Z',
      'org.opencontainers.image.revision': records[0]?.source.commit,
      'org.opencontainers.image.source': 'https://github.com/acme/app',
    });
  });

  it('is the same bytes whatever order the records and registries come in, and however often', async () => {
    const { records, clients } = await setUp(2);
    const one = await createIndexImage(records, clients, SERVER);
    const two = await createIndexImage([...records].reverse(), [...clients].reverse(), SERVER);
    expect(Buffer.compare(one.content.bytes, two.content.bytes)).toBe(0);
    expect(one.images.map(({ platform }) => platform.architecture)).toEqual(
      two.images.map(({ platform }) => platform.architecture),
    );
  });

  it('gives its images in the order of the index', async () => {
    const { records, clients } = await setUp();
    const { images } = await createIndexImage(records, clients, SERVER);
    expect(images.map(({ platform }) => platform.architecture)).toEqual(['amd64', 'arm64']);
  });

  it('is not made when one of the registries lacks a build', async () => {
    const { all, images, records, clients } = await setUp(2, SHORT);
    all[1]?.repository('acme/app').manifests.delete(images.arm64.root.descriptor.digest);
    const error = await failureOf(() => createIndexImage(records, clients, SERVER));
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toContain(all[1]?.host);
  });

  it('is not made when an attestation manifest is gone', async () => {
    const { all, images, records, clients } = await setUp(1, SHORT);
    all[0]?.repository('acme/app').manifests.delete(images.arm64.attestation?.descriptor.digest ?? '');
    await failureOf(() => createIndexImage(records, clients, SERVER));
  });

  it.each([
    [{ size: 1 }, '1 bytes'],
    [{ mediaType: TYPES.manifest }, TYPES.manifest],
  ])('is not made when a record says something else than the registry: %j', async (change, named) => {
    const { records, clients } = await setUp();
    const [first, second] = records;
    const error = await failureOf(() =>
      createIndexImage([{ ...first, ...change } as never, second as never], clients, SERVER),
    );
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain(named);
  });

  it('is not made of an image for another architecture than its record says', async () => {
    const { images, clients } = await setUp();
    const records = [recordOf(images.amd64.root, 'linux/arm64')];
    expect((await failureOf(() => createIndexImage(records, clients, SERVER))).code).toBe(
      'wrong-architecture',
    );
  });
});
