import { ManifoldError, oneLine } from '../errors.ts';
import { type Annotation, parseAnnotation } from '../oci/annotations.ts';
import { digestOf } from '../oci/digest.ts';
import type { IndexFormat } from '../oci/index.ts';
import { formatPlatform, type Platform, parsePlatform } from '../oci/platform.ts';
import { keepTagOf, parseTagEntry, parseTagPattern, type TagEntry } from '../oci/tags.ts';
import { parseComponent } from '../records/name.ts';
import { type CommonInputs, readCommonInputs, refuseForeign } from './common.ts';
import { readImageTemplates } from './image-templates.ts';
import { type Metadata, parseMetadata } from './metadata.ts';
import { type InputReader, missing, uniqueBy } from './reader.ts';
import { readSigningInputs, type SigningInputs } from './signing.ts';

export interface MergeInputs extends CommonInputs, SigningInputs {
  readonly mode: 'merge';
  /** Which components are merged; empty: all that the run built. */
  readonly components: readonly string[];
  /** Undefined: what the plan says, else as many as the matrix had jobs. */
  readonly platforms: readonly Platform[] | undefined;
  /** Platforms without which the image is published all the same. */
  readonly allowMissing: readonly Platform[];
  /** Image names in which `{{component}}` stands for the component; undefined: where the builds pushed to. */
  readonly images: readonly string[] | undefined;
  readonly tags: readonly TagEntry[];
  readonly metadata: Metadata | undefined;
  readonly pushByDigestOnly: boolean;
  readonly annotations: readonly Annotation[];
  readonly format: IndexFormat;
  /** What an image of one platform becomes: an index of one, or the plain image. */
  readonly singlePlatform: 'index' | 'manifest';
  /** `-{{arch}}`: the template by which each platform gets tags of its own. */
  readonly platformTagSuffix: string | undefined;
  /** `keep-{{digest}}`: the template of a tag for each child, against clean-up of untagged manifests. */
  readonly keepTags: string | undefined;
  readonly tagPolicy: 'newest' | 'overwrite' | 'never-move';
  readonly immutableTags: readonly string[];
  /** Another run whose builds are merged; undefined: this one. */
  readonly run: { readonly id: string; readonly repository: string | undefined } | undefined;
}

/** @throws ManifoldError `missing-input`, `invalid-input`, `invalid-platform`, `invalid-reference` */
export function readMergeInputs(input: InputReader): MergeInputs {
  refuseForeign(input, 'merge', {
    platform: 'The merge takes what it must find as "platforms".',
    labels: 'Labels belong to the images, which are built already. For the index there are "annotations".',
  });
  refuseContradictions(input);
  const platforms = input.list('platforms', parsePlatform);
  const metadata = input.optional('metadata');
  return {
    mode: 'merge',
    ...readCommonInputs(input),
    components: [...new Set(input.list('component', parseComponent))],
    platforms: platforms.length === 0 ? undefined : uniqueBy(platforms, formatPlatform),
    allowMissing: uniqueBy(input.list('allow-missing', parsePlatform), formatPlatform),
    images: readImageTemplates(input),
    tags: input.list('tags', parseTagEntry),
    metadata: metadata === undefined ? undefined : parseMetadata(metadata),
    pushByDigestOnly: input.flag('push-by-digest-only') ?? false,
    annotations: input.lines('annotations', parseAnnotation),
    format: (input.flag('oci-mediatypes') ?? true) ? 'oci' : 'docker',
    singlePlatform: input.oneOf('single-platform', ['index', 'manifest']) ?? 'index',
    platformTagSuffix: input.optional('platform-tag-suffix'),
    keepTags: readKeepTags(input),
    tagPolicy: input.oneOf('tag-policy', ['newest', 'overwrite', 'never-move']) ?? 'newest',
    immutableTags: input.list('immutable-tags', parseTagPattern),
    ...readSigningInputs(input),
    run: readOtherRun(input),
  };
}

/** What would silently win over the other is refused. */
function refuseContradictions(input: InputReader): void {
  const isPlain = input.optional('single-platform') === 'manifest';
  const pairs: readonly [boolean, string][] = [
    [
      isPlain && input.flag('oci-mediatypes') === false,
      '"single-platform: manifest" makes no list, and "oci-mediatypes: false" is about one.',
    ],
    [
      input.flag('push-by-digest-only') === true && input.optional('platform-tag-suffix') !== undefined,
      '"push-by-digest-only" wants no tags, and "platform-tag-suffix" is about some.',
    ],
  ];
  const found = pairs.find(([isGiven]) => isGiven);
  if (found !== undefined)
    throw new ManifoldError('invalid-input', found[1], { hint: 'Leave one of them out.' });
}

/** A template that cannot name a tag is found here, and not when the first child is being tagged by it. */
function readKeepTags(input: InputReader): string | undefined {
  const template = input.optional('keep-tags');
  if (template !== undefined) keepTagOf(template, digestOf(Buffer.from('any child')));
  return template;
}

function readOtherRun(input: InputReader): MergeInputs['run'] {
  const id = input.wholeNumber('run-id', 1, Number.MAX_SAFE_INTEGER);
  const repository = input.optional('repository');
  if (repository !== undefined && !/^[\w.-]+\/[\w.-]+$/.test(repository)) {
    throw new ManifoldError('invalid-input', `The input "repository" is "${oneLine(repository)}".`, {
      hint: 'It is an owner and a name: acme/app.',
    });
  }
  if (id !== undefined && input.optional('records') !== undefined) {
    // A folder does not tell whether a stranger's pull request has filled it; the API of the run does.
    throw new ManifoldError('invalid-input', '"run-id" and "records" are both given.', {
      hint: 'The records of another run are read from its artifacts: leave "records" out. A folder holds those of this run.',
    });
  }
  if (id !== undefined) return { id: String(id), repository };
  if (repository === undefined) return undefined;
  throw missing('run-id', 'With "repository" it says which run the builds belong to.');
}
