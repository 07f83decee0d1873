import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bothArchitectures, imageFor, type SyntheticImage } from '../images/synthetic.ts';
import { type Lab, startLab } from '../lab.ts';
import { check } from '../parts/command.ts';
import { buildBoth, merge, newRelease, type Release } from '../pipeline.ts';
import { syntheticComponents } from '../synthetic-release.ts';
import { toolPath } from '../tools/catalog.ts';
import { mergeJson, Oracles } from './oracles.ts';

/** What both programs are given, and what becomes of it. The keys of the differences are sections of docs/imagetools.md. */
interface Case {
  /** `buildkit`: real builds of both architectures. */
  readonly builds: readonly SyntheticImage[] | 'buildkit';
  /** Given to both: as the input `annotations` to ours, as `--annotation` to imagetools. */
  readonly annotations?: readonly string[];
  readonly inputs?: Readonly<Record<string, string>>;
  readonly options?: readonly string[];
  /** The order of the sources on imagetools' command line; otherwise it is not that of our index. */
  readonly inOurOrder?: true;
  /** Every difference, and no other, in the words of `compare`. */
  readonly differences: Readonly<Record<string, readonly string[]>>;
}

const DEFAULTS = {
  'default-annotations': ['created', 'revision', 'source', 'version'].map(
    name => `ours: annotations > org.opencontainers.image.${name}`,
  ),
};
const ORDER = { order: ['order: manifests'] };

const CASES: Readonly<Record<string, Case>> = {
  'attested builds of BuildKit': {
    builds: 'buildkit',
    annotations: ['index:org.example.title=An app, "quoted"', 'index:org.example.empty='],
    differences: { ...ORDER, ...DEFAULTS },
  },
  'builds attested by artifacts': {
    builds: bothArchitectures({ attestation: 'artifact' }),
    differences: { ...ORDER, ...DEFAULTS },
  },
  'images of several variants, and one of Windows': {
    builds: [
      imageFor('linux/arm/v7'),
      imageFor('linux/arm/v6'),
      imageFor('linux/arm64', { config: { variant: 'v8' } }),
      imageFor('linux/amd64/v3'),
      imageFor('windows/amd64', { config: { 'os.version': '10.0.20348.2113', 'os.features': ['win32k'] } }),
    ],
    differences: {
      ...ORDER,
      ...DEFAULTS,
      'windows-version': [
        'ours: manifests > windows/amd64 > platform > os.features',
        'ours: manifests > windows/amd64 > platform > os.version',
      ],
    },
  },
  'annotations of the descriptors of all images': {
    builds: bothArchitectures({ attestation: 'image' }),
    annotations: ['manifest-descriptor:org.example.b=1', 'manifest-descriptor[linux/arm64]:org.example.a=2'],
    differences: {
      ...ORDER,
      ...DEFAULTS,
      'attestation-descriptors': ['linux/amd64', 'linux/arm64'].map(
        platform => `imagetools: manifests > attestation of ${platform} > annotations > org.example.b`,
      ),
    },
  },
  'an annotation with signs of HTML': {
    builds: bothArchitectures(),
    annotations: ['index:org.example.note=a < b & c > d, é, 🚢'],
    differences: { ...ORDER, ...DEFAULTS, 'html-escapes': ['spelling: the document'] },
  },
  'one attested build': {
    builds: [imageFor('linux/amd64', { attestation: 'artifact' })],
    differences: DEFAULTS,
  },
  'one image, as an index': {
    builds: [imageFor('linux/arm/v7')],
    differences: DEFAULTS,
  },
  'one image, as it is': {
    builds: [imageFor('linux/arm/v7')],
    inputs: { 'single-platform': 'manifest' },
    options: ['--prefer-index=false'],
    differences: {},
  },
  'Docker images, in our order': {
    builds: [
      ...bothArchitectures({ mediaTypes: 'docker' }),
      imageFor('linux/arm/v6', { mediaTypes: 'docker' }),
    ],
    inputs: { 'oci-mediatypes': 'false' },
    inOurOrder: true,
    differences: {},
  },
};

let lab: Lab;
let oracles: Oracles;

beforeAll(async () => {
  lab = await startLab({ buildkit: true, registries: ['plain'], artifacts: true });
  oracles = new Oracles(lab);
});

afterAll(() => lab?.close());

let images = 0;

async function prepare(builds: Case['builds']): Promise<{ image: string; release: Release }> {
  images++;
  const image = `${lab.registry('plain').host}/acme/app-${images}`;
  if (builds !== 'buildkit') {
    return {
      image,
      release: await syntheticComponents(lab, [{ component: 'app', images: [image], builds }]),
    };
  }
  const release = newRelease(lab, [image]);
  await buildBoth(release);
  return { image, release };
}

