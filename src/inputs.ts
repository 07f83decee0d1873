import { ManifoldError, oneLine } from './errors.ts';
import { formatPlatform, type Platform, parsePlatform } from './oci/platform.ts';
import { parseRepository, parseTag, type Repository } from './oci/reference.ts';
import { parseComponent } from './records/name.ts';

export const MODES = ['build', 'merge'] as const;
export type Mode = (typeof MODES)[number];

interface CommonInputs {
  /** Milliseconds for which a request that fails for a passing reason is repeated. */
  readonly retryBudget: number;
  /** Folder through which records cross; undefined: the artifact service. */
  readonly records: string | undefined;
}

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
  /** For a private repository as the context. */
  readonly githubToken: string | undefined;
  /** How many jobs the matrix has; undefined where the runner does not tell. */
  readonly matrixSize: number | undefined;
  readonly matrixIndex: number | undefined;
  /** The workflow file that defines the job, with its ref; undefined where the runner does not tell. */
  readonly workflowRef: string | undefined;
  readonly retentionDays: number;
}

export interface MergeInputs extends CommonInputs {
  readonly mode: 'merge';
  /** Undefined: as many as the matrix had jobs. */
  readonly platforms: readonly Platform[] | undefined;
  readonly component: string | undefined;
  readonly tags: readonly string[];
  readonly sign: 'keyless' | 'none';
  readonly trustedRoot: string | undefined;
  readonly signingConfig: string | undefined;
}

export type Inputs = BuildInputs | MergeInputs;

/**
 * Reads and checks all inputs of a step. Nothing else reads `INPUT_*`. An empty input is the same as an absent one.
 * @throws ManifoldError `unknown-mode`, `missing-input`, `invalid-input`, `invalid-platform`, `invalid-reference`
 */
export function readInputs(env: NodeJS.ProcessEnv): Inputs {
  const input = new InputReader(env);
  const mode = readMode(env);
  const common = {
    retryBudget: (input.wholeNumber('retry-budget', 0, 3600) ?? 120) * 1000,
    records: input.optional('records'),
  };
  return mode === 'build' ? readBuildInputs(input, common) : readMergeInputs(input, common);
}

/** The mode alone, for the first line of the log. @throws ManifoldError `missing-input`, `unknown-mode` */
export function readMode(env: NodeJS.ProcessEnv): Mode {
  const value = new InputReader(env).required(
    'mode',
    `Say which part of the work this step does: ${MODES.join(' or ')}.`,
  );
  const mode = MODES.find(name => name === value);
  if (mode !== undefined) return mode;
  throw new ManifoldError('unknown-mode', `The input "mode" is "${oneLine(value)}", which is no mode.`, {
    hint: `The modes are ${MODES.join(' and ')}.`,
  });
}

const BUILD_ONLY = [
  'platform',
  'images',
  'context',
  'file',
  'target',
  'build-args',
  'labels',
  'builder',
  'provenance',
  'cache-from',
  'cache-to',
] as const;
const MERGE_ONLY = ['platforms', 'tags', 'trusted-root', 'signing-config'] as const;

/** An input that would be ignored is a misunderstanding: it is better said than shipped. */
function refuseForeign(
  input: InputReader,
  names: readonly string[],
  mode: Mode,
  remedies: Record<string, string>,
): void {
  const name = names.find(candidate => input.optional(candidate) !== undefined);
  if (name === undefined) return;
  throw new ManifoldError('invalid-input', `The input "${name}" means nothing in "mode: ${mode}".`, {
    hint: remedies[name] ?? `It belongs to the steps with "mode: ${mode === 'build' ? 'merge' : 'build'}".`,
  });
}

