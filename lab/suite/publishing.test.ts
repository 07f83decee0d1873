import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { bothArchitectures, imageFor, type SyntheticImage } from '../images/synthetic.ts';
import { type Lab, startLab } from '../lab.ts';
import { type FaultProxy, type LoggedRequest, startFaultProxy } from '../parts/fault-proxy.ts';
import type { Registry, RegistryKind } from '../parts/registries.ts';
import { merge, type Release } from '../pipeline.ts';
import type { RunResult } from '../runner.ts';
import { syntheticComponents } from '../synthetic-release.ts';
import { type MergeJson, mergeJson, Oracles } from './oracles.ts';

const KINDS: readonly RegistryKind[] = ['plain', 'htpasswd', 'tls', 'olareg', 'crane'];

let lab: Lab;
let oracles: Oracles;

beforeAll(async () => {
  lab = await startLab({ registries: KINDS, sigstore: true, artifacts: true });
  oracles = new Oracles(lab);
});

afterAll(() => lab?.close());

type Builds = readonly SyntheticImage[];

const WINDOWS = '10.0.20348.2113';

/** What a merge can make, by the name of the component that becomes it; and the inputs that make it so. */
const OCI: Readonly<Record<string, Builds>> = {
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
const DOCKER: Readonly<Record<string, Builds>> = {
  'docker-list': bothArchitectures({ mediaTypes: 'docker' }),
};
const PLAIN: Readonly<Record<string, Builds>> = { 'plain-manifest': [imageFor('linux/arm64')] };
/** Components of one run, whose names begin alike. */
const ALIKE: Readonly<Record<string, Builds>> = {
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

/** An entry of a list in double quotes, as docker/build-push-action reads it. */
function quoted(entry: string): string {
  return `"${entry.replaceAll('"', '""')}"`;
}

/** The components of a run, built and pushed to `HOST/acme/COMPONENT`. */
function buildAll(host: string, components: Readonly<Record<string, Builds>>): Promise<Release> {
  return syntheticComponents(
    lab,
    Object.entries(components).map(([component, builds]) => ({
      component,
      images: [`${host}/acme/${component}`],
      // No two components hold the same image.
      builds: builds.map(build => ({
        ...build,
        text: `${component} ${JSON.stringify(build.platform)}`,
      })),
    })),
  );
}

async function mergeAll(release: Release, inputs: Readonly<Record<string, string>>): Promise<RunResult> {
  const merged = await merge(release, { with: inputs });
  expect(merged.exitCode, merged.log).toBe(0);
  return merged;
}

/** The digests of all that the builds of one component pushed, but for BuildKit's index around them. */
function built(release: Release, component: string): string[] {
  const records = lab.artifacts
    .artifacts(release.run)
    .filter(({ name }) => name.startsWith(`manifold-build.${component}.`))
    .map(({ bytes }) => JSON.parse(bytes.toString()) as { digest: string; content: string });
  return records.flatMap(({ digest, content }) => childDigests(content) ?? [digest]);
}

function childDigests(content: string): string[] | undefined {
  const { manifests } = JSON.parse(content) as { manifests?: { digest: string }[] };
  return manifests?.map(({ digest }) => digest);
}

describe.each(KINDS)('the registry %s', kind => {
  let registry: Registry;
  const found: Record<string, MergeJson> = {};
  let signed: Release;
  const at = (component: string): string => `${registry.host}/acme/${component}:1.2.3`;
  const jsonOf = (component: string): MergeJson => found[component] as MergeJson;

  beforeAll(async () => {
    registry = lab.registry(kind);
    const publish = async (components: typeof OCI, inputs: Readonly<Record<string, string>>) => {
      const release = await buildAll(registry.host, components);
      const { outputs } = await mergeAll(release, { sign: 'none', ...inputs });
      for (const name of Object.keys(components)) found[name] = mergeJson(outputs, name);
      return release;
    };
    const annotations = Object.entries(ANNOTATIONS).map(([key, value]) => quoted(`index:${key}=${value}`));
    [signed] = await Promise.all([
      publish(ALIKE, { sign: 'keyless' }),
      publish(OCI, { annotations: annotations.join('\n'), 'keep-tags': 'keep-{{digest}}' }),
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
        const pushed = built(signed, name);
        expect(childDigests(await oracles.manifest(at(name)))?.sort()).toEqual(pushed.sort());
        expect(jsonOf(name).signed?.manifests).toBe(pushed.length + 1);
        await oracles.verify(at(name));
        expect(await oracles.tags(`${registry.host}/acme/${name}`)).toEqual(['1.2.3']);
      }),
    );
    expect(new Set(Object.keys(ALIKE).flatMap(name => built(signed, name))).size).toBe(10);
  });

  describe('behind a proxy that counts', () => {
    const TAGS = 'latest, 1.2, 1.2.3';
    /** Config, layer and statement of two platforms, and the empty config that their attestations share. */
    const BLOBS = 7;
    let proxy: FaultProxy;
    let release: Release;
    let requests: readonly LoggedRequest[];
    let first: RunResult;
    let inputs: Readonly<Record<string, string>>;
    let other: string;
    let copiedTo: string;
    const copied = (tag: string): string => `${registry.host}/acme/copied:${tag}`;

    beforeAll(async () => {
      const ca = registry.ca === undefined ? {} : { ca: await readFile(registry.ca) };
      proxy = await startFaultProxy({ target: registry.url, ...ca });
      if (registry.credentials) await lab.login(proxy.host, registry.credentials);
      release = await buildAll(proxy.host, { source: bothArchitectures({ attestation: 'artifact' }) });
      const next = KINDS[(KINDS.indexOf(kind) + 1) % KINDS.length] as RegistryKind;
      other = `${lab.registry(next).host}/acme/from-${kind}`;
      copiedTo = `${proxy.host}/acme/copied`;
      inputs = { sign: 'none', images: `${copiedTo}\n${other}` };
      proxy.reset();
      first = await mergeAll(release, { ...inputs, tags: TAGS });
      requests = [...proxy.log];
    });

    afterAll(() => proxy?.close());

    /** How each blob came to a repository, as the log of the merge tells. */
    const arrivals = (image: string): string[] =>
      first.log.split('\n').flatMap(line => {
        const [, arrival, name] = /^(\w+) sha256:\w+ \(\d+ bytes\) in (\S+)$/.exec(line) ?? [];
        return arrival !== undefined && name === image ? [arrival] : [];
      });

    const writes = (log: readonly LoggedRequest[]): LoggedRequest[] =>
      log.filter(({ method }) => !['GET', 'HEAD'].includes(method));

    test('what was built in another repository is there without the upload of a single blob', async () => {
      for (const { method, path, status } of writes(requests).filter(each => each.path.includes('/blobs/'))) {
        expect({ method, status }).toEqual({ method: 'POST', status: 201 });
        expect(path).toMatch(/^\/v2\/acme\/copied\/blobs\/uploads\/\?(?:.*&)?mount=sha256(?::|%3A)/);
      }
      // crane's registry keeps the blobs of all repositories together: there they are found already.
      expect(arrivals(copiedTo)).toEqual(Array(BLOBS).fill(kind === 'crane' ? 'found' : 'mounted'));
      const { platforms, digest } = mergeJson(first.outputs);
      expect(await oracles.digestOf(copied('1.2.3'))).toBe(digest);
      for (const each of platforms) await oracles.validate(`${registry.host}/acme/copied@${each.digest}`);
    });

    test('another registry holds the same image, whole', async () => {
      expect(arrivals(other)).toEqual(Array(BLOBS).fill('uploaded'));
      const { platforms, digest } = mergeJson(first.outputs);
      for (const tag of ['1.2.3', '1.2', 'latest']) {
        expect(await oracles.digestOf(`${other}:${tag}`)).toBe(digest);
      }
      for (const { digest: image, attestations } of platforms) {
        await oracles.validate(`${other}@${image}`);
        for (const each of attestations) expect(await oracles.digestOf(`${other}@${each}`)).toBe(each);
      }
    });

    /** What was put under `manifests/` of the proxied repository, in its order. */
    const put = (): string[] =>
      writes(requests).flatMap(({ method, path }) =>
        method === 'PUT' ? [path.replace('/v2/acme/copied/manifests/', '')] : [],
      );

    test('manifests come first, then the index, then the fixed tag, the floating one and latest', () => {
      const { digest } = mergeJson(first.outputs);
      expect(put().slice(-4)).toEqual([digest, '1.2.3', '1.2', 'latest']);
      expect(put().slice(0, -4).sort()).toEqual(built(release, 'source').sort());
    });

    test('an attestation comes after the image that it names as its subject', () => {
      for (const { digest, attestations } of mergeJson(first.outputs).platforms) {
        expect(put().filter(each => [digest, ...attestations].includes(each))).toEqual([
          digest,
          ...attestations,
        ]);
      }
    });

    test('a second merge of the same records writes at most the same index again', async () => {
      proxy.reset();
      const again = await mergeAll(release, { ...inputs, tags: TAGS });
      expect(again.outputs.digest).toBe(first.outputs.digest);
      // Unsigned, it does not look for what it may push again without changing anything.
      const written = writes(proxy.log).filter(({ path }) => !path.endsWith(`/${first.outputs.digest}`));
      expect(written).toEqual([]);
    });

    test('tags of a newer version stay, and the tag of the older one is set', async () => {
      const older = await mergeAll(release, { ...inputs, tags: 'latest, 1.2, 1.2.2' });
      expect(older.outputs.digest).not.toBe(first.outputs.digest);
      const full = (tags: readonly string[]): string[] =>
        [copiedTo, other].flatMap(name => tags.map(tag => `${name}:${tag}`)).sort();
      expect(older.outputs.tags?.split('\n').sort()).toEqual(full(['1.2.2']));
      expect(older.outputs['unmoved-tags']?.split('\n').sort()).toEqual(full(['1.2', 'latest']));
      expect(await oracles.digestOf(copied('1.2.2'))).toBe(older.outputs.digest);
      const stayed = ['1.2', 'latest'].flatMap(tag => [copied(tag), `${other}:${tag}`]);
      const digests = await Promise.all(stayed.map(name => oracles.digestOf(name)));
      expect(new Set(digests)).toEqual(new Set([first.outputs.digest]));
    });

    test('an immutable tag that would move is refused before anything is written', async () => {
      proxy.reset();
      const changed = { annotations: 'index:org.example.more=1', 'immutable-tags': '*.*.*' };
      const refused = await merge(release, { with: { ...inputs, ...changed, tags: '1.2.3, next' } });
      expect(refused.exitCode).toBe(1);
      expect(refused.annotations.map(({ title }) => title).join()).toContain('tag-immutable');
      expect(writes(proxy.log)).toEqual([]);
      expect(await oracles.digestOf(copied('1.2.3'))).toBe(first.outputs.digest);
      expect(await oracles.digestOf(copied('next'))).toBeUndefined();
    });
  });
});

test('one merge publishes each component under one digest in all registries, wherever it was built', async () => {
  const release = await buildAll(lab.registry('plain').host, {
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
