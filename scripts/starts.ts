/** Proves that the action runs from a folder as a runner holds it: nothing but its files, and no node_modules. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A step, and how it has to end where there is neither buildx nor a service of the runner. */
interface Start {
  readonly name: string;
  readonly inputs: Readonly<Record<string, string>>;
  /** The error code that is shown only by code deep inside the mode's own chunks. */
  readonly code: string;
}

const STARTS: readonly Start[] = [
  { name: 'unknown mode', inputs: { mode: 'nonsense' }, code: 'unknown-mode' },
  {
    name: 'build',
    // A folder for the record: the artifact service is missing here, which would be said first.
    inputs: { mode: 'build', images: 'localhost:1/app', platform: 'linux/amd64', records: 'records' },
    code: 'buildx-missing',
  },
  { name: 'merge, signed', inputs: { mode: 'merge', tags: 'latest', sign: 'keyless' }, code: 'no-id-token' },
  { name: 'merge, unsigned', inputs: { mode: 'merge', tags: 'latest', sign: 'none' }, code: 'record-store' },
];

/**
 * Starts every mode of the action in `folder` and loads every chunk of it.
 * @param node the program to run it with
 * @returns what went wrong, as sentences
 */
export function findFaultyStarts(folder: string, node: string): string[] {
  if (existsSync(path.join(folder, 'node_modules')))
    return [`${folder} has node_modules: it would prove nothing`];
  return [...STARTS.flatMap(start => faultOf(start, folder, node)), ...findUnloadable(folder, node)];
}

function faultOf({ name, inputs, code }: Start, folder: string, node: string): string[] {
  const { status, output } = run(node, [path.join(folder, 'dist/main.js')], inputs);
  const said = new RegExp(`^::error title=Manifold%3A ${code}::`, 'm').test(output);
  if (status === 1 && said) return [];
  return [`${name}: expected the error ${code} and exit code 1, found exit code ${status} and:\n${output}`];
}

/** The chunks that only a real merge reaches, signing among them, are at least loaded. */
function findUnloadable(folder: string, node: string): string[] {
  const chunks = readdirSync(path.join(folder, 'dist/chunks')).map(file => `./dist/chunks/${file}`);
  const script = `for (const chunk of ${JSON.stringify(chunks)}) await import(chunk);`;
  const { status, output } = run(node, ['--input-type=module', '--eval', script], {}, folder);
  return status === 0 ? [] : [`not every chunk can be loaded:\n${output}`];
}

/** Runs a program with the environment of a job that was granted nothing, and without any tool on its PATH. */
function run(
  node: string,
  args: readonly string[],
  inputs: Readonly<Record<string, string>>,
  cwd?: string,
): { status: number | null; output: string } {
  const home = mkdtempSync(path.join(tmpdir(), 'manifold-start-'));
  try {
    const env = {
      ...Object.fromEntries(
        Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]),
      ),
      PATH: home,
      HOME: home,
      RUNNER_TEMP: home,
      GITHUB_REPOSITORY: 'acme/app',
      GITHUB_SHA: '0'.repeat(40),
      GITHUB_RUN_ID: '1',
      GITHUB_SERVER_URL: 'https://github.com',
    };
    const { status, stdout, stderr } = spawnSync(node, args, {
      cwd: cwd ?? home,
      env,
      encoding: 'utf8',
      timeout: 60_000,
    });
    return { status, output: `${stdout}${stderr}` };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
