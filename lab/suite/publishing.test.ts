import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { bothArchitectures, imageFor } from '../images/synthetic.ts';
import { type Lab, startLab } from '../lab.ts';
import type { Registry } from '../parts/registries.ts';
import { listInput, type Release } from '../pipeline.ts';
import { buildAll, type Components, KINDS, mergeAll } from './components.ts';
import { type MergeJson, mergeJson, Oracles } from './oracles.ts';
import { builtDigests, childDigests } from './stored-records.ts';

// Whatever a merge can make, in every registry: programs that are not ours read it as it was meant.

let lab: Lab;
let oracles: Oracles;

beforeAll(async () => {
  lab = await startLab({ registries: KINDS, sigstore: true, artifacts: true });
  oracles = new Oracles(lab);
});

afterAll(() => lab?.close());

const WINDOWS = '10.0.20348.2113';

/** What a merge can make, by the name of the component that becomes it; and the inputs that make it so. */
const OCI: Components = {
  'attested-by-artifacts': bothArchitectures({ attestation: 'artifact' }),
  'attested-by-images': bothArchitectures({ attestation: 'image' }),
  unattested: bothArchitectures(),
  'index-of-one': [imageFor('linux/amd64', { attestation: 'artifact' })],
  variants: [
    imageFor('linux/arm/v7'),
    imageFor('linux/arm/v6'),
    imageFor('linux/amd64/v3'),
    imageFor('linux/amd64'),
  ],
  'version-of-windows': [
    imageFor('windows/amd64', { config: { 'os.version': WINDOWS, 'os.features': ['win32k'] } }),
    imageFor('linux/amd64'),
  ],
};
const DOCKER: Components = {
  'docker-list': bothArchitectures({ mediaTypes: 'docker' }),
};
const PLAIN: Components = { 'plain-manifest': [imageFor('linux/arm64')] };
/** Components of one run, whose names begin alike. */
const ALIKE: Components = {
  app: bothArchitectures({ attestation: 'artifact' }),
  'app-api': bothArchitectures({ attestation: 'image' }),
  'app-api-v2': bothArchitectures(),
};
const INDEXES = Object.keys({ ...OCI, ...DOCKER });

/** Values that shells, lists and JSON have trouble with. */
const ANNOTATIONS: Readonly<Record<string, string>> = {
  'org.example.spaces': '  two  and a half, = and # ',
  'org.example.quotes': `say "hi", it's \\ "fine"`,
  'org.example.unicode': 'Grüße, 船 🚢 <&>',
  'org.example.lines': 'first\n\n  third\ttabbed',
  'org.example.empty': '',
};

