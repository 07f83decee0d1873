import type { BuildRecord } from '../../src/records/record.ts';
import type { Release } from '../pipeline.ts';

/** The records that the builds of a run left in its artifacts. */
export function buildRecords({ lab, run }: Release): BuildRecord[] {
  return lab.artifacts
    .artifacts(run)
    .filter(({ name }) => name.startsWith('manifold-build.'))
    .map(({ bytes }) => JSON.parse(bytes.toString()) as BuildRecord);
}

/** The digests of all that the builds of one component pushed, but for BuildKit's index around them. */
export function builtDigests(release: Release, component: string): string[] {
  return buildRecords(release)
    .filter(record => record.component === component)
    .flatMap(({ digest, content }) => childDigests(content) ?? [digest]);
}

/** The digests that an index lists, in its order; undefined for another manifest. @param content JSON */
export function childDigests(content: string): string[] | undefined {
  const { manifests } = JSON.parse(content) as { manifests?: { digest: string }[] };
  return manifests?.map(({ digest }) => digest);
}