/** The digests that the builds pushed, by platform. */
function pushed({ run }: Release): Map<string, string> {
  const records = lab.artifacts
    .artifacts(run)
    .filter(({ name }) => name.startsWith('manifold-build.'))
    .map(({ bytes }) => JSON.parse(bytes.toString()) as { platform: string; digest: string });
  return new Map(records.map(({ platform, digest }) => [platform, digest]));
}

function mergeInto(release: Release, { annotations = [], inputs = {} }: Partial<Case>) {
  const lines = annotations.map(text => `"${text.replaceAll('"', '""')}"`).join('\n');
  return merge(release, { with: { sign: 'none', tags: '1.2.3', annotations: lines, ...inputs } });
}

function create(
  image: string,
  digests: readonly string[],
  { annotations = [], options = [] }: Partial<Case>,
) {
  const args = [...options, ...annotations.flatMap(text => ['--annotation', text])];
  return oracles.createIndex(image, 'peer', digests, args);
}

test.each(Object.entries(CASES))('%s', async (_, { differences, inOurOrder, ...given }) => {
  const { image, release } = await prepare(given.builds);
  const merged = await mergeInto(release, given);
  expect(merged.exitCode, merged.log).toBe(0);
  const { platforms } = mergeJson(merged.outputs);
  const order = platforms.map(({ platform }) => pushed(release).get(platform) as string);
  const created = await create(image, inOurOrder ? order : order.toReversed(), given);
  expect(created.status, created.stderr).toBe(0);

  const [ours, theirs] = await Promise.all([
    oracles.manifest(`${image}:1.2.3`),
    oracles.manifest(`${image}:peer`),
  ]);
  expect(compare(ours, theirs).sort()).toEqual(Object.values(differences).flat().sort());
  if (Object.keys(differences).length === 0) expect(theirs).toBe(ours);
});

/** What one of the two refuses, and what the other makes of it. */
interface Refusal extends Omit<Case, 'differences' | 'inOurOrder'> {
  readonly builds: readonly SyntheticImage[];
  /** The code of our error; undefined where imagetools is who refuses. */
  readonly code?: string;
  /** What of the document of the one that goes on tells the difference. */
  readonly made: object;
  /** A field that is not in it. */
  readonly lacks?: string;
}

const DOCKER_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';
const OCI_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const REFUSALS: Readonly<Record<string, Refusal>> = {
  'docker-annotations': {
    builds: bothArchitectures({ mediaTypes: 'docker' }),
    annotations: ['index:org.example.title=App'],
    inputs: { 'oci-mediatypes': 'false' },
    code: 'invalid-input',
    made: { mediaType: 'application/vnd.docker.distribution.manifest.list.v2+json' },
    lacks: 'annotations',
  },
  'mixed-types': {
    builds: [imageFor('linux/amd64'), imageFor('linux/arm64', { mediaTypes: 'docker' })],
    code: 'mixed-media-types',
    made: {
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [{ mediaType: DOCKER_TYPE }, { mediaType: OCI_TYPE }],
    },
  },
  'wrong-platform': {
    builds: [imageFor('linux/amd64'), imageFor('linux/arm64', { config: { architecture: 'amd64' } })],
    code: 'wrong-architecture',
    made: {
      manifests: [{ platform: { architecture: 'amd64' } }, { platform: { architecture: 'amd64' } }],
    },
  },
  'missing-platform': {
    builds: [imageFor('linux/amd64')],
    inputs: { platforms: 'linux/amd64, linux/arm64' },
    code: 'missing-platform',
    made: { manifests: [{ platform: { architecture: 'amd64' } }] },
  },
  'manifest-annotations': {
    builds: bothArchitectures(),
    annotations: ['manifest:org.example.title=App'],
    made: { annotations: { 'org.example.title': 'App' } },
  },
};

