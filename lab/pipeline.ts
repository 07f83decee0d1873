import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepareContext } from './images/context.ts';
import type { JobOptions, Lab } from './lab.ts';
import { type RunActionOptions, type RunningAction, type RunResult, startAction } from './runner.ts';
import { keySecrets, SecretWatch } from './secrets.ts';

/** The folder of action.yml. */
export const ACTION = fileURLToPath(new URL('..', import.meta.url));

/** What a workflow run of these tests looks like from outside. */
export interface Release {
  readonly lab: Lab;
  /** Image names, without tag. */
  readonly images: readonly string[];
  /** GITHUB_RUN_ID */
  readonly run: string;
}

/** What a single job does otherwise than most. */
export interface JobChanges {
  /** Inputs to add or replace. */
  readonly with?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly attempt?: number;
  readonly job?: Pick<JobOptions, 'idToken' | 'through' | 'claims'>;
  readonly node?: 'newest' | 'oldest';
  /** Changes to the `github` context. */
  readonly github?: Readonly<Record<string, unknown>>;
  /** Number of jobs of the build matrix. */
  readonly matrixSize?: number;
  readonly onLine?: (line: string) => void;
  /** Folder of action.yml, where it is not the tree's. */
  readonly action?: string;
}

let runs = 5000;

/** A run of its own: nothing that another run left is in its way. */
export function newRelease(lab: Lab, images: readonly string[]): Release {
  runs++;
  return { lab, images, run: String(runs) };
}

/** Runs a build job to its end, on the runner of the platform's architecture. */
export async function build(
  release: Release,
  platform: string,
  changes: JobChanges = {},
): Promise<RunResult> {
  const context = await prepareContext('hello', join(release.lab.directory, 'context'));
  const inputs = { mode: 'build', images: release.images.join('\n'), context, ...changes.with };
  const matrix = { platform };
  return (await start(release, 'build', inputs, changes, matrix)).finished;
}

/** Runs the build jobs of both architectures; one that fails is an error with its log. */
export async function buildBoth(release: Release, changes: JobChanges = {}): Promise<void> {
  for (const platform of ['linux/amd64', 'linux/arm64']) {
    const { exitCode, log } = await build(release, platform, changes);
    if (exitCode !== 0) throw new Error(`the build of ${platform} ended with ${exitCode}:\n${log}`);
  }
}

/** Starts a merge job. */
export function startMerge(release: Release, changes: JobChanges = {}): Promise<RunningAction> {
  return start(release, 'merge', mergeInputs(release, changes), changes, null);
}

/** Runs a merge job to its end. */
export async function merge(release: Release, changes: JobChanges = {}): Promise<RunResult> {
  return (await startMerge(release, changes)).finished;
}

function mergeInputs({ lab }: Release, changes: JobChanges): Record<string, string> {
  const inputs: Record<string, string> = {
    mode: 'merge',
    tags: '1.2.3',
    'retry-budget': '5',
    ...changes.with,
  };
  if (inputs.sign === 'none') return inputs;
  return {
    'trusted-root': lab.sigstore.trustedRoot,
    'signing-config': lab.sigstore.signingConfig,
    ...inputs,
  };
}

/** Runs a job that looks at what the release published, and may ask for no identity token. @param changes `images` names others */
export async function verify(release: Release, changes: JobChanges = {}): Promise<RunResult> {
  const { lab, images } = release;
  const inputs = {
    mode: 'verify',
    images: images.map(image => `${image}:1.2.3`).join('\n'),
    'retry-budget': '5',
    'trusted-root': lab.sigstore.trustedRoot,
    // A key has no issuer, and what GitHub's is to a job by default is not the lab's.
    ...(changes.with?.key === undefined ? { 'certificate-oidc-issuer': lab.issuer.url } : {}),
    ...changes.with,
  };
  const job = { idToken: false, ...changes.job };
  return (await start(release, 'verify', inputs, { ...changes, job }, null)).finished;
}

/** Entries of any text as one input: lines of quoted CSV fields, as docker/build-push-action reads its lists. */
export function listInput(entries: readonly string[]): string {
  return entries.map(entry => `"${entry.replaceAll('"', '""')}"`).join('\n');
}

/** The token of the job, as the `github` context has it. */
export const TOKEN = 'ghs_labTokenOfTheJob';

function start(
  release: Release,
  job: string,
  inputs: Record<string, string>,
  changes: JobChanges,
  matrix: { platform: string } | null,
): Promise<RunningAction> {
  const { lab, run } = release;
  const { attempt = 1, matrixSize = 2 } = changes;
  const architecture = matrix?.platform.includes('arm64') ? 'arm64' : 'amd64';
  const options: RunActionOptions = {
    action: changes.action ?? ACTION,
    with: inputs,
    env: { ...lab.environment({ run, attempt, job, architecture, ...changes.job }), ...changes.env },
    context: {
      github: { run_id: run, run_attempt: attempt, job, token: TOKEN, ...changes.github },
      strategy: {
        'job-total': matrix === null ? 1 : matrixSize,
        // The row of the matrix: arm64 comes second.
        'job-index': architecture === 'arm64' ? 1 : 0,
      },
      matrix,
    },
    ...(changes.node === undefined ? {} : { node: changes.node }),
  };
  return watched(release, options, changes);
}

/** Runs a job under the eyes of a watch that fails it when a secret is shown anywhere. */
async function watched(
  { lab, run }: Release,
  options: RunActionOptions,
  { onLine }: JobChanges,
): Promise<RunningAction> {
  const { mode, key } = options.with ?? {};
  // A build hands the repository's token on to BuildKit by a file, so its files are not looked into.
  const folders = mode === 'build' ? {} : await foldersOfItsOwn(lab);
  const env = { ...options.env, ...folders };
  const secrets = [TOKEN, ...keySecrets(key, env)];
  const watch = new SecretWatch(lab, { secrets, folders: Object.values(folders) });
  let group = 0;
  const running = await startAction({
    ...options,
    env,
    onLine: line => {
      watch.look(group);
      onLine?.(line);
    },
  });
  group = running.pid;
  watch.look(group);
  const finished = running.finished.then(result => {
    watch.look(group);
    const records = lab.artifactsIfAny(run).map(({ bytes }) => bytes.toString('utf8'));
    watch.check(result, records);
    return result;
  });
  finished.catch(() => {});
  return { ...running, finished };
}

/** All places where a job that is told of no other may leave files; its working folder is made in the first of them. */
async function foldersOfItsOwn(lab: Lab): Promise<Readonly<Record<string, string>>> {
  const names = ['RUNNER_TEMP', 'TMPDIR', 'HOME'];
  return Object.fromEntries(
    await Promise.all(names.map(async name => [name, await lab.folder(name.toLowerCase())] as const)),
  );
}
