import type { Draw } from './draw.ts';

export type TagPolicy = 'newest' | 'overwrite' | 'never-move';

/** What an image that was published earlier says of itself. */
export interface EarlierImage {
  /** Its repository; without one it says nothing at all. */
  readonly source: 'none' | 'ours' | 'another';
  readonly version: '1.2.2' | '1.2.3' | '1.10.0' | undefined;
  /** Built before our images, or after them. */
  readonly created: 'before' | 'after';
  /** Its workflow run: started before ours, or after it; without one it does not tell. */
  readonly run: 'before' | 'after' | undefined;
}

/** A tag that exists already, in every component. */
export interface EarlierTag {
  readonly tag: string;
  readonly image: EarlierImage;
  /** Positions of the targets that have it. */
  readonly at: readonly number[];
  /** Whether its tags of single platforms exist, too. */
  readonly hasPlatforms: boolean;
}

export function drawEarlierTag(draw: Draw, tag: string, targets: number): EarlierTag {
  const all = Array.from({ length: targets }, (_, position) => position);
  return {
    tag,
    image: {
      source: draw.one(['none', 'ours', 'ours', 'ours', 'another']),
      version: draw.one([undefined, '1.2.2', '1.2.3', '1.10.0']),
      created: draw.one(['before', 'before', 'after']),
      run: draw.one([undefined, 'before', 'before', 'after']),
    },
    at: draw.chance(0.8) ? all : draw.some(all, draw.whole(1, targets)),
    hasPlatforms: draw.chance(0.5),
  };
}

const ORDER = ['1.2.2', '1.2.3', '1.10.0'];

/** Whether a tag on this image stays there by the policy, if our image has this version, and tells its run or not. */
export function staysOn(
  { source, version, created, run }: EarlierImage,
  policy: TagPolicy,
  ours: '1.2.3' | undefined,
  tellsRun: boolean,
): boolean {
  if (policy !== 'newest') return policy === 'never-move';
  if (source !== 'ours') return false;
  if (version === undefined || ours === undefined || version === ours)
    return ((tellsRun ? run : undefined) ?? created) === 'after';
  return ORDER.indexOf(version) > ORDER.indexOf(ours);
}

/** Whether a pattern with a star at most at its end names the tag. */
export function names(patterns: readonly string[], tag: string): boolean {
  return patterns.some(pattern =>
    pattern.endsWith('*') ? tag.startsWith(pattern.slice(0, -1)) : tag === pattern,
  );
}
