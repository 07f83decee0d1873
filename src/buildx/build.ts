import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { getExecOutput } from '@actions/exec';
import { context as github } from '@actions/github';
import { Build } from '@docker/actions-toolkit/lib/buildx/build.js';
import { Buildx } from '@docker/actions-toolkit/lib/buildx/buildx.js';
import { Util } from '@docker/actions-toolkit/lib/util.js';
import { type ErrorCode, ManifoldError, oneLine } from '../errors.ts';
import { withCacheScope } from './cache.ts';
import { type BuildOptions, buildArguments } from './command.ts';
import { type BuildMetadata, readMetadata } from './metadata.ts';

/** What buildx made and pushed. */
export interface Built {
  readonly metadata: BuildMetadata;
  readonly imageId: string;
  /** Tells whether provenance was asked for, so that it can be looked for. */
  readonly provenance: boolean;
}

/** What to build; lists are still the text that a person wrote, split here as docker/build-push-action splits them. */
export interface BuildRequest
  extends Pick<
    BuildOptions,
    'platform' | 'images' | 'builder' | 'file' | 'target' | 'format' | 'insecureRegistries'
  > {
  readonly component: string;
  /** Undefined: the repository at the commit of the run. */
  readonly context: string | undefined;
  readonly buildArgs: string;
  readonly labels: string;
  readonly cacheFrom: string;
  readonly cacheTo: string;
  readonly provenance: string | undefined;
  readonly githubToken: string | undefined;
}

/** The environment variable by which buildx alone gets the token for a private Git context. */
const GIT_TOKEN = 'MANIFOLD_GIT_AUTH_TOKEN';

/**
 * Builds one platform and pushes it by digest.
 * @throws ManifoldError `build-failed` with buildx's own reason
 */
export async function runBuild(
  buildx: Buildx,
  request: BuildRequest,
  env: NodeJS.ProcessEnv,
): Promise<Built> {
  const folder = await mkdtemp(path.join(env.RUNNER_TEMP || tmpdir(), 'manifold-build-'));
  try {
    const gitContext = request.context === undefined ? await new Build({ buildx }).gitContext() : undefined;
    const token = gitContext === undefined ? undefined : request.githubToken;
    const attestations = provenanceOf(request.provenance, env, request.format);
    const scoped = (entry: string) => withCacheScope(entry, request.component, request.platform);
    const args = buildArguments({
      ...request,
      context: request.context ?? gitContext ?? '.',
      buildArgs: splitLines(request.buildArgs),
      labels: splitLines(request.labels),
      cacheFrom: splitLines(request.cacheFrom).map(scoped),
      cacheTo: splitLines(request.cacheTo).map(scoped),
      attestations,
      secretVariables:
        token === undefined ? {} : { [`GIT_AUTH_TOKEN.${new URL(github.serverUrl).host}`]: GIT_TOKEN },
      metadataFile: path.join(folder, 'metadata.json'),
      imageIdFile: path.join(folder, 'image-id'),
    });
    const command = await buildx.getCommand(args);
    const result = await getExecOutput(command.command, command.args, {
      ignoreReturnCode: true,
      env: buildEnvironment(env, token),
    });
    if (result.exitCode !== 0) throw buildFailed(result.exitCode, result.stderr);
    const metadata = await readMetadata(path.join(folder, 'metadata.json'));
    const imageId = (await readFile(path.join(folder, 'image-id'), 'utf8')).trim();
    return { metadata, imageId, provenance: attestations.some(value => !value.includes('disabled=true')) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One entry a line, as docker/build-push-action splits these inputs. */
function splitLines(text: string): string[] {
  return Util.getList(text, { ignoreComma: true });
}

/**
 * docker/build-push-action's rule: full provenance where everybody may read the source, little of it elsewhere. BuildKit
 * attests nothing about images with Docker's media types.
 * @throws ManifoldError `invalid-input` when both are asked for
 */
export function provenanceOf(
  input: string | undefined,
  env: NodeJS.ProcessEnv,
  format: BuildRequest['format'] = 'oci',
): string[] {
  if (format === 'docker') {
    if (input === undefined || /^false$/i.test(input)) return [provenance('false')];
    throw new ManifoldError('invalid-input', 'With "oci-mediatypes: false" there can be no provenance.', {
      hint: 'Leave "provenance" out, or say false.',
    });
  }
  if (input !== undefined) return [provenance(input)];
  if (Util.parseBool(env.BUILDX_NO_DEFAULT_ATTESTATIONS)) return [];
  const isPrivate = github.payload.repository?.private === true;
  return [provenance(isPrivate ? 'mode=min,inline-only=true' : 'mode=max')];
}

/** The value of `--attest`, with the run as the builder's name where none is given. */
function provenance(input: string): string {
  if (/^false$/i.test(input)) return 'type=provenance,disabled=true';
  if (/^true$/i.test(input)) return `type=provenance,${Build.resolveProvenanceAttrs('')}`;
  if (/^(?:min|max)$/.test(input)) return provenance(`mode=${input}`);
  if (input.includes('=')) return `type=provenance,${Build.resolveProvenanceAttrs(input)}`;
  throw new ManifoldError('invalid-input', `The input "provenance" is "${oneLine(input)}".`, {
    hint: 'It can be true, false, or attributes as in mode=max.',
  });
}

function buildEnvironment(env: NodeJS.ProcessEnv, token: string | undefined): Record<string, string> {
  const defined = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...Object.fromEntries(defined), ...(token === undefined ? {} : { [GIT_TOKEN]: token }) };
}

/** What buildx's own words come to. */
export function buildFailed(exitCode: number, stderr: string): ManifoldError {
  const reason = oneLine(Buildx.getErrorMessage(stderr), 1000);
  const [, code, hint] = KNOWN_FAILURES.find(([pattern]) => pattern.test(reason)) ?? UNKNOWN_FAILURE;
  return new ManifoldError(code, `buildx ended with exit code ${exitCode}: ${reason}`, { hint });
}

type Failure = readonly [pattern: RegExp, code: ErrorCode, hint: string];

/** What registries say through buildx when they do not take a push. */
const KNOWN_FAILURES: readonly Failure[] = [
  [
    /server gave HTTP response to HTTPS client/i,
    'service-unreachable',
    'If the registry speaks plain HTTP, name its host in "insecure-registries". Where other images of the build are in registries with TLS, the configuration of the builder must say it: "http = true".',
  ],
  [
    /Client sent an HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS port/i,
    'service-unreachable',
    'The registry speaks TLS: take its host out of "insecure-registries", and "http = true" out of the configuration of the builder.',
  ],
  [
    /401 Unauthorized|unauthorized|insufficient_scope|authorization failed/i,
    'registry-unauthorized',
    'Log in before this step (docker/login-action) with an account that may write to the image.',
  ],
  [
    /403 Forbidden|denied/i,
    'registry-forbidden',
    'The account may not write there. For ghcr.io the job needs "permissions: packages: write".',
  ],
  [
    /connection refused|no such host|i\/o timeout/i,
    'service-unreachable',
    'Check that the registry in "images" is spelled right and can be reached from the builder.',
  ],
  [
    /failed to read dockerfile|unable to prepare context/i,
    'build-failed',
    'With "context: ." the repository must be there: did actions/checkout run in this job?',
  ],
];

const UNKNOWN_FAILURE: Failure = [
  /^/,
  'build-failed',
  'The log above shows the step that failed. Nothing was recorded; re-run this job after mending it.',
];
