/** The machine's Go: which release it is, and the environment in which it writes to our cache only. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { cacheRoot, toolsDirectory } from './cache.ts';
import { MissingRequirement } from './errors.ts';

export interface GoRelease {
  /** As `go env GOVERSION` says it: `go1.26.8`. */
  readonly version: string;
  /** What it builds for by itself: `linux/amd64`. */
  readonly target: string;
}

/** The folders that can be dropped once everything is built. Between them they hold several gigabytes. */
export function goCaches(): string[] {
  return ['build', 'mod', 'pkg'].map(name => join(cacheRoot(), 'go', name));
}

/**
 * The environment for every call of `go`: nothing is written outside our cache. The person's own settings
 * (`go env -w`, such as a module proxy of their own) stay in force; a flag that would change the build does not.
 */
export function goEnvironment(): NodeJS.ProcessEnv {
  const root = join(cacheRoot(), 'go');
  const config = process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config');
  return {
    ...process.env,
    GOPATH: root,
    GOMODCACHE: join(root, 'mod'),
    GOCACHE: join(root, 'build'),
    GOBIN: join(root, 'bin'),
    // Temporary files go where TMPDIR says.
    GOTMPDIR: '',
    // Modules are written read-only by default, and then `rm -r` of the cache fails.
    GOFLAGS: '-modcacherw -buildvcs=false',
    // A go.mod must not make Go fetch another Go: the version is part of the key.
    GOTOOLCHAIN: 'local',
    GOWORK: 'off',
    GOOS: '',
    GOARCH: '',
    CGO_ENABLED: '0',
    // Go counts its own calls in files under the configuration folder, whatever it is told by variables. So
    // that folder is ours; the file with the person's settings is named apart.
    GOENV: process.env.GOENV ?? join(config, 'go', 'env'),
    XDG_CONFIG_HOME: join(root, 'config'),
  };
}

let release: GoRelease | undefined;

/**
 * The release of Go on PATH.
 *
 * @throws MissingRequirement when Go is missing or too old; the sentence says which version is needed
 */
export function goRelease(): GoRelease {
  release ??= askGo();
  return release;
}

function askGo(): GoRelease {
  const needed = neededGo();
  const want = `Go ${needed} or newer is needed (https://go.dev/dl)`;
  const asked = spawnSync('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'], {
    env: goEnvironment(),
    encoding: 'utf8',
  });
  if (asked.error !== undefined) throw new MissingRequirement(`go is missing: ${want}`);
  const [version = '', os = '', cpu = ''] = asked.stdout.trim().split('\n');
  if (asked.status !== 0 || rank(version) < rank(needed)) {
    throw new MissingRequirement(`go is ${version === '' ? asked.stderr.trim() : version}: ${want}`);
  }
  return { version, target: `${os}/${cpu}` };
}

/** The oldest Go that builds every tool: the highest `go` line of the go.mod files. */
function neededGo(): string {
  const root = join(toolsDirectory, 'go');
  const lines = readdirSync(root).map(name => {
    return /^go (\S+)$/m.exec(readFileSync(join(root, name, 'go.mod'), 'utf8'))?.[1] ?? '';
  });
  return lines.reduce((highest, line) => (rank(line) > rank(highest) ? line : highest), '');
}

/** A release of Go as a number to compare: `go1.26.8` and `1.26.8` are 1026008, what is no release is 0. */
function rank(version: string): number {
  const [, major = '0', minor = '0', patch = '0'] = /^(?:go)?(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  return Number(major) * 1_000_000 + Number(minor) * 1000 + Number(patch);
}
