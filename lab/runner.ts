import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ActionContext, inputVariables, readAction } from './parts/action-metadata.ts';
import { type CommandFiles, makeCommandFiles, readPairs, readSummary } from './parts/command-files.ts';
import { runnerVariables } from './parts/runner-variables.ts';
import { type Annotation, Masks, StepLog } from './parts/workflow-commands.ts';
import { nodeBinary } from './tools/catalog.ts';

export type { ActionContext } from './parts/action-metadata.ts';
export type { Annotation } from './parts/workflow-commands.ts';

export interface RunActionOptions {
  /** The folder with action.yml. */
  action: string;
  /** The step's inputs, as the workflow writes them. */
  with?: Readonly<Record<string, string>>;
  /** Added to the variables of a runner; `lab.environment()` belongs here. Nothing else of this process goes along. */
  env?: Readonly<Record<string, string>>;
  /** For the defaults of inputs, and the GITHUB_ variables. */
  context?: ActionContext;
  /** Which Node 24 the runner carries: the newest, 24.4.0 of the oldest runner that knows `node24`, or a path. */
  node?: 'newest' | 'oldest' | { readonly path: string };
  /** The job's working folder; one that is empty, without it. */
  workspace?: string;
  /** Values that are masked from the start, as a repository's secrets are. */
  secrets?: readonly string[];
  /** Each line of the masked log, as it comes. */
  onLine?: (line: string) => void;
}

export interface RunResult {
  /** Of `main`; null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly outputs: Readonly<Record<string, string>>;
  /** Outputs that hold a masked value: as outputs of a job they would be dropped whole. */
  readonly maskedOutputs: readonly string[];
  /** The job summary, `main` and `post` together, masked, as it would be shown. */
  readonly summary: string;
  /** The masked log of `main` and `post`. */
  readonly log: string;
  /** What was written before masking. */
  readonly rawLog: string;
  readonly annotations: readonly Annotation[];
  /** Variables that it exports to later steps. */
  readonly exported: Readonly<Record<string, string>>;
  /** Of `post`; undefined when there is none. */
  readonly postExitCode: number | null | undefined;
}

/** An action that runs now. */
export interface RunningAction {
  /** The process group of `main`. */
  readonly pid: number;
  /** Ends `main` and all that it started; SIGKILL without a name. `post` does not run then. */
  kill(signal?: NodeJS.Signals): void;
  readonly finished: Promise<RunResult>;
}

/** Runs an action as a step of a job, as GitHub's runner does, to its end. */
export async function runAction(options: RunActionOptions): Promise<RunResult> {
  return (await startAction(options)).finished;
}

/** As `runAction`, but hands out the process at once, so that a test can kill it in the middle. */
export async function startAction(options: RunActionOptions): Promise<RunningAction> {
  const step = await Step.prepare(options);
  const child = step.spawn(step.action.main, step.mainFiles);
  const finished = step.finish(child);
  // Whoever only kills must not be surprised by a rejection that nobody waits for.
  finished.catch(() => {});
  const pid = child.pid ?? 0;
  const kill = (signal: NodeJS.Signals = 'SIGKILL'): void => {
    step.killed = true;
    try {
      process.kill(-pid, signal);
    } catch {
      // It has ended already.
    }
  };
  return { pid, kill, finished };
}

interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

class Step {
  killed = false;
  readonly action: Awaited<ReturnType<typeof readAction>>;
  readonly mainFiles: CommandFiles;
  readonly #options: RunActionOptions;
  readonly #temp: string;
  readonly #variables: Readonly<Record<string, string>>;
  readonly #masks = new Masks();
  readonly #log: StepLog;

  private constructor(
    options: RunActionOptions,
    action: Step['action'],
    temp: string,
    mainFiles: CommandFiles,
    variables: Readonly<Record<string, string>>,
  ) {
    this.#options = options;
    this.action = action;
    this.#temp = temp;
    this.mainFiles = mainFiles;
    this.#variables = variables;
    this.#log = new StepLog(this.#masks, variables.RUNNER_DEBUG === '1', options.onLine ?? (() => {}));
    const tokens = ['ACTIONS_RUNTIME_TOKEN', 'ACTIONS_ID_TOKEN_REQUEST_TOKEN'].map(name => variables[name]);
    for (const secret of [options.context?.github?.token, ...tokens, ...(options.secrets ?? [])]) {
      if (typeof secret === 'string') this.#masks.add(secret);
    }
  }

