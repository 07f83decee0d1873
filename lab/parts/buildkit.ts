import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toolPath } from '../tools/catalog.ts';
import { check } from './command.ts';
import { registerEmulator } from './emulation.ts';
import type { Guard } from './guard.ts';
import { accepts, type Program, startProgram } from './process.ts';
import type { Registry } from './registries.ts';

/** A runner's architecture, as Docker names it. */
export type Architecture = 'amd64' | 'arm64';

export interface BuildKitOptions {
  /** Which runners there are, each with a daemon of its own. */
  architectures: readonly Architecture[];
  /** Registries whose authority the daemons are to trust. */
  registries: readonly Registry[];
  /** `BUILDX_CONFIG` and `DOCKER_CONFIG`, where the builders are entered. */
  environment: Readonly<Record<string, string>>;
  /** What to put before a command to be root. */
  asRoot: readonly string[];
}

export interface Builder {
  /** Its name for `--builder`. */
  readonly name: string;
  readonly architecture: Architecture;
  /** `unix://...`, for buildctl and for builders of a test's own. */
  readonly address: string;
  readonly program: Program;
}

export interface BuildKit {
  readonly builders: Readonly<Partial<Record<Architecture, Builder>>>;
  close(): Promise<void>;
}

/** A BuildKit daemon with a buildx builder for each architecture: the native one, and one under QEMU. */
export async function startBuildKit(guard: Guard, options: BuildKitOptions): Promise<BuildKit> {
  await Promise.all(
    options.architectures
      .filter(architecture => architecture !== nativeArchitecture())
      .map(architecture => registerEmulator(guard, architecture, options.asRoot)),
  );
  // One behind the other: buildx writes one file for all.
  const daemons = await Promise.all(
    options.architectures.map(architecture => startDaemon(guard, architecture, options)),
  );
  for (const { name, architecture, address } of daemons) {
    await check(
      toolPath('buildx'),
      ['create', '--name', name, '--driver', 'remote', '--platform', `linux/${architecture}`, address],
      { env: { ...process.env, ...options.environment } },
    );
  }
  return {
    builders: Object.fromEntries(daemons.map(builder => [builder.architecture, builder])),
    close: async () => {
      await Promise.all(daemons.map(builder => builder.program.stop()));
    },
  };
}

/** The machine's own architecture. */
export function nativeArchitecture(): Architecture {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}

async function startDaemon(
  guard: Guard,
  architecture: Architecture,
  options: BuildKitOptions,
): Promise<Builder> {
  const directory = join(guard.directory, `buildkit-${architecture}`);
  await mkdir(directory);
  const cgroup = `${guard.directory.replace(/.*\//, '')}-${architecture}`;
  guard.cgroup(cgroup);
  const config = join(directory, 'buildkitd.toml');
  await writeFile(config, await configuration(architecture, cgroup, options.registries));
  const socket = join(directory, 'buildkitd.sock');
  const program = await startProgram(guard, {
    name: `buildkit-${architecture}`,
    command: 'unshare',
    args: [
      // Mounts and processes of its own: whatever it leaves ends with it, even if it is killed in a build.
      ...['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'],
      toolPath('buildkitd'),
      ...['--config', config, '--root', join(directory, 'root'), '--addr', `unix://${socket}`],
      ...['--group', `${process.getgid?.() ?? 0}`, '--otel-socket-path', join(directory, 'otel.sock')],
      ...['--oci-worker-net', 'host'],
    ],
    asRoot: options.asRoot,
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    ready: accepts(socket),
  });
  return { name: `lab-${architecture}`, architecture, address: `unix://${socket}`, program };
}

async function configuration(
  architecture: Architecture,
  cgroup: string,
  registries: readonly Registry[],
): Promise<string> {
  const lines = [
    '[worker.oci]',
    // A daemon takes every platform that the kernel can run; a runner of one architecture must say so.
    `platforms = ["linux/${architecture}"]`,
    `defaultCgroupParent = ${JSON.stringify(cgroup)}`,
    'gc = false',
    '[worker.containerd]',
    'enabled = false',
  ];
  for (const { host, ca } of registries) {
    lines.push(`[registry.${JSON.stringify(host)}]`);
    // All of 127.0.0.0/8 is plain HTTP to BuildKit, but a rule that is written down is one that can be read.
    lines.push(ca === undefined ? 'http = true' : `ca = [${JSON.stringify(ca)}]`);
  }
  return `${lines.join('\n')}\n`;
}
