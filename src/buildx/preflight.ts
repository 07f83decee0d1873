import type { BuilderInfo } from '@docker/actions-toolkit/lib/types/buildx/builder.js';
import { ManifoldError } from '../errors.ts';
import { formatPlatform, type Platform, parsePlatform, samePlatform } from '../oci/platform.ts';

/** The oldest buildx whose `--metadata-file` names the descriptor that was pushed, and that knows `--attest`. */
export const OLDEST_BUILDX = '0.12.0';

/** The part of a builder that builds one platform. */
export interface BuilderNode {
  readonly name: string;
  readonly driver: string;
  readonly buildkit: string;
  readonly emulated: boolean;
}

/**
 * Finds the node of a builder that builds a platform.
 * @param builder as `buildx inspect` tells
 * @param host what this machine runs natively
 * @throws ManifoldError `builder-unsuitable`
 */
export function chooseNode(builder: BuilderInfo, platform: Platform, host: Platform): BuilderNode {
  const driver = builder.driver ?? '';
  if (driver === 'docker') {
    throw new ManifoldError(
      'builder-unsuitable',
      `The builder "${builder.name}" has the driver "docker", which cannot push by digest or keep attestations.`,
      {
        hint: 'Add the step "uses: docker/setup-buildx-action" before this one: it makes a builder that can.',
      },
    );
  }
  const nodes = builder.nodes.map(node => ({ node, platforms: readPlatforms(node.platforms) }));
  const found = nodes.find(({ platforms }) => platforms.some(offered => samePlatform(offered, platform)));
  if (found === undefined) {
    const offered = nodes.flatMap(({ platforms }) => platforms.map(formatPlatform)).join(', ') || 'none';
    throw new ManifoldError(
      'builder-unsuitable',
      `The builder "${builder.name}" cannot build ${formatPlatform(platform)}. It builds: ${offered}.`,
      {
        hint: 'Run the job on a runner of this architecture, or add the step "uses: docker/setup-qemu-action" to emulate it.',
      },
    );
  }
  // A builder somewhere else lists its own platform first; one on this machine runs what this machine runs.
  const isHere = driver === 'docker-container';
  const native = isHere ? host : found.platforms[0];
  return {
    name: found.node.name ?? '',
    driver,
    buildkit: found.node.buildkit ?? '',
    emulated: native === undefined || !runsNatively(native, platform),
  };
}

function readPlatforms(list: string | undefined): Platform[] {
  return (list ?? '').split(',').flatMap(text => {
    try {
      return [parsePlatform(text)];
    } catch {
      return []; // a platform that we have no name for is none that anybody asks us for
    }
  });
}

/** 64-bit machines run the 32-bit programs of their family. */
function runsNatively(host: Platform, target: Platform): boolean {
  if (host.os !== target.os) return false;
  const also: Record<string, string> = { amd64: '386', arm64: 'arm' };
  return host.architecture === target.architecture || also[host.architecture] === target.architecture;
}
