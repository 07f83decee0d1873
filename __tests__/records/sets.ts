import { parsePlatform } from '../../src/oci/platform.ts';
import { type ClosedSet, closeSet, type Wanted } from '../../src/records/closed-set.ts';
import { refuseProblems } from '../../src/records/problems.ts';
import type { BuildRecord } from '../../src/records/record.ts';
import { made, recordOf, TYPES } from '../servers/images.ts';
import { planOf } from './plans.ts';

type Change = Parameters<typeof recordOf>[2];

/** A record of what nobody pushed: the set is closed before a registry is asked. */
export const record = (platform: string, change: Change = {}): BuildRecord =>
  recordOf(made(TYPES.index, `${platform} ${change.component}`), platform, change);

export const platforms = (...texts: string[]) => texts.map(parsePlatform);

/** A plan of these components, each with its platforms. */
export const planned = (components: Record<string, readonly string[]>, notNeeded: readonly string[] = []) =>
  planOf({
    components: Object.entries(components).map(([component, names]) => ({
      component,
      images: [`ghcr.io/acme/${component}`],
      platforms: [...names],
      tags: [],
      needed: !notNeeded.includes(component),
    })),
  });

/** Closes the set, and refuses it as the merge does when anything speaks against it. */
export function close(
  builds: BuildRecord[],
  wanted: Partial<Wanted> = {},
  plan?: ReturnType<typeof planned>,
): ClosedSet {
  const all: Wanted = { components: [], platforms: undefined, allowMissing: [], ...wanted };
  const closed = closeSet({ plan, builds }, all);
  refuseProblems(closed.problems);
  return closed;
}

/** `app linux/amd64` for each record that is merged. */
export const merged = ({ components }: ClosedSet): string[] =>
  components.flatMap(({ records }) => records.map(one => `${one.component} ${one.platform}`));
