import * as v from 'valibot';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import { formatPlatform, type Platform, parsePlatform, samePlatform } from './platform.ts';

/**
 * The annotations that an index is given here, and by which an image that a tag shows is judged: those of OCI image-spec,
 * annotations.md, and our own.
 */
export const ANNOTATION = {
  /** RFC 3339. */
  created: 'org.opencontainers.image.created',
  /** The commit. */
  revision: 'org.opencontainers.image.revision',
  /** Address of the repository. */
  source: 'org.opencontainers.image.source',
  version: 'org.opencontainers.image.version',
  /** Number of the workflow run whose builds these are: of two runs, the one that was started later has the higher one. */
  run: 'dev.manifold.run',
  /** Platforms that the index lacks, as the user allowed. */
  missing: 'dev.manifold.missing-platforms',
} as const;

/**
 * Where BuildKit can put an annotation: on the image manifest, on the index, or on the descriptor that names either
 * of them. The descriptor of an index stands in an OCI layout only: no registry keeps one.
 */
export const ANNOTATION_LEVELS = ['manifest', 'index', 'manifest-descriptor', 'index-descriptor'] as const;
export type AnnotationLevel = (typeof ANNOTATION_LEVELS)[number];

/** One place that an annotation is meant for. */
export interface AnnotationTarget {
  readonly level: AnnotationLevel;
  /** Undefined: every platform. */
  readonly platform?: Platform;
}

/** An annotation as somebody asked for it. */
export interface Annotation {
  readonly targets: readonly AnnotationTarget[];
  readonly key: string;
  /** As it was written, with its spaces, quotes and newlines; it may be empty. */
  readonly value: string;
}

/** The schema of a map of annotations or labels. A record of the library leaves out keys like `constructor`. */
export const annotationsSchema = v.pipe(
  v.custom<Readonly<Record<string, string>>>(
    value => typeof value === 'object' && value !== null && !Array.isArray(value),
    'an object',
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const [key, value] of Object.entries<unknown>(dataset.value)) {
      if (typeof value === 'string') continue;
      addIssue({
        expected: 'string',
        input: value,
        path: [{ type: 'object', origin: 'value', input: { ...dataset.value }, key, value }],
      });
    }
  }),
);

/**
 * Reads an annotation in the form of buildx's `--annotation` and of docker/metadata-action:
 * `[level[,level…]:]key=value`, where a level may name a platform, `manifest[linux/amd64]:key=value`. The first `=`
 * ends the key and the first colon before it ends the levels, so that only behind levels a key may hold colons.
 * Without levels it is meant for the manifest, as BuildKit means it.
 * @throws ManifoldError `invalid-input`
 */
export function parseAnnotation(text: string): Annotation {
  const equals = text.indexOf('=');
  if (equals < 0) throw invalid(text, 'it has no "="');
  const head = text.slice(0, equals);
  const colon = head.indexOf(':');
  const levels = colon < 0 ? ['manifest'] : head.slice(0, colon).split(',');
  const targets = levels.map(level => parseTarget(level.trim(), text));
  const key = head.slice(colon + 1);
  if (key === '') throw invalid(text, 'its key is empty');
  // BuildKit takes no key with white space, and no JSON survives half a character.
  if (/[\s\p{Cc}\p{Cs}]/u.test(key)) throw invalid(text, 'its key holds white space or a control character');
  const value = text.slice(equals + 1);
  if (!value.isWellFormed()) throw invalid(text, 'its value holds half of a Unicode character');
  return { targets, key, value };
}

const TARGET = /^(?<level>[^[\]]*)(?:\[(?<platform>[^[\]]*)\])?$/;

function parseTarget(text: string, whole: string): AnnotationTarget {
  const groups = TARGET.exec(text)?.groups;
  const level = ANNOTATION_LEVELS.find(known => known === groups?.level);
  if (level === undefined) throw invalid(whole, `"${oneLine(text, 80)}" is no level`);
  if (groups?.platform === undefined) return { level };
  if (level === 'index' || level === 'index-descriptor')
    throw invalid(whole, `"${level}" is for all platforms at once and takes no [platform]`);
  try {
    return { level, platform: parsePlatform(groups.platform) };
  } catch (error) {
    throw invalid(whole, messageOf(error).replace(/\.$/, ''), error);
  }
}

function invalid(text: string, reason: string, cause?: unknown): ManifoldError {
  return new ManifoldError('invalid-input', `"${oneLine(text, 100)}" is no annotation: ${reason}.`, {
    hint: `Write it as key=value, level:key=value or level[platform]:key=value, for example index:org.opencontainers.image.title=App. The levels are ${ANNOTATION_LEVELS.join(', ')}; a key with a colon needs one before it.`,
    cause,
  });
}

