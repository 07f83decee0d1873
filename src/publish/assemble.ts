import type { Annotation } from '../oci/annotations.ts';
import type { IndexFormat } from '../oci/index.ts';
import { formatPlatform } from '../oci/platform.ts';
import type { ClosedSet, ComponentSet } from '../records/closed-set.ts';
import type { PlanRecord } from '../records/plan.ts';
import { refuseProblems } from '../records/problems.ts';
import { annotateIndex } from './annotations.ts';
import { chooseDestinations, type Destination, type WantedDestinations } from './destinations.ts';
import { createIndexImage, type IndexImage } from './index-image.ts';
import type { Publication, Target } from './publication.ts';
import { type BuildReader, type Connect, type ReadBuild, readBuilds } from './read-builds.ts';

export interface AssembleOptions {
  readonly destinations: WantedDestinations;
  readonly connect: Connect;
  readonly reader: BuildReader;
  /** `https://github.com` */
  readonly server: string;
  /** The plan of the run, whose time is that of all it publishes; undefined: there is none. */
  readonly plan: Pick<PlanRecord, 'created'> | undefined;
  /** Undefined: the first tag that is a version. */
  readonly version: string | undefined;
  /** docker/metadata-action's annotations. */
  readonly metadata: readonly Annotation[];
  /** The user's own. */
  readonly annotations: readonly Annotation[];
  readonly format: IndexFormat;
  readonly singlePlatform: 'index' | 'manifest';
  /** Told what was done otherwise than it was written, a sentence each. */
  readonly onNotice: (notice: string) => void;
}

/**
 * Reads all children from the registries, refuses in one table all that is wrong with the set, and makes the bytes of
 * each image once. Nothing is written.
 * @throws ManifoldError `missing-platform`, `wrong-architecture`, `tampered-record`, `unexpected-platform`,
 * `mixed-media-types`, `invalid-input`, `registry-…`
 */
export async function assemble(closed: ClosedSet, options: AssembleOptions): Promise<Publication[]> {
  const read = await Promise.all(
    [...decideDestinations(closed, options)].map(async ([set, destinations]) => {
      const repositories = destinations.map(({ repository }) => repository);
      const targets = destinations.map(({ repository, tags }) => ({
        client: options.connect(repository),
        tags,
      }));
      return { set, targets, ...(await readBuilds(set.records, repositories, options.reader)) };
    }),
  );
  refuseProblems([...closed.problems, ...read.flatMap(({ problems }) => problems)]);
  return read.map(({ set, targets, builds }) => ({
    component: set.component,
    image: makeImage(set, builds, targets, options),
    targets,
  }));
}

/** A set that is not complete is told before what is wrong with its tags, which may follow from that. */
function decideDestinations(
  { components, problems }: ClosedSet,
  { destinations }: AssembleOptions,
): ReadonlyMap<ComponentSet, readonly Destination[]> {
  try {
    return chooseDestinations(components, destinations);
  } catch (error) {
    refuseProblems(problems);
    throw error;
  }
}

function makeImage(
  set: ComponentSet,
  builds: readonly ReadBuild[],
  targets: readonly Target[],
  options: AssembleOptions,
): IndexImage {
  const { format, singlePlatform, onNotice } = options;
  const { component, records, missing } = set;
  // Neither a plain manifest nor a Docker manifest list has a place for what only the merge knows.
  const isBare = format === 'docker' || singlePlatform === 'manifest';
  const { index, descriptors, notices } = annotateIndex({
    server: options.server,
    records,
    plan: options.plan,
    version: options.version ?? versionAmong(targets),
    platforms: builds.map(({ built: { image } }) => image.platform),
    missing,
    metadata: isBare ? [] : options.metadata,
    given: options.annotations,
    defaults: !isBare,
  });
  for (const notice of notices) onNotice(`${component}: ${notice}`);
  if (isBare) onNotice(bareNotice(component, builds, format));
  if (missing.length > 0) {
    const names = missing.map(formatPlatform).join(', ');
    onNotice(`${component} is published without ${names}, as "allow-missing" says.`);
  }
  return createIndexImage(builds, {
    format,
    singlePlatform,
    missing,
    annotations: index,
    descriptorAnnotations: descriptors,
  });
}

function bareNotice(component: string, builds: readonly ReadBuild[], format: IndexFormat): string {
  const kind = format === 'docker' ? 'a Docker manifest list' : 'a plain image manifest';
  const isAttested = builds.some(({ built: { image } }) => image.attestations.length > 0);
  const lost = isAttested ? ' Its attestations (provenance, SBOM) are left out.' : '';
  return `${component} becomes ${kind}, which carries no annotations of the merge: nothing on it tells a later merge whether it is newer.${lost}`;
}

const VERSION = /^v?(?<version>\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$/;

function versionAmong(targets: readonly Target[]): string | undefined {
  const tags = targets.flatMap(target => target.tags);
  return tags.map(tag => VERSION.exec(tag)?.groups?.version).find(version => version !== undefined);
}
