import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Build } from '@docker/actions-toolkit/lib/buildx/build.js';
import { Buildx } from '@docker/actions-toolkit/lib/buildx/buildx.js';
import { Exec } from '@docker/actions-toolkit/lib/exec.js';
import { GitHub } from '@docker/actions-toolkit/lib/github/github.js';
import { Util } from '@docker/actions-toolkit/lib/util.js';
import { ManifoldError, quote } from '../errors.ts';
import type { BuildInputs } from '../inputs.ts';
import { buildArguments } from './command.ts';
import { type BuildMetadata, readMetadata } from './metadata.ts';

/** What buildx made and pushed. */
export interface Built {
  readonly metadata: BuildMetadata;
  readonly imageId: string;
  /** Tells whether provenance was asked for, so that it can be looked for. */
  readonly provenance: boolean;
}

/** The environment variable by which buildx alone gets the token for a private Git context. */
const GIT_TOKEN = 'MANIFOLD_GIT_AUTH_TOKEN';

/**
 * Builds one platform and pushes it by digest.
 * @throws ManifoldError `build-failed` with buildx's own reason
 */
export async function runBuild(buildx: Buildx, inputs: BuildInputs, env: NodeJS.ProcessEnv): Promise<Built> {
  const folder = await mkdtemp(path.join(env.RUNNER_TEMP || tmpdir(), 'manifold-build-'));
  try {
    const gitContext = inputs.context === undefined ? await new Build({ buildx }).gitContext() : undefined;
    const token = gitContext === undefined ? undefined : inputs.githubToken;
    const attestations = provenanceOf(inputs.provenance);
    const args = buildArguments({
      ...inputs,
      context: inputs.context ?? (gitContext as string),
      buildArgs: splitLines(inputs.buildArgs),
      labels: splitLines(inputs.labels),
      cacheFrom: splitLines(inputs.cacheFrom),
      cacheTo: splitLines(inputs.cacheTo),
      attestations,
      secretVariables:
        token === undefined ? {} : { [`GIT_AUTH_TOKEN.${new URL(GitHub.serverURL).host}`]: GIT_TOKEN },
      metadataFile: path.join(folder, 'metadata.json'),
      imageIdFile: path.join(folder, 'image-id'),
    });
    const command = await buildx.getCommand(args);
    const result = await Exec.getExecOutput(command.command, command.args, {
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

/** docker/build-push-action's rule: full provenance where everybody may read the source, little of it elsewhere. */
function provenanceOf(input: string | undefined): string[] {
  if (input !== undefined) return [`type=provenance,${Build.resolveProvenanceAttrs(input)}`];
  if (Util.parseBool(process.env.BUILDX_NO_DEFAULT_ATTESTATIONS)) return [];
  const isPrivate = GitHub.context.payload.repository?.private === true;
  return [
    `type=provenance,${Build.resolveProvenanceAttrs(isPrivate ? 'mode=min,inline-only=true' : 'mode=max')}`,
  ];
}

function buildEnvironment(env: NodeJS.ProcessEnv, token: string | undefined): Record<string, string> {
  const defined = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...Object.fromEntries(defined), ...(token === undefined ? {} : { [GIT_TOKEN]: token }) };
}

function buildFailed(exitCode: number, stderr: string): ManifoldError {
  const reason = quote(Buildx.getErrorMessage(stderr), 1000);
  return new ManifoldError('build-failed', `buildx ended with exit code ${exitCode}: ${reason}`, {
    hint: 'The log above shows the step that failed. Nothing was recorded; re-run this job after mending it.',
  });
}