describe.each(KINDS)('the registry %s', kind => {
  let registry: Registry;
  const found: Record<string, MergeJson> = {};
  let signed: Release;
  let annotated: Release;
  const at = (component: string): string => `${registry.host}/acme/${component}:1.2.3`;
  const jsonOf = (component: string): MergeJson => found[component] as MergeJson;

  beforeAll(async () => {
    registry = lab.registry(kind);
    const publish = async (components: Components, inputs: Readonly<Record<string, string>>) => {
      const release = await buildAll(lab, registry.host, components);
      const { outputs } = await mergeAll(release, { sign: 'none', ...inputs });
      for (const name of Object.keys(components)) found[name] = mergeJson(outputs, name);
      return release;
    };
    const annotations = Object.entries(ANNOTATIONS).map(([key, value]) => `index:${key}=${value}`);
    [signed, annotated] = await Promise.all([
      publish(ALIKE, { sign: 'keyless' }),
      publish(OCI, { annotations: listInput(annotations), 'keep-tags': 'keep-{{digest}}' }),
      publish(DOCKER, { 'oci-mediatypes': 'false', 'platform-tag-suffix': '-{{arch}}' }),
      publish(PLAIN, { 'single-platform': 'manifest' }),
    ]);
  });

  test.each([...INDEXES, ...Object.keys(PLAIN)])('four programs read the same bytes: %s', async component => {
    const texts = Object.values(await oracles.readIndex(registry, at(component)));
    const [first = '', ...others] = texts.map(text => text.trimEnd());
    for (const other of others) expect(other).toBe(first);
    expect(digestOf(Buffer.from(first))).toBe(jsonOf(component).digest);
  });

  test.each(INDEXES)('crane, regctl and skopeo find every platform: %s', async component => {
    const { platforms } = jsonOf(component);
    expect(platforms).toHaveLength({ ...OCI, ...DOCKER }[component]?.length ?? 0);
    await Promise.all(
      platforms.map(async ({ platform, digest }) => {
        const osVersion = platform === 'windows/amd64' ? WINDOWS : undefined;
        expect(await oracles.childFor(at(component), platform, osVersion)).toEqual({
          crane: digest,
          regctl: digest,
        });
        expect(await oracles.configFor(registry, at(component), platform)).toBe(platform);
      }),
    );
  });

  test('crane finds no other version of Windows', async () => {
    const { crane } = await oracles.childFor(at('version-of-windows'), 'windows/amd64', '10.0.17763.1');
    expect(crane).toBeUndefined();
  });

  test('crane finds every manifest, config and layer, and each has its digest', async () => {
    const whole = Object.keys(found).filter(component => !isArtifactAttested(component));
    // Of an index crane takes everything for images, also attestations that are none: these by their images.
    const images = Object.keys(found)
      .filter(isArtifactAttested)
      .flatMap(component => jsonOf(component).platforms.map(({ digest }) => [component, digest] as const));
    await Promise.all([
      ...whole.map(component => oracles.validate(at(component))),
      ...images.map(([name, digest]) => oracles.validate(`${registry.host}/acme/${name}@${digest}`)),
    ]);
  });

  test('annotations come back as they were written, whoever parses them', async () => {
    const expected = {
      ...ANNOTATIONS,
      'dev.manifold.run': `https://github.com/acme/widget/actions/runs/${annotated.run}`,
      'org.opencontainers.image.created': '1970-01-01T00:00:00.000Z',
      'org.opencontainers.image.revision': 'a'.repeat(40),
      'org.opencontainers.image.source': 'https://github.com/acme/widget',
      'org.opencontainers.image.version': '1.2.3',
    };
    const { annotations } = JSON.parse(await oracles.manifest(at('unattested'))) as { annotations: object };
    const parsed = await oracles.annotations(at('unattested'));
    expect({ crane: annotations, ...parsed }).toEqual({
      crane: expected,
      regctl: expected,
      imagetools: expected,
    });
  });

  test('"keep-tags" gives every child a tag, and "platform-tag-suffix" every platform', async () => {
    const { platforms } = jsonOf('attested-by-artifacts');
    const children = platforms.flatMap(({ digest, attestations }) => [digest, ...attestations]);
    expect(children).toHaveLength(4);
    const kept = children.map(digest => `keep-${digest.replace('sha256:', '')}`);
    const tags = await oracles.tags(`${registry.host}/acme/attested-by-artifacts`);
    expect(tags.sort()).toEqual(['1.2.3', ...kept].sort());

    for (const { platform, digest } of jsonOf('docker-list').platforms) {
      expect(await oracles.digestOf(`${at('docker-list')}-${platform.split('/')[1]}`)).toBe(digest);
    }
    const named = await oracles.tags(`${registry.host}/acme/docker-list`);
    expect(named.sort()).toEqual(['1.2.3', '1.2.3-amd64', '1.2.3-arm64']);
  });

  test('three components whose names begin alike become three signed images, each of its own builds', async () => {
    await Promise.all(
      Object.keys(ALIKE).map(async name => {
        const pushed = builtDigests(signed, name);
        expect(childDigests(await oracles.manifest(at(name)))?.sort()).toEqual(pushed.sort());
        expect(jsonOf(name).signed?.manifests).toBe(pushed.length + 1);
        await oracles.verify(at(name));
        expect(await oracles.tags(`${registry.host}/acme/${name}`)).toEqual(['1.2.3']);
      }),
    );
    expect(new Set(Object.keys(ALIKE).flatMap(name => builtDigests(signed, name))).size).toBe(10);
  });
});

test('one merge publishes each component under one digest in all registries, wherever it was built', async () => {
  const release = await buildAll(lab, lab.registry('plain').host, {
    web: bothArchitectures({ attestation: 'artifact' }),
    'web-admin': bothArchitectures(),
  });
  const images = lab.registries.map(({ host }) => `${host}/everywhere/{{component}}`).join('\n');
  const { outputs } = await mergeAll(release, { sign: 'none', images, tags: '2.0.0' });
  for (const component of ['web', 'web-admin']) {
    const { digest, platforms } = mergeJson(outputs, component);
    for (const { host } of lab.registries) {
      const name = `${host}/everywhere/${component}`;
      expect(await oracles.digestOf(`${name}:2.0.0`)).toBe(digest);
      await Promise.all(platforms.map(each => oracles.validate(`${name}@${each.digest}`)));
    }
  }
});

function isArtifactAttested(component: string): boolean {
  return { ...OCI, ...ALIKE }[component]?.some(({ attestation }) => attestation === 'artifact') ?? false;
}
