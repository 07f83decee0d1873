import { expect } from 'vitest';
import type { SyntheticImage } from '../images/synthetic.ts';
import type { Lab } from '../lab.ts';
import type { RegistryKind } from '../parts/registries.ts';
import { merge, type Release } from '../pipeline.ts';
import type { RunResult } from '../runner.ts';
import { syntheticComponents } from '../synthetic-release.ts';

/** Every registry of the lab. */
export const KINDS: readonly RegistryKind[] = ['plain', 'htpasswd', 'tls', 'olareg', 'crane'];

/** What is built for each component of a run. */
export type Components = Readonly<Record<string, readonly SyntheticImage[]>>;

/** The components of a run, built and pushed to `HOST/acme/COMPONENT`. */
export function buildAll(lab: Lab, host: string, components: Components): Promise<Release> {
  return syntheticComponents(
    lab,
    Object.entries(components).map(([component, builds]) => ({
      component,
      images: [`${host}/acme/${component}`],
      // No two components hold the same image.
      builds: builds.map(build => ({
        ...build,
        text: `${component} ${JSON.stringify(build.platform)}`,
      })),
    })),
  );
}

/** A merge of a whole run, which must succeed. */
export async function mergeAll(
  release: Release,
  inputs: Readonly<Record<string, string>>,
): Promise<RunResult> {
  const merged = await merge(release, { with: inputs });
  expect(merged.exitCode, merged.log).toBe(0);
  return merged;
}