/** What a merge writes of the annotations that were asked for. */
export interface PlacedAnnotations {
  /** On the index itself. */
  readonly index: Readonly<Record<string, string>>;
  /** On the descriptor of this platform's image in the index. */
  readonly descriptors: (platform: Platform) => Readonly<Record<string, string>>;
  /** One sentence for each kind of annotation that went elsewhere than it was meant for. */
  readonly notices: readonly string[];
}

/** An annotation for one place. */
interface Entry extends AnnotationTarget {
  readonly key: string;
  readonly value: string;
}

/**
 * Decides where annotations stand when the images are there already. What is meant for an image manifest cannot get
 * into it any more, since that would be another image: it goes to the index, or with a platform to the descriptor of
 * that image. For one place the later entry wins; one for a platform wins over one for all, as in BuildKit; what was
 * written for a place wins over what was moved there.
 * @param platforms all that the index may hold
 * @throws ManifoldError `invalid-input` for a platform that is not among them
 */
export function placeAnnotations(
  annotations: readonly Annotation[],
  platforms: readonly Platform[],
): PlacedAnnotations {
  const entries = annotations.flatMap(({ targets, key, value }) =>
    targets.map(target => ({ ...target, key, value })),
  );
  for (const entry of entries) refuseForeignPlatform(entry, platforms);
  const index = collect(entries, 'index');
  const moved = collect(entries, 'manifest');
  const everywhere = collect(entries, 'manifest-descriptor');
  return {
    index: merged(moved, index),
    descriptors: platform =>
      merged(
        collect(entries, 'manifest', platform),
        everywhere,
        collect(entries, 'manifest-descriptor', platform),
      ),
    notices: [
      ...noticeOfIndex([...moved.keys()].filter(key => !index.has(key))),
      ...noticeOfDescriptors(entries, platforms),
      ...noticeOfLoss([...collect(entries, 'index-descriptor').keys()]),
    ],
  };
}

function refuseForeignPlatform({ level, platform, key }: Entry, platforms: readonly Platform[]): void {
  if (platform === undefined || platforms.some(one => samePlatform(one, platform))) return;
  const names = platforms.map(formatPlatform).join(', ');
  throw new ManifoldError(
    'invalid-input',
    `The annotation ${level}[${formatPlatform(platform)}]:${oneLine(key)} is for a platform that the image does not have. It has ${names || 'none'}.`,
    { hint: 'Take the annotation out, or name one of these platforms.' },
  );
}

function collect(
  entries: readonly Entry[],
  level: AnnotationLevel,
  platform?: Platform,
): Map<string, string> {
  const here = entries.filter(entry => entry.level === level && isFor(entry, platform));
  return new Map(here.map(({ key, value }) => [key, value]));
}

function isFor(entry: Entry, platform: Platform | undefined): boolean {
  if (entry.platform === undefined || platform === undefined) return entry.platform === platform;
  return samePlatform(entry.platform, platform);
}

/** Later maps win. Made from entries, so that a key like `__proto__` is a key. */
function merged(...maps: Map<string, string>[]): Record<string, string> {
  return Object.fromEntries(maps.flatMap(map => [...map]));
}

const listOf = (keys: readonly string[]): string => oneLine(keys.join(', '), 1000);

function noticeOfIndex(keys: readonly string[]): string[] {
  if (keys.length === 0) return [];
  return [
    `Annotations of the level "manifest" were put on the index: ${listOf(keys)}. The images are built, and only their builds can put annotations on them. Write "index:" before a key if it is meant for the index.`,
  ];
}

function noticeOfDescriptors(entries: readonly Entry[], platforms: readonly Platform[]): string[] {
  const moved = platforms.flatMap(platform => {
    const own = collect(entries, 'manifest-descriptor', platform);
    const general = collect(entries, 'manifest-descriptor');
    const keys = [...collect(entries, 'manifest', platform).keys()];
    const lost = keys.filter(key => !own.has(key) && !general.has(key));
    return lost.length === 0 ? [] : [`${formatPlatform(platform)}: ${listOf(lost)}`];
  });
  if (moved.length === 0) return [];
  return [
    `Annotations of the level "manifest" for one platform were put on its descriptor in the index: ${moved.join('; ')}. Write "manifest-descriptor[platform]:" if they are meant for it.`,
  ];
}

function noticeOfLoss(keys: readonly string[]): string[] {
  if (keys.length === 0) return [];
  return [
    `Annotations of the level "index-descriptor" were left out: ${listOf(keys)}. A registry keeps no descriptor of an index.`,
  ];
}
