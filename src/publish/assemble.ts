import type { Annotation } from '../oci/annotations.ts';
import type { IndexFormat } from '../oci/index.ts';
import { formatPlatform } from '../oci/platform.ts';
import type { ClosedSet, ComponentSet } from '../records/closed-set.ts';
import { refuseProblems } from '../records/problems.ts';
import { annotateIndex } from './annotations.ts';
import { type BuildReader, type Child, type Connect, readChildren } from './children.ts';
import { createIndexImage, type IndexImage } from './index-image.ts';
import type { Publication } from './publication.ts';
import { chooseDestinations, type Destination, type Destinations } from './targets.ts';

export interface AssembleOptions {
  readonly destinations: Destinations;
  readonly connect: Connect;
  readonly reader: BuildReader;
  /** `https://github.com` */
  readonly server: string;
  /** The plan's time for all that the run publishes; undefined: the begin of a component's first build. */
  readonly created: string | undefined;
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
  const chosen = [...decideDestinations(closed, options)].map(([set, destinations]) => ({
    set,
    destinations,
    targets: destinations.map(({ repository, tags }) => ({ client: options.connect(repository), tags })),
  }));
  const read = await Promise.all(
    chosen.map(async ({ set, destinations, targets }) => {
      const repositories = destinations.map(({ repository }) => repository);
      const children = await readChildren(set.records, repositories, options.reader);
      return { set, destinations, targets, ...children };
    }),
  );
  refuseProblems([...closed.problems, ...read.flatMap(({ problems }) => problems)]);
  return read.map(({ set, destinations, targets, children }) => ({
    component: set.component,
    image: makeImage(set, children, destinations, options),
    built: children,
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
  built: readonly Child[],
  targets: readonly Destination[],
  options: AssembleOptions,
): IndexImage {
  const { format, singlePlatform, server, created, onNotice } = options;
  // Neither a plain manifest nor a Docker manifest list has a place for what only the merge knows.
  const isBare = format === 'docker' || singlePlatform === 'manifest';
  const annotations = annotateIndex({
    server,
    created,
    records: set.records,
    version: options.version ?? versionAmong(targets),
    platforms: built.map(({ built: { image } }) => image.platform),
    missing: set.missing,
    metadata: isBare ? [] : options.metadata,
    given: options.annotations,
    defaults: !isBare,
  });
  for (const notice of annotations.notices) onNotice(`${set.component}: ${notice}`);
  if (isBare) onNotice(bareNotice(set, built, options));
  const { index, descriptors } = annotations;
  const { missing } = set;
  if (missing.length > 0) {
    onNotice(
      `${set.component} is published without ${missing.map(formatPlatform).join(', ')}, as "allow-missing" says.`,
    );
  }
  const made = { format, singlePlatform, annotations: index, descriptorAnnotations: descriptors, missing };
  return createIndexImage(built, made);
}

function bareNotice(
  { component }: ComponentSet,
  built: readonly Child[],
  { format }: AssembleOptions,
): string {
  const kind = format === 'docker' ? 'a Docker manifest list' : 'a plain image manifest';
  const isAttested = built.some(({ built: { image } }) => image.attestations.length > 0);
  const lost = isAttested ? ' Its attestations (provenance, SBOM) are left out.' : '';
  return `${component} becomes ${kind}, which carries no annotations of the merge: nothing on it tells a later merge whether it is newer.${lost}`;
}

const VERSION = /^v?(?<version>\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$/;

function versionAmong(targets: readonly Destination[]): string | undefined {
  const tags = targets.flatMap(target => target.tags);
  return tags.map(tag => VERSION.exec(tag)?.groups?.version).find(version => version !== undefined);
}
