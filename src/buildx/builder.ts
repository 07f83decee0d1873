import { exec } from '@actions/exec';
import { Builder } from '@docker/actions-toolkit/lib/buildx/builder.js';
import { Buildx } from '@docker/actions-toolkit/lib/buildx/buildx.js';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import type { Platform } from '../oci/platform.ts';
import { normalisePlatform } from '../oci/platform.ts';
import { type BuilderNode, chooseNode, OLDEST_BUILDX } from './preflight.ts';

/** buildx on this runner, checked. */
export interface CheckedBuildx {
  readonly buildx: Buildx;
  readonly version: string;
  readonly node: BuilderNode;
}

/**
 * Makes sure that buildx is there, new enough, and has a builder for the platform.
 * @throws ManifoldError `buildx-missing`, `builder-unsuitable`
 */
export async function checkBuildx(name: string | undefined, platform: Platform): Promise<CheckedBuildx> {
  const buildx = new Buildx();
  const install = { hint: 'Add the step "uses: docker/setup-buildx-action" before this one.' };
  if (!(await buildx.isAvailable()))
    throw new ManifoldError('buildx-missing', 'buildx is not on this runner.', install);
  const version = await buildx.version();
  if (!(await buildx.versionSatisfies(`>=${OLDEST_BUILDX}`))) {
    throw new ManifoldError(
      'buildx-missing',
      `buildx is version ${version}; ${OLDEST_BUILDX} or newer is needed.`,
      install,
    );
  }
  const node = chooseNode(await inspect(buildx, name), platform, hostPlatform());
  return { buildx, version, node };
}

async function inspect(buildx: Buildx, name: string | undefined) {
  try {
    const builder = await new Builder({ buildx }).inspect(name ?? '');
    if (builder.nodes.every(({ platforms }) => platforms !== undefined)) return builder;
    // A builder that sleeps does not say what it can build.
    const { command, args } = await buildx.getCommand([
      'inspect',
      '--bootstrap',
      ...(name === undefined ? [] : [name]),
    ]);
    await exec(command, args);
    return await new Builder({ buildx }).inspect(name ?? '');
  } catch (error) {
    throw new ManifoldError(
      'builder-unsuitable',
      `The builder${name === undefined ? '' : ` "${oneLine(name)}"`} cannot be inspected: ${oneLine(messageOf(error))}.`,
      {
        hint: 'Check the input "builder", and that the step docker/setup-buildx-action ran in this job.',
        cause: error,
      },
    );
  }
}

/** What this machine runs natively, in the words of platforms. */
function hostPlatform(): Platform {
  const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', ia32: '386' };
  return normalisePlatform({ os: 'linux', architecture: architectures[process.arch] ?? process.arch });
}