test.each(Object.entries(REFUSALS))('only one of them goes on: %s', async (_, refusal) => {
  const { image, release } = await prepare(refusal.builds);
  const merged = await mergeInto(release, refusal);
  // By platform, the last one first: never in the order of our index.
  const created = await create(
    image,
    [...pushed(release)].toSorted(([a], [b]) => b.localeCompare(a)).map(([, digest]) => digest),
    refusal,
  );
  const isOurs = refusal.code !== undefined;
  expect({ ours: merged.exitCode, imagetools: created.status }, merged.log + created.stderr).toEqual({
    ours: isOurs ? 1 : 0,
    imagetools: isOurs ? 0 : 1,
  });
  if (isOurs) expect(merged.annotations.map(({ title }) => title).join()).toContain(refusal.code);
  const made = JSON.parse(await oracles.manifest(`${image}:${isOurs ? 'peer' : '1.2.3'}`)) as object;
  expect(made).toMatchObject(refusal.made);
  if (refusal.lacks !== undefined) expect(made).not.toHaveProperty(refusal.lacks);
});

test('docs/imagetools.md has a section for each difference, which names its fields, and no others', async () => {
  const text = await readFile(new URL('../../docs/imagetools.md', import.meta.url), 'utf8');
  const sections = new Map(
    text
      .split(/^### /m)
      .slice(1)
      .map(section => [/^`([\w-]+)`/.exec(section)?.[1], section] as const),
  );
  const found = Object.values(CASES).flatMap(({ differences }) => Object.entries(differences));
  const ids = new Set([...found.map(([id]) => id), ...Object.keys(REFUSALS)]);
  expect(new Set(sections.keys())).toEqual(ids);
  for (const [id, differences] of found) {
    for (const field of differences.filter(each => each.startsWith('ours: ')).map(lastField)) {
      expect(sections.get(id)).toContain(`\`${field}\``);
    }
  }
  for (const [id, { code = '' }] of Object.entries(REFUSALS)) expect(sections.get(id)).toContain(code);
  expect(text).toContain((await check(toolPath('buildx'), ['version'])).split(' ')[1]);
});

function lastField(difference: string): string {
  return difference.split(' > ').at(-1) as string;
}

type Document = Readonly<Record<string, unknown>>;

/**
 * All differences of two documents: `ours: FIELD` and `imagetools: FIELD` for what only one of them has, `other value:
 * FIELD`, `order: FIELD` where the same things stand in another order, and `spelling: the document` where one of them is
 * not written as two spaces of indentation and the fewest escapes make it.
 */
function compare(ours: string, theirs: string): string[] {
  const documents = [ours, theirs].map(text => JSON.parse(text) as Document);
  const isSpeltAlike = [ours, theirs].every(
    (text, position) => text === JSON.stringify(documents[position], null, 2),
  );
  const [left, right] = documents.map(withNamedChildren) as [Document, Document];
  return [
    ...compareFields([], left, right),
    ...(isSpeltAlike || ours === theirs ? [] : ['spelling: the document']),
  ];
}

function compareFields(path: readonly string[], ours: Document, theirs: Document): string[] {
  const at = (key: string): string => [...path, key].join(' > ');
  const [keys, others] = [Object.keys(ours), Object.keys(theirs)];
  const common = keys.filter(key => others.includes(key));
  const isOrdered = common.join('\n') === others.filter(key => keys.includes(key)).join('\n');
  return [
    ...keys.filter(key => !others.includes(key)).flatMap(key => leaves([...path, key], ours[key], 'ours')),
    ...others
      .filter(key => !keys.includes(key))
      .flatMap(key => leaves([...path, key], theirs[key], 'imagetools')),
    ...(isOrdered ? [] : [`order: ${path.join(' > ') || 'the document'}`]),
    ...common.flatMap(key => {
      const [left, right] = [ours[key], theirs[key]];
      if (isObject(left) && isObject(right)) return compareFields([...path, key], left, right);
      return JSON.stringify(left) === JSON.stringify(right) ? [] : [`other value: ${at(key)}`];
    }),
  ];
}

/** What only one of them has, field by field, so that it tells the same whether its object is there or not. */
function leaves(path: readonly string[], value: unknown, owner: string): string[] {
  if (!isObject(value)) return [`${owner}: ${path.join(' > ')}`];
  return Object.entries(value).flatMap(([key, inner]) => leaves([...path, key], inner, owner));
}

function isObject(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface Child {
  readonly digest: string;
  readonly platform: { os: string; architecture: string; variant?: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The children of an index by what they are, in their order. */
function withNamedChildren(document: Document): Document {
  const children = document.manifests as readonly Child[] | undefined;
  if (children === undefined) return document;
  const nameOf = ({ annotations, platform }: Child): string => {
    const about = annotations?.['vnd.docker.reference.digest'];
    const image = children.find(({ digest }) => digest === about);
    if (image !== undefined) return `attestation of ${nameOf(image)}`;
    return [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/');
  };
  return { ...document, manifests: Object.fromEntries(children.map(child => [nameOf(child), child])) };
}
