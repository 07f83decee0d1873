/** Builds one tool into the cache: aside first, then renamed, so that what has the right name is whole. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheRoot, toolsDirectory } from './cache.ts';
import { buildFlags, outputs, platformBinary, sourceDirectory, toolDirectory } from './catalog.ts';
import { CommandFailed, MissingRequirement } from './errors.ts';
import { goEnvironment } from './golang.ts';
import { lock } from './lock.ts';
import { type CommandOptions, runLogged } from './process.ts';
import type { GoTool, PythonTool, Tool } from './table.ts';

/** Whether every binary of the tool's current key is there. */
export function isBuilt(tool: Tool): boolean {
  const bin = join(toolDirectory(tool), 'bin');
  return outputs(tool).every(name => existsSync(join(bin, name)));
}

/** The file that tells other runs of this program that the tool is being built. */
export function lockPath(tool: Tool): string {
  return join(cacheRoot(), 'locks', `${tool.name}.lock`);
}

/**
 * Builds the tool, unless another run does so first.
 *
 * @returns whether this call built it
 * @throws CommandFailed, Interrupted
 */
export async function build(
  tool: Tool,
  signal: AbortSignal,
  onWait: (pid: number) => void,
): Promise<boolean> {
  const held = await lock(lockPath(tool), onWait, signal);
  const final = toolDirectory(tool);
  const work = join(dirname(final), `.work.${process.pid}`);
  try {
    if (isBuilt(tool)) return false;
    removeLeftovers(dirname(final));
    mkdirSync(join(work, 'bin'), { recursive: true });
    mkdirSync(join(work, 'tmp'));
    await (tool.kind === 'go' ? buildGo(tool, work, signal) : installPython(tool, work, signal));
    rmSync(join(work, 'tmp'), { recursive: true });
    rmSync(final, { recursive: true, force: true });
    renameSync(work, final);
    return true;
  } finally {
    rmSync(work, { recursive: true, force: true });
    held.release();
  }
}

/** A run that was killed could not remove its folder. We hold the lock, so nobody works in it. */
function removeLeftovers(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory).filter(entry => entry.startsWith('.work.'))) {
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}

function commandOptions(tool: Tool, work: string, signal: AbortSignal): CommandOptions & { append: true } {
  const log = join(cacheRoot(), 'logs', `${tool.name}.log`);
  rmSync(log, { force: true });
  return { log, append: true, signal, env: { ...process.env, TMPDIR: join(work, 'tmp') } };
}

async function buildGo(tool: GoTool, work: string, signal: AbortSignal): Promise<void> {
  const options = commandOptions(tool, work, signal);
  const env = { ...goEnvironment(), TMPDIR: join(work, 'tmp') };
  for (const platform of tool.platforms ?? [undefined]) {
    for (const [name, target] of Object.entries(tool.binaries)) {
      const output = platform === undefined ? name : platformBinary(name, platform);
      // Read-only: a build that finds the committed go.mod or go.sum wanting fails, and never completes them.
      const args = ['build', '-mod=readonly', ...buildFlags(tool), '-o', join(work, 'bin', output), target];
      await runLogged('go', args, {
        ...options,
        cwd: sourceDirectory(tool),
        env: { ...env, ...crossTarget(platform) },
      });
    }
  }
  copyFiles(tool, join(work, 'share'));
}

/** The build has fetched the modules, so their folders are there. */
function copyFiles(tool: GoTool, share: string): void {
  for (const [name, { module, path }] of Object.entries(tool.files ?? {})) {
    const asked = spawnSync('go', ['list', '-mod=readonly', '-m', '-f', '{{.Dir}}', module], {
      cwd: sourceDirectory(tool),
      env: goEnvironment(),
      encoding: 'utf8',
    });
    const directory = asked.stdout.trim();
    if (directory === '')
      throw new CommandFailed(`go list knows no folder of ${module}: ${asked.stderr.trim()}`);
    mkdirSync(share, { recursive: true });
    copyFileSync(join(directory, path), join(share, name));
  }
}

/**
 * Fetches the modules of these tools while another one is being built: the network is idle then. What goes wrong
 * here is not told; the tool's own build meets it again.
 */
export async function fetchModules(tools: readonly Tool[], signal: AbortSignal): Promise<void> {
  const log = join(cacheRoot(), 'logs', 'modules.log');
  for (const tool of tools) {
    if (tool.kind !== 'go' || signal.aborted) continue;
    // Listing the packages fetches what holds them; `go mod download` would fetch far more than a build needs.
    const args = [
      'list',
      '-mod=readonly',
      '-deps',
      `-tags=${tool.tags ?? ''}`,
      ...Object.values(tool.binaries),
    ];
    const options = { log, signal, cwd: sourceDirectory(tool), env: goEnvironment() };
    await runLogged('go', args, options).catch(() => {});
  }
}

/** `linux/arm/v7` becomes GOOS=linux GOARCH=arm GOARM=7. */
function crossTarget(platform: string | undefined): NodeJS.ProcessEnv {
  if (platform === undefined) return {};
  const [os = '', cpu = '', variant = ''] = platform.split('/');
  return { GOOS: os, GOARCH: cpu, GOARM: cpu === 'arm' ? variant.replace('v', '') : '' };
}

/**
 * A wheel that carries a native program: it is installed into a virtual environment with its hash checked, and
 * only the program is kept, because an environment cannot be moved.
 */
async function installPython(tool: PythonTool, work: string, signal: AbortSignal): Promise<void> {
  const environment = join(work, 'tmp', 'venv');
  const common = commandOptions(tool, work, signal);
  // pip runs the compilers it finds on PATH, to tell their versions to the index, and rustup's then write into
  // the person's home. A wheel needs none of them, so PATH holds the environment only.
  const options = { ...common, env: { ...common.env, PATH: join(environment, 'bin') } };
  await runLogged(pythonPath(), ['-m', 'venv', environment], options);
  const flags = ['--require-hashes', '--only-binary=:all:', '--no-deps', '--no-input'];
  const requirements = join(toolsDirectory, 'python', tool.requirements);
  await runLogged(
    join(environment, 'bin', 'python'),
    ['-m', 'pip', '--disable-pip-version-check', '--cache-dir', join(cacheRoot(), 'pip'), 'install'].concat(
      flags,
      '--requirement',
      requirements,
    ),
    options,
  );
  for (const [name, program] of Object.entries(tool.binaries)) {
    renameSync(join(environment, 'bin', program), join(work, 'bin', name));
  }
}

/** The interpreter itself: `python3` on PATH may be a script that looks for it on PATH. */
function pythonPath(): string {
  const asked = spawnSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' });
  if (asked.status !== 0) throw new MissingRequirement('python3 is missing: Python 3.9 or newer is needed');
  return asked.stdout.trim();
}
