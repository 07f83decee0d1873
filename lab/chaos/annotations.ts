import { BUILT_AT, PLANNED_AT } from './records.ts';
import type { Site } from './site.ts';
import { versionOf } from './world.ts';

const MISSING = 'dev.manifold.missing-platforms';
export const RUN = 'dev.manifold.run';

export const addressOf = (run: string): string => `https://github.com/acme/app/actions/runs/${run}`;

/** What the index of a component must say of itself; undefined where it must not. */
export function expectedAnnotations(
  { world, runId }: Site,
  component: string,
): Readonly<Record<string, string | undefined>> {
  const missing = world.missing.filter(row => row.component === component).map(({ platform }) => platform);
  return {
    'org.opencontainers.image.created': world.plan === undefined ? BUILT_AT : PLANNED_AT,
    'org.opencontainers.image.source': 'https://github.com/acme/app',
    'org.opencontainers.image.version': versionOf(world),
    // A plan may be made again by another run, and is to give the same bytes then.
    [RUN]: world.plan === undefined ? addressOf(runId) : undefined,
    [MISSING]: missing.length === 0 ? undefined : missing.sort().join(','),
  };
}

/** By these annotations a later merge tells what is newer, and a person what was left out. */
export function faultsOfAnnotations(
  name: string,
  found: Readonly<Record<string, string>> = {},
  expected: Readonly<Record<string, string | undefined>>,
): string[] {
  return Object.entries(expected).flatMap(([key, value]) => {
    const there = key === MISSING ? found[key]?.split(',').sort().join(',') : found[key];
    return there === value ? [] : [`${name}: the annotation ${key} is ${there}, not ${value}`];
  });
}
