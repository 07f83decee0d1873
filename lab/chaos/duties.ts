import { names, staysOn } from './earlier.ts';
import { earlierKey } from './images.ts';
import { tagOfPlatform } from './platform-tags.ts';
import type { Expected, Site } from './site.ts';
import { isIdle, versionOf, type World } from './world.ts';

/** What is to become of one tag in one repository. */
export interface Duty {
  readonly tag: string;
  /** The build whose manifest it names; undefined for the whole image. */
  readonly single: Expected | undefined;
  /** In this order tags move: fixed names, floating ones, `latest`. */
  readonly rank: 0 | 1 | 2;
  /** What it pointed at before the run; undefined: it did not exist. */
  readonly earlier: string | undefined;
  /** It is left as it is, absent or not. */
  readonly stays: boolean;
}

/** All tags that a component may have in one of the targets, sha256- and keep-tags aside. */
export function dutiesOf(site: Site, target: number, component: string): Duty[] {
  const { world } = site;
  const earlierOf = (tag: string): string | undefined => site.earlier.get(earlierKey(target, component, tag));
  const builds = world.builds.filter(build => build.component === component);
  return world.tags.flatMap((tag): Duty[] => {
    const earlier = earlierOf(tag);
    const rank = rankOf(world, tag);
    const stays = isIdle(world, component) || (earlier !== undefined && staysAt(world, tag));
    const whole = { tag, single: undefined, rank, earlier, stays };
    const { platformSuffix } = world;
    if (platformSuffix === undefined) return [whole];
    const singles = builds.map(build => {
      const own = tagOfPlatform(tag, platformSuffix, build.platform);
      const before = earlierOf(own);
      // It goes with the tag of the whole image.
      const isKept = stays || (world.policy === 'never-move' && before !== undefined);
      return { tag: own, single: site.expected.get(build), rank, earlier: before, stays: isKept };
    });
    return [whole, ...singles];
  });
}

function staysAt(world: World, tag: string): boolean {
  const before = world.earlier.find(each => each.tag === tag);
  return (
    before !== undefined && staysOn(before.image, world.policy, versionOf(world), world.plan === undefined)
  );
}

function rankOf({ immutable }: World, tag: string): Duty['rank'] {
  if (tag === 'latest') return 2;
  return tag === '1.2.3' || names(immutable, tag) ? 0 : 1;
}

/** Tags that are not people's: the fallback tags of referrers. */
export const isFallback = (tag: string): boolean => tag.startsWith('sha256-');
/** And those against clean-up, all of which begin so here. */
export const isKeepTag = (tag: string): boolean => tag.startsWith('keep-');
