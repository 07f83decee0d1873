import { ManifoldError, oneLine } from '../errors.ts';
import type { IndexFormat } from '../oci/index.ts';
import { type Platform, parsePlatform } from '../oci/platform.ts';
import type { Repository } from '../oci/reference.ts';
import { parseComponent } from '../records/name.ts';
import { type CommonInputs, readCommonInputs, refuseForeign } from './common.ts';
import { readImages } from './image-templates.ts';
import { type InputReader, missing } from './reader.ts';

export interface BuildInputs extends CommonInputs {
  readonly mode: 'build';
  readonly platform: Platform;
  readonly images: readonly Repository[];
  readonly component: string;
  readonly builder: string | undefined;
  /** docker/build-push-action's inputs as they were written: the build knows how each is split. */
  readonly context: string | undefined;
  readonly file: string | undefined;
  readonly target: string | undefined;
  readonly buildArgs: string;
  readonly labels: string;
  readonly cacheFrom: string;
  readonly cacheTo: string;
  readonly provenance: string | undefined;
  readonly format: IndexFormat;
  /** How many jobs the matrix has; undefined where the runner does not tell. */
  readonly matrixSize: number | undefined;
  readonly matrixIndex: number | undefined;
  /** The workflow file that defines the job, with its ref; undefined where the runner does not tell. */
  readonly workflowRef: string | undefined;
  readonly retentionDays: number;
}

/** @throws ManifoldError `missing-input`, `invalid-input`, `invalid-platform`, `invalid-reference` */
export function readBuildInputs(input: InputReader): BuildInputs {
  refuseForeign(input, 'build', {
    platforms:
      'A build job builds one platform: give it as "platform", and several platforms to several jobs of a matrix.',
    tags: 'Tags move in the merge, when all platforms are there and signed: give them to the step with "mode: merge".',
  });
  const images = readImages(input);
  const [first] = images;
  if (first === undefined) {
    throw missing('images', 'Name where the image goes, one name a line, without tag: ghcr.io/acme/app.');
  }
  return {
    mode: 'build',
    ...readCommonInputs(input),
    platform: readPlatform(input),
    images,
    component: parseComponent(input.optional('component') ?? (first.path.split('/').at(-1) as string)),
    builder: input.optional('builder'),
    context: input.optional('context'),
    file: input.optional('file'),
    target: input.optional('target'),
    buildArgs: input.optional('build-args') ?? '',
    labels: input.optional('labels') ?? '',
    cacheFrom: input.optional('cache-from') ?? '',
    cacheTo: input.optional('cache-to') ?? '',
    provenance: input.optional('provenance'),
    format: (input.flag('oci-mediatypes') ?? true) ? 'oci' : 'docker',
    // A job without a matrix counts as one of one, which says nothing of the jobs beside it.
    matrixSize: hasMatrix(input) ? input.wholeNumber('matrix-size', 1, 100_000) : undefined,
    matrixIndex: hasMatrix(input) ? input.wholeNumber('matrix-index', 0, 100_000) : undefined,
    workflowRef: input.optional('workflow-ref'),
    retentionDays: input.wholeNumber('retention-days', 1, 90) ?? 1,
  };
}

/** The platform of a build: said, or the matrix row's `platform`. */
function readPlatform(input: InputReader): Platform {
  const text = input.optional('platform') ?? matrixPlatform(input);
  if (text !== undefined) return parsePlatform(text);
  throw missing('platform', 'Say which platform this job builds: platform: ${{ matrix.platform }}.');
}

function hasMatrix(input: InputReader): boolean {
  return input.optional('matrix') !== 'null';
}

function matrixPlatform(input: InputReader): string | undefined {
  const text = input.optional('matrix');
  if (text === undefined) return undefined;
  let matrix: unknown;
  try {
    matrix = JSON.parse(text);
  } catch {
    throw new ManifoldError('invalid-input', `The input "matrix" is no JSON: ${oneLine(text, 80)}.`, {
      hint: 'Leave it out: its default is the matrix row of this job.',
    });
  }
  const platform = (matrix as { platform?: unknown } | null)?.platform;
  return typeof platform === 'string' ? platform : undefined;
}
