import { describe, expect, it } from 'vitest';
import { parseAnnotation } from '../../src/oci/annotations.ts';
import { parseIndex } from '../../src/oci/manifest.ts';
import { formatPlatform, parsePlatform } from '../../src/oci/platform.ts';
import { assemble } from '../../src/publish/assemble.ts';
import { closeSet } from '../../src/records/closed-set.ts';
import { failureOf, SHORT } from '../servers/clients.ts';
import { TYPES } from '../servers/images.ts';
import { assembleOptions, type Built, publish, setUp, tagEntries } from './built.ts';

const VERSION = 'org.opencontainers.image.version';
const DOCKER = { mediaType: TYPES.dockerManifest, attested: false };

const annotationsOf = async (...args: Parameters<typeof publish>) =>
  parseIndex((await publish(...args)).publication.image.content, 'here').annotations;

/** What was written to any of the registries. */
const written = ({ registries }: Built): string[] =>
  registries.flatMap(({ log }) =>
    log.filter(({ method }) => !['GET', 'HEAD'].includes(method)).map(({ path }) => path),
  );

describe('what a merge publishes', () => {
  it('is read from the registries, and nothing is written', async () => {
    const all = await setUp({ registries: [{}, {}] });
    const { publication, notices } = await publish(all);
    expect(publication.component).toBe('app');
    expect(publication.targets.map(({ client, tags }) => `${client.name} ${tags}`)).toEqual(
      all.names.map(name => `${name} 1.0,latest`),
    );
    expect(publication.image.platforms.map(({ platform }) => formatPlatform(platform))).toEqual([
      'linux/amd64',
      'linux/arm64',
    ]);
    expect(notices).toEqual([]);
    expect(written(all)).toEqual([]);
  });

  it('is the same bytes wherever it goes and whatever order the records come in', async () => {
    const all = await setUp({ registries: [{}, {}] });
    const { publication } = await publish(all);
    const again = { ...all, set: { ...all.set, records: [...all.records].reverse() } };
    const images = () => all.repositories.slice(1);
    const other = await publish(again, {
      destinations: { images, tags: tagEntries('1.0'), byDigestOnly: false },
    });
    expect(other.publication.image.content.digest).toBe(publication.image.content.digest);
  });

  it.each([
    [['1.2.3'], undefined, '1.2.3'],
    [['latest', 'v1.2.3-rc.1', '1.2'], undefined, '1.2.3-rc.1'],
    [['1.2', 'latest'], undefined, undefined],
    [['1.2.3.4', '20261121'], undefined, undefined],
    [['1.2.3'], '9.9.9', '9.9.9'],
  ])('with the tags %j and the version %s is of version %s', async (tags, version, expected) => {
    const all = await setUp({ platforms: ['linux/amd64'] });
    const destinations = { images: undefined, tags: tagEntries(...tags), byDigestOnly: false };
    expect((await annotationsOf(all, { destinations, version }))?.[VERSION]).toBe(expected);
  });

  it('without a platform that may be missing says so, in the index and to who reads the log', async () => {
    const all = await setUp();
    const set = { ...all.set, missing: [parsePlatform('linux/s390x')] };
    const { publication, notices } = await publish({ ...all, set });
    expect(publication.image.missing).toEqual(set.missing);
    const { annotations } = parseIndex(publication.image.content, 'here');
    expect(annotations).toMatchObject({ 'dev.manifold.missing-platforms': 'linux/s390x' });
    expect(notices).toEqual(['app is published without linux/s390x, as "allow-missing" says.']);
  });

  it('tells of annotations that went elsewhere than they were meant for, and of which component', async () => {
    const { notices } = await publish(await setUp(), { annotations: [parseAnnotation('manifest:a=b')] });
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatch(/^app: .*"manifest"/);
  });
});

describe.each([
  ['a Docker manifest list', { format: 'docker' }],
  ['a plain image manifest', { singlePlatform: 'manifest' }],
] as const)('%s', (name, change) => {
  const bare = () => setUp({ platforms: ['linux/amd64'], image: DOCKER });
  const metadata = [parseAnnotation('index:org.opencontainers.image.title=App')];

  it('has no annotations of the merge, nor of docker/metadata-action, and says so', async () => {
    const { publication, notices } = await publish(await bare(), { ...change, metadata });
    const document = JSON.parse(Buffer.from(publication.image.content.bytes).toString());
    expect(document.annotations).toBeUndefined();
    expect(notices).toHaveLength(1);
    expect(notices[0]).toContain(name);
  });

  it('is an error with annotations that were asked for by name', async () => {
    const annotations = [parseAnnotation('index:a=b')];
    const all = await bare();
    expect((await failureOf(() => publish(all, { ...change, annotations }))).code).toBe('invalid-input');
  });
});

describe('a set that is not what it should be', () => {
  it('is refused by one table, of what the records lack and of what the registries hold', async () => {
    const all = await setUp({ platforms: ['linux/amd64'], retry: SHORT });
    const wrong = all.record('linux/arm64', all.push('linux/arm64', { architecture: 'amd64', content: 'x' }));
    const gone = all.record('linux/arm/v7', all.push('linux/arm/v7'));
    const { digest } = JSON.parse(gone.content).manifests[0];
    all.registries[0]?.repository('acme/app').manifests.delete(digest);
    const platforms = ['linux/amd64', 'linux/arm64', 'linux/arm/v7', 'linux/s390x'].map(parsePlatform);
    const builds = [...all.records, wrong, gone];
    const closed = closeSet({ plan: undefined, builds }, { components: [], platforms, allowMissing: [] });
    const error = await failureOf(() => assemble(closed, assembleOptions(all)));
    expect(error.code).toBe('missing-platform');
    const rows = error.message.split('\n').slice(2);
    expect(rows).toHaveLength(3);
    expect(
      rows.map(row => row.trim().split(/ {2,}/)[1]).toSorted((a = '', b = '') => a.localeCompare(b)),
    ).toEqual(['linux/arm/v7', 'linux/arm64', 'linux/s390x']);
    expect(written(all)).toEqual([]);
  });

  it.each([
    ['that has a build of one platform', ['linux/amd64']],
    ['that has no build at all', []],
  ])('%s is told before what is wrong with its tags', async (_, platforms) => {
    const all = await setUp({ platforms });
    const problem = {
      code: 'missing-platform',
      component: 'app',
      platform: 'linux/s390x',
      expected: 'a build',
      found: 'none',
      remedy: 'build it',
    } as const;
    const destinations = { images: undefined, tags: [], byDigestOnly: false };
    const of = (problems: (typeof problem)[]) =>
      assemble(
        { components: platforms.length === 0 && problems.length > 0 ? [] : [all.set], problems },
        assembleOptions(all, { destinations }),
      );
    expect((await failureOf(() => of([problem]))).code).toBe('missing-platform');
    expect((await failureOf(() => of([]))).code).toBe('missing-input');
    expect(all.registries[0]?.log).toEqual([]);
  });

  it('with Docker-type children is refused for an OCI index, and the other way round', async () => {
    const docker = await setUp({ platforms: ['linux/amd64'], image: DOCKER });
    expect((await failureOf(() => publish(docker))).code).toBe('mixed-media-types');
    const oci = await setUp({ platforms: ['linux/amd64'], image: { attested: false } });
    expect((await failureOf(() => publish(oci, { format: 'docker' }))).code).toBe('mixed-media-types');
  });
});
