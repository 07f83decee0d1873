import { made, type PushedImage, pushImage, storeManifest, TYPES } from '../../__tests__/servers/images.ts';
import { addressOf, RUN } from './annotations.ts';
import { type EarlierImage, names } from './earlier.ts';
import { tagOfPlatform } from './platform-tags.ts';
import type { Site } from './site.ts';
import { type Build, isIdle } from './world.ts';

/** What a platform's image says of itself: arm64 is written in two ways. */
function configOf(platform: string, row: number) {
  const [os = '', architecture = '', variant] = platform.split('/');
  const written = architecture === 'arm64' && row % 2 === 1 ? 'v8' : variant;
  return { os, architecture, ...(written === undefined ? {} : { variant: written }) };
}

/** Pushes an image to where the builds push. @param change of what the image says of itself */
export function pushBuild(site: Site, build: Build, content: string, change: object = {}): PushedImage {
  const options = {
    ...configOf(build.platform, build.row),
    content,
    attested: build.attested,
    ...change,
  };
  const pushed = site.world.sources.map(place => pushImage(site.repository(place, build.component), options));
  return pushed[0] as PushedImage;
}

const CREATED = { before: '2026-11-20T10:00:00.000Z', after: '2026-11-22T10:00:00.000Z' };
const RUNS = { before: '1', after: '9'.repeat(20) };
const SOURCES = {
  none: undefined,
  ours: 'https://github.com/acme/app',
  another: 'https://github.com/acme/fork',
};

/** Names under which the digests of `Site.earlier` are kept. */
export const earlierKey = (target: number, component: string, tag: string): string =>
  `${target} ${component} ${tag}`;

/** Publishes what earlier runs have published: an image for each tag that exists. */
export function publishEarlier(site: Site): void {
  const { world } = site;
  for (const component of world.components) {
    for (const { tag, image, at, hasPlatforms } of world.earlier) {
      for (const target of at) {
        const { index, child } = pushEarlier(site, target, component, tag, image);
        point(site, target, component, tag, index);
        if (hasPlatforms)
          for (const each of platformTags(site, component, tag)) point(site, target, component, each, child);
      }
    }
  }
}

function pushEarlier(site: Site, target: number, component: string, tag: string, image: EarlierImage) {
  const contents = site.target(target, component);
  const { manifest } = pushImage(contents, { content: `earlier ${component} ${tag}`, attested: false });
  const source = SOURCES[image.source];
  const prefix = 'org.opencontainers.image.';
  const annotations = {
    [`${prefix}source`]: source,
    [`${prefix}created`]: CREATED[image.created],
    ...(image.version === undefined ? {} : { [`${prefix}version`]: image.version }),
    ...(image.run === undefined ? {} : { [RUN]: addressOf(RUNS[image.run]) }),
  };
  const index = made(TYPES.index, {
    schemaVersion: 2,
    mediaType: TYPES.index,
    manifests: [{ ...manifest.descriptor, platform: { os: 'linux', architecture: 'amd64' } }],
    ...(source === undefined ? {} : { annotations }),
  });
  storeManifest(contents, index);
  return { index: index.descriptor.digest, child: manifest.descriptor.digest };
}

function point(site: Site, target: number, component: string, tag: string, digest: string): void {
  site.target(target, component).tags.set(tag, digest);
  site.earlier.set(earlierKey(target, component, tag), digest);
}

/** The tags of single platforms that go with a tag. */
function platformTags({ world }: Site, component: string, tag: string): string[] {
  const { platformSuffix, builds } = world;
  if (platformSuffix === undefined || isIdle(world, component)) return [];
  return builds
    .filter(build => build.component === component)
    .map(({ platform }) => tagOfPlatform(tag, platformSuffix, platform));
}

/** Somebody has published something else under a tag that never moves. */
export function takeImmutableTag(site: Site, component: string, choice: number): void {
  const { tags, immutable, targets } = site.world;
  const taken = tags.filter(tag => names(immutable, tag));
  const tag = taken[choice % taken.length] ?? '';
  const target = choice % targets.length;
  const image: EarlierImage = { source: 'ours', version: '1.2.2', created: 'before', run: undefined };
  point(site, target, component, tag, pushEarlier(site, target, component, tag, image).index);
}

/** And takes it away again: no tag of `immutable-tags` is there in a world without a defect. */
export function freeImmutableTag(site: Site, component: string): void {
  const { tags, immutable, targets } = site.world;
  for (const target of targets.keys()) {
    for (const tag of tags.filter(each => names(immutable, each))) {
      if (site.earlier.delete(earlierKey(target, component, tag)))
        site.target(target, component).tags.delete(tag);
    }
  }
}

/** What somebody else has attached to each image. */
export function attachForeign(site: Site): void {
  const { foreign, sources } = site.world;
  for (const { build, image } of site.expected.values()) {
    for (const place of sources) {
      for (const kind of foreign)
        site.services.stranger.attach(
          site.repository(place, build.component),
          image.manifest.descriptor.digest,
          kind,
        );
    }
  }
}
