import { type Annotation, type PlacedAnnotations, placeAnnotations } from '../oci/annotations.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import type { BuildRecord } from '../records/record.ts';

/** Marks an index from which platforms are missing, as the user allowed. */
const MISSING = 'dev.manifold.missing-platforms';
/** Number of the workflow run whose builds these are: of two runs, the one that was started later has the higher one. */
export const RUN = 'dev.manifold.run';

export interface AnnotationSources {
  /** `https://github.com` */
  readonly server: string;
  readonly records: readonly BuildRecord[];
  /** The plan's time for all builds; undefined: the begin of the first build. */
  readonly created: string | undefined;
  readonly version: string | undefined;
  readonly platforms: readonly Platform[];
  readonly missing: readonly Platform[];
  /** What docker/metadata-action wrote. */
  readonly metadata: readonly Annotation[];
  /** The user's own, which win over all others. */
  readonly given: readonly Annotation[];
  /** False where only what the user wrote is to stand. */
  readonly defaults: boolean;
}

const CREATED = 'org.opencontainers.image.created';
const REVISION = 'org.opencontainers.image.revision';
const SOURCE = 'org.opencontainers.image.source';
/** What the builds know better than a tool that runs in the merge job, whose commit may even be another. */
const OURS: readonly string[] = [CREATED, REVISION, SOURCE, RUN];

/**
 * All annotations of an index: the same for every re-run of the same records, so that nothing here comes from the clock
 * or from this job. docker/metadata-action runs in the merge job and writes its own time as `created`, which would give
 * every re-run another digest: the builds' time stands there instead, unless the user's own annotations say otherwise.
 */
export function annotateIndex(sources: AnnotationSources): PlacedAnnotations {
  const { metadata, given, platforms, missing } = sources;
  const foreign = metadata.filter(({ key }) => !OURS.includes(key));
  const all = [...platforms, ...missing];
  // Two placings: what the user wrote wins, at whatever level the tool's stands.
  const [tool, own] = [placeAnnotations(foreign, all), placeAnnotations(given, all)];
  return {
    index: { ...(sources.defaults ? defaultsOf(sources) : {}), ...tool.index, ...own.index },
    descriptors: platform => ({ ...tool.descriptors(platform), ...own.descriptors(platform) }),
    notices: [...tool.notices, ...own.notices],
  };
}

function defaultsOf({
  server,
  records,
  created,
  version,
  missing,
}: AnnotationSources): Record<string, string> {
  const [first] = records;
  if (first === undefined) return {};
  return {
    [CREATED]: created ?? records.map(({ started }) => started).reduce((a, b) => (a < b ? a : b)),
    [REVISION]: first.source.commit,
    [SOURCE]: `${server}/${first.source.repository}`,
    // A plan may be made again by another run, and is to give the same bytes then.
    ...(created === undefined ? { [RUN]: first.source.runId } : {}),
    ...(version === undefined ? {} : { 'org.opencontainers.image.version': version }),
    ...(missing.length === 0 ? {} : { [MISSING]: missing.map(formatPlatform).join(',') }),
  };
}
