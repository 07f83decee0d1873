/**
 * Where the tools of the lab are, once they are built: the file that the lab's other programs import.
 *
 * A tool lies in a folder named after everything that decides what comes out of its build, so one that is found
 * is never out of date.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { cacheRoot, keyOf, nodeKey, toolsDirectory } from './cache.ts';
import { MissingRequirement } from './errors.ts';
import { type GoRelease, goRelease } from './golang.ts';
import { catalog, type GoTool, type PythonTool, type Tool } from './table.ts';

export { cacheRoot };

/** The tool with this name; the error lists the names there are. */
export function toolNamed(name: string): Tool {
  const tool = catalog.find(candidate => candidate.name === name);
  if (tool === undefined) {
    const names = catalog.map(candidate => candidate.name).join(', ');
    throw new MissingRequirement(`there is no tool "${name}"; there are ${names}`);
  }
  return tool;
}

/** The folder with the tool's own go.mod and go.sum. */
export function sourceDirectory(tool: GoTool): string {
  return join(toolsDirectory, 'go', tool.directory ?? tool.name);
}

/** The flags of `go build` that decide what comes out, as part of the command line and of the key. */
export function buildFlags(tool: GoTool): string[] {
  return ['-trimpath', `-ldflags=-s -w ${tool.ldflags ?? ''}`.trimEnd(), `-tags=${tool.tags ?? ''}`];
}

/** The names of the files that a tool's build leaves in its `bin` folder. */
export function outputs(tool: Tool): string[] {
  const names = Object.keys(tool.binaries);
  if (tool.kind === 'python' || tool.platforms === undefined) return names;
  return tool.platforms.flatMap(platform => names.map(name => platformBinary(name, platform)));
}

/** `box` for `linux/arm/v7` is `box-linux-arm-v7`. */
export function platformBinary(name: string, platform: string): string {
  return `${name}-${platform.replaceAll('/', '-')}`;
}

/**
 * The folder of the tool's current key: `<cache>/tools/<name>/<key>`, with the binaries in `bin` and what other files
 * they need in `share`. It is there and whole, or it is not there.
 */
export function toolDirectory(tool: Tool): string {
  return join(cacheRoot(), 'tools', tool.name, toolKey(tool));
}

const keys = new Map<string, string>();

function toolKey(tool: Tool): string {
  const key = keys.get(tool.name) ?? (tool.kind === 'go' ? goKey(tool, goRelease()) : pythonKey(tool));
  keys.set(tool.name, key);
  return key;
}

function goKey(tool: GoTool, go: GoRelease): string {
  const directory = sourceDirectory(tool);
  const sources = readdirSync(directory)
    .filter(name => /^go\.(mod|sum)$|\.go$/.test(name))
    .sort()
    .flatMap(name => [name, readFileSync(join(directory, name))]);
  const files = tool.files === undefined ? [] : [tool.files];
  const shape = JSON.stringify([tool.binaries, tool.platforms ?? [], buildFlags(tool), ...files]);
  return keyOf(go.version, go.target, shape, ...sources);
}

function pythonKey(tool: PythonTool): string {
  return keyOf(arch(), readFileSync(join(toolsDirectory, 'python', tool.requirements)));
}

/**
 * The absolute path of a built binary, for example `toolPath('buildkitd')`.
 *
 * @throws an error that names `make tools` when the binary has not been built from the current sources
 */
export function toolPath(binary: string): string {
  const tool = catalog.find(candidate => outputs(candidate).includes(binary));
  if (tool === undefined) throw new Error(`no tool of the lab has a binary "${binary}"`);
  const path = join(toolDirectory(tool), 'bin', binary);
  if (!existsSync(path)) {
    throw new MissingRequirement(
      `${binary} (${tool.name} ${tool.version}) has not been built: run "make tools" first`,
    );
  }
  return path;
}

/**
 * The absolute path of a file that a tool's build has put beside its binaries, for example `toolFile('trillian.sql')`.
 *
 * @throws an error that names `make tools` when the tool has not been built from the current sources
 */
export function toolFile(name: string): string {
  const tool = catalog.find(candidate => candidate.kind === 'go' && candidate.files?.[name] !== undefined);
  if (tool === undefined) throw new Error(`no tool of the lab has a file "${name}"`);
  const path = join(toolDirectory(tool), 'share', name);
  if (!existsSync(path)) {
    throw new MissingRequirement(
      `${name} (${tool.name} ${tool.version}) has not been built: run "make tools" first`,
    );
  }
  return path;
}

/**
 * The absolute path of the test images' shell for a platform, for example `boxPath('linux/arm64')`. The
 * spellings of one platform are one: `linux/arm64/v8` is `linux/arm64`, `linux/arm` is `linux/arm/v7`.
 */
export function boxPath(platform: string): string {
  const spellings: Readonly<Record<string, string>> = {
    'linux/arm64/v8': 'linux/arm64',
    'linux/amd64/v1': 'linux/amd64',
    'linux/arm': 'linux/arm/v7',
  };
  return toolPath(platformBinary('box', spellings[platform] ?? platform));
}

/** The absolute path of one of the two releases of Node 24 that lab/node keeps. */
export function nodeBinary(release: 'newest' | 'oldest'): string {
  const modules = join(cacheRoot(), 'node', nodeKey(), 'node_modules');
  const path = join(modules, `node-${release}-${arch()}`, 'bin', 'node');
  if (!existsSync(path)) {
    const why = release === 'oldest' && arch() !== 'x64' ? 'npm has it for x64 only' : 'run "lab/node" first';
    throw new MissingRequirement(`the ${release} Node 24 is not in the cache (${path}): ${why}`);
  }
  return path;
}

/**
 * A folder with symbolic links to all binaries that are built now, to be put on PATH. It has a name made of
 * all keys, so checkouts with different versions of the tools do not share it.
 */
export function binDirectory(): string {
  const directory = join(cacheRoot(), 'bin', keyOf(...catalog.map(toolKey)));
  mkdirSync(directory, { recursive: true });
  for (const tool of catalog) {
    const bin = join(toolDirectory(tool), 'bin');
    for (const name of outputs(tool).filter(output => existsSync(join(bin, output)))) {
      link(join(bin, name), join(directory, name));
    }
  }
  return directory;
}

/** A link that another process has made in the meantime is the same link. */
function link(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
