/**
 * Builds what is missing of the lab's tools.
 *
 *   lab/node lab/tools/main.ts [name...]
 *
 * Without names: all tools, the small ones first, and the Debian packages that the lab needs.
 */
import { existsSync, rmSync } from 'node:fs';
import { build, fetchModules, isBuilt, lockPath } from './build.ts';
import { readableSize, sizeOf } from './cache.ts';
import { binDirectory, toolNamed } from './catalog.ts';
import { ensurePackages, packagesFor } from './debian.ts';
import { CommandFailed, Interrupted, MissingRequirement } from './errors.ts';
import { goCaches, goRelease } from './golang.ts';
import { type Lock, tryLock } from './lock.ts';
import { catalog, type Tool } from './table.ts';

const column = Math.max(...catalog.map(tool => label(tool).length)) + 2;

function label(tool: Tool): string {
  return `${tool.name} ${tool.version}`;
}

function say(tool: Tool, what: string): void {
  // On a terminal the clock's line may stand there.
  const start = process.stdout.isTTY ? '\r\u001b[K' : '';
  process.stdout.write(`${start}${label(tool).padEnd(column)}${what}\n`);
}

/** On a terminal, a line that counts the seconds while a tool is built; elsewhere nothing. */
function startClock(tool: Tool, started: number): () => void {
  if (!process.stdout.isTTY) return () => {};
  const show = () => {
    const seconds = Math.round((Date.now() - started) / 1000);
    process.stdout.write(`\r${label(tool).padEnd(column)}building, ${seconds} s`);
  };
  show();
  const timer = setInterval(show, 1000);
  return () => {
    clearInterval(timer);
    process.stdout.write('\r\u001b[K');
  };
}

async function make(tool: Tool, signal: AbortSignal): Promise<void> {
  if (isBuilt(tool)) {
    say(tool, 'cached');
    return;
  }
  const started = Date.now();
  const stopClock = startClock(tool, started);
  try {
    const built = await build(tool, signal, pid => say(tool, `waiting for process ${pid}, which builds it`));
    stopClock();
    const seconds = Math.round((Date.now() - started) / 1000);
    say(tool, built ? `built in ${seconds} s` : 'built by another run');
  } catch (error) {
    stopClock();
    if (error instanceof CommandFailed) say(tool, 'FAILED');
    throw error;
  }
}

async function makeAll(tools: readonly Tool[], signal: AbortSignal): Promise<void> {
  const done = new AbortController();
  const missing = tools.filter(tool => !isBuilt(tool));
  const fetching = fetchModules(missing.slice(1), AbortSignal.any([signal, done.signal]));
  try {
    for (const tool of tools) await make(tool, signal);
  } finally {
    done.abort();
    await fetching;
  }
}

/**
 * Go's caches are worth gigabytes, and nothing once every tool is built. They are dropped only while nobody
 * builds: whoever comes last does it.
 */
function dropGoCaches(): void {
  const go = catalog.filter(tool => tool.kind === 'go');
  const caches = goCaches().filter(path => existsSync(path));
  if (caches.length === 0 || !go.every(isBuilt)) return;
  const held: Lock[] = [];
  try {
    for (const tool of go) {
      const taken = tryLock(lockPath(tool));
      if (!('release' in taken)) return;
      held.push(taken);
    }
    const freed = caches.reduce((sum, path) => sum + sizeOf(path), 0);
    for (const path of caches) rmSync(path, { recursive: true, force: true });
    process.stdout.write(`all tools are built: Go's caches dropped, ${readableSize(freed)} freed\n`);
  } finally {
    for (const taken of held) taken.release();
  }
}

/** The tools that the command line names, in the catalog's order and each once. */
function chosen(names: readonly string[]): readonly Tool[] {
  if (names.length === 0) return catalog;
  const wanted = new Set(names.map(toolNamed));
  return catalog.filter(tool => wanted.has(tool));
}

async function run(names: readonly string[], signal: AbortSignal): Promise<void> {
  const tools = chosen(names);
  // What the machine lacks is said before the first minutes are spent.
  if (tools.some(tool => tool.kind === 'go')) goRelease();
  await ensurePackages(
    packagesFor(names.length === 0 ? undefined : tools.map(tool => tool.name)),
    line => process.stdout.write(`${line}\n`),
    signal,
  );
  await makeAll(tools, signal);
  dropGoCaches();
  binDirectory();
}

const stopping = new AbortController();
for (const [name, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(name, () => {
    process.exitCode = code;
    stopping.abort(new Interrupted(`stopped by ${name}; what is built stays, run it again for the rest`));
  });
}

try {
  await run(process.argv.slice(2), stopping.signal);
} catch (error) {
  const isForPerson = [CommandFailed, Interrupted, MissingRequirement].some(kind => error instanceof kind);
  process.stderr.write(`tools: ${isForPerson ? (error as Error).message : (error as Error).stack}\n`);
  process.exitCode ??= 1;
}