function readBuildInputs(input: InputReader, common: CommonInputs): BuildInputs {
  refuseForeign(input, MERGE_ONLY, 'build', {
    platforms:
      'A build job builds one platform: give it as "platform", and several platforms to several jobs of a matrix.',
    tags: 'Tags move in the merge, when all platforms are there and signed: give them to the step with "mode: merge".',
  });
  const images = input.list('images', parseRepository);
  const [first] = images;
  if (first === undefined) {
    throw missing('images', 'Name where the image goes, one name a line, without tag: ghcr.io/acme/app.');
  }
  return {
    mode: 'build',
    ...common,
    platform: readPlatform(input),
    images: uniqueBy(images, ({ registry, path }) => `${registry}/${path}`),
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
    githubToken: input.optional('github-token'),
    // A job without a matrix counts as one of one, which says nothing of the jobs beside it.
    matrixSize: hasMatrix(input) ? input.wholeNumber('matrix-size', 1, 100_000) : undefined,
    matrixIndex: hasMatrix(input) ? input.wholeNumber('matrix-index', 0, 100_000) : undefined,
    workflowRef: input.optional('workflow-ref'),
    retentionDays: input.wholeNumber('retention-days', 1, 90) ?? 1,
  };
}

function readMergeInputs(input: InputReader, common: CommonInputs): MergeInputs {
  refuseForeign(input, BUILD_ONLY, 'merge', {
    platform: 'The merge takes what it must find as "platforms".',
    images:
      'The merge publishes to the names that the builds pushed to: give "images" to the steps with "mode: build".',
  });
  const tags = input.list('tags', parseTag);
  if (tags.length === 0)
    throw missing('tags', 'Name at least one tag for the image, for example 1.2.3 or latest.');
  const platforms = input.list('platforms', parsePlatform);
  const component = input.optional('component');
  const trustedRoot = input.optional('trusted-root');
  const signingConfig = input.optional('signing-config');
  if ((trustedRoot === undefined) !== (signingConfig === undefined)) {
    // One alone would sign at the public Sigstore, whose log keeps it for ever, and verify by another.
    const name = trustedRoot === undefined ? 'trusted-root' : 'signing-config';
    throw missing(
      name,
      'A Sigstore of your own needs both "trusted-root" and "signing-config"; the public one neither.',
    );
  }
  return {
    mode: 'merge',
    ...common,
    platforms: platforms.length === 0 ? undefined : uniqueBy(platforms, formatPlatform),
    component: component === undefined ? undefined : parseComponent(component),
    tags: [...new Set(tags)],
    sign: input.oneOf('sign', ['keyless', 'none']) ?? 'keyless',
    trustedRoot,
    signingConfig,
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

/** Inputs as the runner hands them over: `INPUT_<NAME>`, upper case, spaces as underscores. */
class InputReader {
  readonly #env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  optional(name: string): string | undefined {
    const value = this.#env[`INPUT_${name.replaceAll(' ', '_').toUpperCase()}`]?.trim();
    return value === '' ? undefined : value;
  }

  required(name: string, hint: string): string {
    const value = this.optional(name);
    if (value === undefined) throw missing(name, hint);
    return value;
  }

  /** One entry a line or comma; empty lines and lines that begin with `#` are left out. */
  list<T>(name: string, parse: (text: string) => T): T[] {
    const lines = (this.optional(name) ?? '').split('\n').filter(line => !line.trim().startsWith('#'));
    const entries = lines.flatMap(line => line.split(',')).map(entry => entry.trim());
    return entries.filter(entry => entry !== '').map(parse);
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    const text = this.optional(name);
    const value = values.find(candidate => candidate === text);
    if (text === undefined || value !== undefined) return value;
    throw new ManifoldError('invalid-input', `The input "${name}" is "${oneLine(text)}".`, {
      hint: `It can be ${values.join(' or ')}.`,
    });
  }

  wholeNumber(name: string, least: number, most: number): number | undefined {
    const text = this.optional(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && value >= least && value <= most) return value;
    throw new ManifoldError('invalid-input', `The input "${name}" is "${oneLine(text)}".`, {
      hint: `It is a whole number from ${least} to ${most}.`,
    });
  }
}

function missing(name: string, hint: string): ManifoldError {
  return new ManifoldError('missing-input', `The input "${name}" is missing.`, { hint });
}

function uniqueBy<T>(entries: readonly T[], key: (entry: T) => string): T[] {
  return [...new Map(entries.map(entry => [key(entry), entry])).values()];
}
