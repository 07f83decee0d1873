import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { assembleIndex, type PlatformImage } from '../../src/oci/index.ts';
import { parseIndex } from '../../src/oci/manifest.ts';
import { formatPlatform, normalisePlatform } from '../../src/oci/platform.ts';
import { failureOf } from '../servers/clients.ts';
import { attestationDescriptor, made, TYPES } from '../servers/images.ts';

function image(
  architecture: string,
  options: { variant?: string; attestations?: number; type?: string } = {},
): PlatformImage {
  const { variant, attestations = 1, type = TYPES.manifest } = options;
  const config = { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) };
  const { descriptor } = made(type, `image ${architecture} ${variant}`);
  const about = Array.from({ length: attestations }, (_, number) =>
    attestationDescriptor(
      made(TYPES.manifest, `attestation ${number} of ${architecture}`).descriptor,
      descriptor.digest,
    ),
  );
  return { platform: normalisePlatform(config), image: descriptor, config, attestations: about };
}

const children = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()).manifests;

describe('an image index', () => {
  it('is the same bytes in whatever order images, attestations and annotations come', () => {
    const all = ['amd64', 'arm64', 's390x', 'riscv64', 'ppc64le'].map(name =>
      image(name, { attestations: 3 }),
    );
    const annotations = { b: '2', a: '1', c: '3' };
    const expected = assembleIndex(all, annotations).bytes;
    const shuffledAnnotations = fc
      .shuffledSubarray(Object.entries(annotations), { minLength: 3 })
      .map(entries => Object.fromEntries(entries));
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: 5 }), shuffledAnnotations, (images, shuffled) => {
        const turned = images.map(one => ({ ...one, attestations: [...one.attestations].reverse() }));
        expect(Buffer.compare(assembleIndex(turned, shuffled).bytes, expected)).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  it('lists each attestation manifest right after its image, the common platforms first', () => {
    const images = [image('s390x'), image('arm64', { attestations: 2 }), image('amd64', { attestations: 0 })];
    const content = assembleIndex(images, {});
    const [amd64, arm64, first, second, s390x, last] = children(content.bytes);
    expect(amd64.platform).toEqual({ os: 'linux', architecture: 'amd64' });
    expect(arm64.platform).toEqual({ os: 'linux', architecture: 'arm64' });
    for (const attestation of [first, second]) {
      expect(attestation.platform).toEqual({ os: 'unknown', architecture: 'unknown' });
      expect(attestation.annotations['vnd.docker.reference.type']).toBe('attestation-manifest');
      expect(attestation.annotations['vnd.docker.reference.digest']).toBe(arm64.digest);
    }
    expect(first.digest).not.toBe(second.digest);
    expect(last.annotations['vnd.docker.reference.digest']).toBe(s390x.digest);
  });

  it('gives its own digest and type, and reads back', () => {
    const content = assembleIndex([image('amd64'), image('arm64')], { created: 'now' });
    expect(content.digest).toBe(digestOf(content.bytes));
    expect(content.mediaType).toBe(TYPES.index);
    expect(parseIndex(content, 'here').annotations).toEqual({ created: 'now' });
  });

  it('without annotations has no such field', () => {
    expect(JSON.parse(Buffer.from(assembleIndex([image('amd64')], {}).bytes).toString())).not.toHaveProperty(
      'annotations',
    );
  });

  it('takes variant and version of the operating system from the config, in their one spelling', () => {
    const arm = image('arm', { variant: 'v7', attestations: 0 });
    const windows = image('amd64', { attestations: 0 });
    const config = {
      os: 'windows',
      architecture: 'amd64',
      'os.version': '10.0.1',
      'os.features': ['win32k'],
    };
    const content = assembleIndex([arm, { ...windows, platform: normalisePlatform(config), config }], {});
    const [first, second] = children(content.bytes);
    expect(first.platform).toEqual({ os: 'linux', architecture: 'arm', variant: 'v7' });
    expect(second.platform).toEqual(config);
    const [arm64] = children(assembleIndex([image('arm64', { variant: 'v8' })], {}).bytes);
    expect(arm64.platform).toEqual({ os: 'linux', architecture: 'arm64' });
  });

  it('keeps the annotations of its children', () => {
    const one = image('amd64', { attestations: 0 });
    const annotated = { ...one, image: { ...one.image, annotations: { title: 'one' } } };
    expect(children(assembleIndex([annotated], {}).bytes)[0].annotations).toEqual({ title: 'one' });
  });

  it('refuses a platform that comes twice, however it is spelled', async () => {
    const error = await failureOf(() =>
      assembleIndex([image('arm64', { variant: 'v8' }), image('aarch64')], {}),
    );
    expect(error.code).toBe('doubled-platform');
    expect(error.message).toContain('linux/arm64');
  });

  it('lets two variants of one architecture stand side by side', () => {
    const both = [image('arm', { variant: 'v6' }), image('arm', { variant: 'v7' })];
    const platforms = children(assembleIndex(both, {}).bytes).map(
      (child: { platform: { variant?: string } }) => child.platform.variant,
    );
    expect(platforms.filter(Boolean)).toEqual(['v6', 'v7']);
  });

  it.each([
    [TYPES.dockerManifest, 'a Docker image manifest'],
    [TYPES.index, TYPES.index],
    ['text/plain', 'text/plain'],
  ])('refuses a child of type %s, and names its platform', async (type, found) => {
    const error = await failureOf(() => assembleIndex([image('amd64'), image('arm64', { type })], {}));
    expect(error.code).toBe('mixed-media-types');
    expect(error.message).toContain(formatPlatform({ os: 'linux', architecture: 'arm64' }));
    expect(error.message).toContain(found);
  });
});
