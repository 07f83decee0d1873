import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { assembleIndex, type IndexOptions, type PlatformImage } from '../../src/oci/index.ts';
import { type Descriptor, type ManifestContent, parseIndex } from '../../src/oci/manifest.ts';
import { normalisePlatform } from '../../src/oci/platform.ts';
import { failureOf } from '../servers/clients.ts';
import { attestationDescriptor, made, TYPES } from '../servers/images.ts';

const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';

function image(
  architecture: string,
  options: { variant?: string; attestations?: number; type?: string; attestationType?: string } = {},
): PlatformImage {
  const { variant, attestations = 1, type = TYPES.manifest, attestationType = TYPES.manifest } = options;
  const config = { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) };
  const { descriptor } = made(type, `image ${architecture} ${variant}`);
  const about = Array.from({ length: attestations }, (_, number) =>
    attestationDescriptor(
      made(attestationType, `attestation ${number} of ${architecture}`).descriptor,
      descriptor.digest,
    ),
  );
  return { platform: normalisePlatform(config), image: descriptor, config, attestations: about };
}

const docker = (architecture: string): PlatformImage =>
  image(architecture, { type: TYPES.dockerManifest, attestations: 0 });
const assemble = (images: readonly PlatformImage[], options: Partial<IndexOptions> = {}): ManifestContent =>
  assembleIndex(images, { format: 'oci', annotations: {}, ...options });
const documentOf = (content: ManifestContent) => JSON.parse(Buffer.from(content.bytes).toString());
const children = (images: readonly PlatformImage[], options: Partial<IndexOptions> = {}) =>
  documentOf(assemble(images, options)).manifests;