  static async prepare(options: RunActionOptions): Promise<Step> {
    const action = await readAction(options.action);
    const context = options.context ?? {};
    const { variables, warnings } = inputVariables(action, options.with ?? {}, context);
    // Below the lab's folder where there is a lab: whatever ends it takes this along.
    const base = options.env?.RUNNER_TEMP ?? tmpdir();
    await mkdir(base, { recursive: true });
    const temp = await mkdtemp(join(base, 'manifold-runner-'));
    const folders = {
      RUNNER_TEMP: join(temp, 'temp'),
      RUNNER_TOOL_CACHE: join(temp, 'tools'),
      GITHUB_WORKSPACE: options.workspace ?? join(temp, 'workspace'),
    };
    for (const folder of Object.values(folders)) await mkdir(folder, { recursive: true });
    const event = join(temp, 'event.json');
    await writeFile(event, JSON.stringify(context.github?.event ?? {}));
    const mainFiles = await makeCommandFiles(temp, 'main');
    const step = new Step(options, action, temp, mainFiles, {
      PATH: process.env.PATH ?? '/usr/bin:/bin',
      HOME: temp,
      ...runnerVariables(context),
      GITHUB_EVENT_PATH: event,
      ...options.env,
      ...folders,
      ...variables,
    });
    for (const warning of warnings) step.#log.annotate('warning', warning);
    return step;
  }

  /** A group of its own, for `kill` is to reach what the action has started. */
  spawn(script: string, files: CommandFiles, state: Record<string, string> = {}): ChildProcess {
    const path = join(this.#options.action, script);
    if (!existsSync(path)) throw new Error(`action.yml names ${script}, but ${path} does not exist`);
    const saved = Object.entries(state).map(([name, value]) => [`STATE_${name}`, value]);
    const node = this.#options.node ?? 'newest';
    return spawn(typeof node === 'string' ? nodeBinary(node) : node.path, [path], {
      cwd: this.#variables.GITHUB_WORKSPACE,
      detached: true,
      env: { ...this.#variables, ...files, ...Object.fromEntries(saved) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  async finish(child: ChildProcess): Promise<RunResult> {
    try {
      const main = await this.#follow(child);
      const outputs = await this.#pairs(this.mainFiles.GITHUB_OUTPUT);
      const exported = await this.#pairs(this.mainFiles.GITHUB_ENV);
      let summary = await readSummary(this.mainFiles.GITHUB_STEP_SUMMARY, this.#masks, this.#log);
      let post: Ended | undefined;
      if (this.action.post !== undefined && !this.killed) {
        const files = await makeCommandFiles(this.#temp, 'post');
        const state = await this.#pairs(this.mainFiles.GITHUB_STATE);
        post = await this.#follow(this.spawn(this.action.post, files, state));
        summary += await readSummary(files.GITHUB_STEP_SUMMARY, this.#masks, this.#log);
      }
      return {
        ...main,
        outputs,
        exported,
        summary,
        maskedOutputs: Object.keys(outputs).filter(name => this.#masks.found(outputs[name] ?? '')),
        log: this.#log.lines.join('\n'),
        rawLog: this.#log.raw.join('\n'),
        annotations: this.#log.annotations,
        postExitCode: post?.exitCode,
      };
    } finally {
      await rm(this.#temp, { recursive: true, force: true });
    }
  }

  /** A file that was cut off in the middle of a write is what a killed action leaves. */
  async #pairs(path: string): Promise<Record<string, string>> {
    return readPairs(path).catch(error => {
      if (this.killed) return {};
      this.#log.annotate('error', `Unable to process file command: ${error.message}`);
      throw error;
    });
  }

  async #follow(child: ChildProcess): Promise<Ended> {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', line => this.#log.take(line));
    }
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode, signal) => resolve({ exitCode, signal }));
    });
  }
}
