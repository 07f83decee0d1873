import { ANNOTATION, type Annotation, type PlacedAnnotations, placeAnnotations } from '../oci/annotations.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import type { PlanRecord } from '../records/plan.ts';
import type { BuildRecord } from '../records/record.ts';

export interface AnnotationSources {
  /** `https://github.com` */
  readonly server: string;
  readonly records: readonly BuildRecord[];
  /** The plan of the run, whose time is that of the image; undefined: there is none, and the first build tells it. */
  readonly plan: Pick<PlanRecord, 'created'> | undefined;
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

/** What the builds know better than a tool that runs in the merge job, whose commit may even be another. */
const OURS: readonly string[] = [ANNOTATION.created, ANNOTATION.revision, ANNOTATION.source, ANNOTATION.run];

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

function defaultsOf({ server, records, plan, version, missing }: AnnotationSources): Record<string, string> {
  const [first] = records;
  if (first === undefined) return {};
  const source = `${server}/${first.source.repository}`;
  return {
    [ANNOTATION.created]:
      plan?.created ?? records.map(({ started }) => started).reduce((a, b) => (a < b ? a : b)),
    [ANNOTATION.revision]: first.source.commit,
    [ANNOTATION.source]: source,
    // A plan may be made again by another run, and is to give the same bytes then.
    ...(plan === undefined ? { [ANNOTATION.run]: `${source}/actions/runs/${first.source.runId}` } : {}),
    ...(version === undefined ? {} : { [ANNOTATION.version]: version }),
    ...(missing.length === 0 ? {} : { [ANNOTATION.missing]: missing.map(formatPlatform).join(',') }),
  };
}