describe('an image index', () => {
  it.each(['oci', 'docker'] as const)(
    'is the same bytes in whatever order images, attestations and annotations come: %s',
    format => {
      const names = ['amd64', 'arm64', 's390x', 'riscv64', 'ppc64le'];
      const all = names.map(name => (format === 'docker' ? docker(name) : image(name, { attestations: 3 })));
      const annotations = format === 'docker' ? {} : { b: '2', 10: '4', a: '1', c: '3', 9: '5' };
      const expected = assemble(all, { format, annotations, descriptorAnnotations: () => annotations }).bytes;
      const entries = Object.entries(annotations);
      const shuffledAnnotations = fc
        .shuffledSubarray(entries, { minLength: entries.length })
        .map(shuffled => Object.fromEntries(shuffled));
      fc.assert(
        fc.property(
          fc.shuffledSubarray(all, { minLength: 5 }),
          shuffledAnnotations,
          shuffledAnnotations,
          (images, onIndex, onDescriptor) => {
            const turned = images.map(one => ({ ...one, attestations: [...one.attestations].reverse() }));
            const options = { format, annotations: onIndex, descriptorAnnotations: () => onDescriptor };
            expect(Buffer.compare(assemble(turned, options).bytes, expected)).toBe(0);
          },
        ),
        { numRuns: 50 },
      );
    },
  );

  it('lists each attestation manifest right after its image, the common platforms first', () => {
    const images = [image('s390x'), image('arm64', { attestations: 2 }), image('amd64', { attestations: 0 })];
    const [amd64, arm64, first, second, s390x, last] = children(images);
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

  it('keeps the artifact type and the other annotations of an attestation manifest', () => {
    const one = image('amd64');
    const [attestation] = one.attestations;
    const artifactType = 'application/vnd.docker.attestation.manifest.v1+json';
    const annotations = { ...attestation?.annotations, 'vnd.docker.reference.name': 'x' };
    const artifact = { ...attestation, artifactType, annotations } as Descriptor;
    const [, listed] = children([{ ...one, attestations: [artifact] }]);
    expect(listed.artifactType).toBe(artifactType);
    expect(listed.annotations).toEqual(annotations);
  });

  it('gives its own digest and type, and reads back', () => {
    const content = assemble([image('amd64'), image('arm64')], { annotations: { created: 'now' } });
    expect(content.digest).toBe(digestOf(content.bytes));
    expect(content.mediaType).toBe(TYPES.index);
    expect(documentOf(content)).toMatchObject({ schemaVersion: 2, mediaType: TYPES.index });
    expect(parseIndex(content, 'here').annotations).toEqual({ created: 'now' });
  });

  it('without annotations has no such field, nor has a descriptor', () => {
    const one = image('amd64', { attestations: 0 });
    const content = assemble([{ ...one, image: { ...one.image, annotations: {} } }]);
    expect(Buffer.from(content.bytes).toString()).not.toContain('annotations');
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
    const [first, second] = children([arm, { ...windows, platform: normalisePlatform(config), config }]);
    expect(first.platform).toEqual({ os: 'linux', architecture: 'arm', variant: 'v7' });
    expect(second.platform).toEqual(config);
    const empty = { os: 'linux', architecture: 'arm64', variant: '', 'os.version': '', 'os.features': [] };
    for (const arm64 of [image('arm64', { variant: 'v8' }), { ...image('arm64'), config: empty }])
      expect(children([arm64])[0].platform).toEqual({ os: 'linux', architecture: 'arm64' });
  });

  it('keeps the annotations of its children, under those that are asked for their platform', () => {
    const annotate = (one: PlatformImage) => ({
      ...one,
      image: { ...one.image, annotations: { title: 'one', kept: 'yes' } },
    });
    const images = [image('amd64', { attestations: 0 }), image('arm64')].map(annotate);
    const [amd64, arm64, attestation] = children(images, {
      descriptorAnnotations: ({ architecture }) => (architecture === 'arm64' ? { title: 'two' } : {}),
    });
    expect(amd64.annotations).toEqual({ title: 'one', kept: 'yes' });
    expect(arm64.annotations).toEqual({ title: 'two', kept: 'yes' });
    expect(attestation.annotations).not.toHaveProperty('title');
  });

  it.each(['__proto__', 'constructor', 'a\u0000"b', 'ü 🐳'])(
    'carries an annotation by any name and of any content: %j',
    key => {
      const annotations = Object.fromEntries([[key, 'l1\nl2 "=" 🐳']]);
      const content = assemble([image('amd64')], { annotations, descriptorAnnotations: () => annotations });
      const read = parseIndex(content, 'here');
      expect(Object.entries(read.annotations ?? {})).toEqual([[key, 'l1\nl2 "=" 🐳']]);
      expect(Object.entries(read.manifests[0]?.annotations ?? {})).toEqual([[key, 'l1\nl2 "=" 🐳']]);
    },
  );

  it.each(['type', 'digest', 'anything'])('lets nobody set vnd.docker.reference.%s', async name => {
    const asked = { [`vnd.docker.reference.${name}`]: 'attestation-manifest' };
    for (const options of [{ annotations: asked }, { descriptorAnnotations: () => asked }]) {
      const error = await failureOf(() => assemble([image('amd64')], options));
      expect(error.code).toBe('invalid-input');
      expect(error.message).toContain(`vnd.docker.reference.${name}`);
    }
  });

  it('refuses a platform that comes twice, however it is spelled', async () => {
    const error = await failureOf(() => assemble([image('arm64', { variant: 'v8' }), image('aarch64')]));
    expect(error.code).toBe('doubled-platform');
    expect(error.message).toContain('linux/arm64');
  });

  it('lets two variants of one architecture stand side by side', () => {
    const platforms = children([image('arm', { variant: 'v6' }), image('arm', { variant: 'v7' })]).map(
      (child: { platform: { variant?: string } }) => child.platform.variant,
    );
    expect(platforms.filter(Boolean)).toEqual(['v6', 'v7']);
  });

  it.each([
    [TYPES.dockerManifest, 'Docker: linux/arm64, linux/s390x'],
    [TYPES.index, `${TYPES.index}: linux/arm64, linux/s390x`],
    ['text/plain', 'text/plain: linux/arm64, linux/s390x'],
  ])('refuses children of type %s, and tells which platforms are which', async (type, found) => {
    const bare = { attestations: 0 };
    const images = [
      image('s390x', { type, ...bare }),
      image('amd64', bare),
      image('arm64', { type, ...bare }),
    ];
    const error = await failureOf(() => assemble(images));
    expect(error.code).toBe('mixed-media-types');
    expect(error.message).toContain(`OCI: linux/amd64; ${found}.`);
    expect(error.hint).toContain('oci-mediatypes');
  });

  it('refuses attestation manifests of Docker type as well', async () => {
    const error = await failureOf(() =>
      assemble([image('amd64', { attestationType: TYPES.dockerManifest })]),
    );
    expect(error.code).toBe('mixed-media-types');
    expect(error.message).toContain('Docker: the attestations of linux/amd64');
  });
});

describe('a Docker manifest list', () => {
  it('lists Docker images, and carries no annotations', () => {
    const content = assemble([docker('arm64'), docker('amd64')], { format: 'docker' });
    const { mediaType, size, digest } = docker('amd64').image;
    expect(content.mediaType).toBe(DOCKER_LIST);
    expect(documentOf(content)).toEqual({
      schemaVersion: 2,
      mediaType: DOCKER_LIST,
      manifests: [
        { mediaType, size, digest, platform: { architecture: 'amd64', os: 'linux' } },
        { ...docker('arm64').image, platform: { architecture: 'arm64', os: 'linux' } },
      ],
    });
  });

  it('refuses annotations, wherever they were to stand, and names them', async () => {
    const own = docker('amd64');
    const annotated = { ...own, image: { ...own.image, annotations: { title: 'a' } } };
    for (const refused of [
      () => assemble([own], { format: 'docker', annotations: { title: 'a' } }),
      () => assemble([own], { format: 'docker', descriptorAnnotations: () => ({ title: 'a' }) }),
      () => assemble([annotated], { format: 'docker' }),
    ]) {
      const error = await failureOf(refused);
      expect(error.code).toBe('invalid-input');
      expect(error.message).toContain('asked for: title.');
      expect(error.hint).toContain('OCI media types');
    }
  });

  it.each([TYPES.manifest, TYPES.dockerManifest])(
    'refuses attestations, of type %s too, because nothing could tie them to their image',
    async attestationType => {
      const attested = image('arm64', { type: TYPES.dockerManifest, attestationType });
      const error = await failureOf(() => assemble([docker('amd64'), attested], { format: 'docker' }));
      expect(error.code).toBe('mixed-media-types');
      expect(error.message).toContain('attestations, and there are some of linux/arm64.');
      expect(error.hint).toContain('without provenance and SBOM');
    },
  );

  it('refuses OCI images, and tells which platforms are which', async () => {
    const images = [docker('amd64'), image('arm64', { attestations: 0 })];
    const error = await failureOf(() => assemble(images, { format: 'docker' }));
    expect(error.code).toBe('mixed-media-types');
    expect(error.message).toContain('Docker: linux/amd64; OCI: linux/arm64.');
  });
});
