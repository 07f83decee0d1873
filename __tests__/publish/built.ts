import { parsePlatform } from '../../src/oci/platform.ts';
import { parseTagEntry, type TagEntry } from '../../src/oci/tags.ts';
import { type AssembleOptions, assemble } from '../../src/publish/assemble.ts';
import type { Publication } from '../../src/publish/publication.ts';
import { BuildReader, type Connect, readBuilds } from '../../src/publish/read-builds.ts';
import type { ComponentSet } from '../../src/records/closed-set.ts';
import type { BuildRecord } from '../../src/records/record.ts';
import { registries as clientsOf, FAST, opened } from '../servers/clients.ts';
import { type ImageOptions, type PushedImage, pushImage, recordOf } from '../servers/images.ts';
import { type RegistryOptions, startRegistry } from '../servers/registry.ts';

export const tagEntries = (...tags: string[]): TagEntry[] => tags.map(parseTagEntry);

export interface BuiltOptions {
  readonly registries?: readonly RegistryOptions[];
  readonly platforms?: readonly string[];
  readonly component?: string;
  readonly image?: ImageOptions;
  /** Into how many of the registries the builds pushed, from the first. */
  readonly to?: number;
  readonly retry?: typeof FAST;
}

/** Registries that hold builds of an image, and what a merge knows of them. */
export async function setUp(options: BuiltOptions = {}) {
  const { component = 'app', platforms = ['linux/arm64', 'linux/amd64'] } = options;
  const registries = await Promise.all((options.registries ?? [{}]).map(kind => opened(startRegistry(kind))));
  const { to = registries.length } = options;
  const names = registries.map(({ host }) => `${host}/acme/${component}`);
  const repositories = registries.map(({ host }) => ({ registry: host, path: `acme/${component}` }));
  const push = (platform: string, change: ImageOptions = {}): PushedImage => {
    const image = { ...parsePlatform(platform), ...options.image, ...change };
    const [first] = registries
      .slice(0, to)
      .map(registry => pushImage(registry.repository(`acme/${component}`), image));
    return first as PushedImage;
  };
  const record = (platform: string, image: PushedImage, change: Partial<BuildRecord> = {}): BuildRecord => {
    const attestations = image.attestation === undefined ? { attestations: [] } : {};
    return recordOf(image.root, platform, {
      component,
      images: names.slice(0, to),
      ...attestations,
      ...change,
    });
  };
  const images = new Map(platforms.map(platform => [platform, push(platform)]));
  const records = [...images].map(([platform, image]) => record(platform, image));
  const set: ComponentSet = { component, records, missing: [], plan: undefined };
  const clients = clientsOf({ retry: options.retry ?? FAST });
  const connect: Connect = repository => clients.repository(repository);
  const reader = new BuildReader(connect);
  return { registries, names, repositories, images, push, record, records, set, connect, reader };
}

export type Built = Awaited<ReturnType<typeof setUp>>;

/** All builds, read from where they were pushed. */
export const buildsOf = ({ records, repositories, reader }: Built) =>
  readBuilds(records, repositories, reader);

/** What a merge makes of builds when nobody says otherwise: tagged as 1.0. */
export const assembleOptions = (
  { connect, reader }: Pick<Built, 'connect' | 'reader'>,
  change: Partial<AssembleOptions> = {},
): AssembleOptions => ({
  destinations: { images: undefined, tags: tagEntries('1.0'), byDigestOnly: false },
  connect,
  reader,
  server: 'https://github.com',
  plan: undefined,
  version: undefined,
  metadata: [],
  annotations: [],
  format: 'oci',
  singlePlatform: 'index',
  onNotice: () => {},
  ...change,
});

/** What a merge makes of the builds; `notices` is what it tells of it. */
export async function publish(
  all: Pick<Built, 'set' | 'connect' | 'reader'>,
  change: Partial<AssembleOptions> = {},
): Promise<{ publication: Publication; notices: string[] }> {
  const notices: string[] = [];
  const [publication] = await assemble(
    { components: [all.set], problems: [] },
    assembleOptions(all, {
      destinations: { images: undefined, tags: tagEntries('1.0', 'latest'), byDigestOnly: false },
      onNotice: notice => void notices.push(notice),
      ...change,
    }),
  );
  return { publication: publication as Publication, notices };
}
