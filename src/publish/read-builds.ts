import { type ErrorCode, ManifoldError, messageOf, oneLine } from '../errors.ts';
import { manifestContent } from '../oci/manifest.ts';
import { formatPlatform, parsePlatform, samePlatform } from '../oci/platform.ts';
import { formatRepository, parseRepository, type Repository } from '../oci/reference.ts';
import type { Problem } from '../records/problems.ts';
import type { BuildRecord } from '../records/record.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { type BuiltImage, readBuiltImage, requireWhole } from '../registry/image.ts';

/** A build as the registries hold it. */
export interface ReadBuild {
  readonly record: BuildRecord;
  readonly built: BuiltImage;
  /** Where it was read. */
  readonly source: RepositoryClient;
}

/** What was read, and all that is wrong with it. */
export interface ReadBuilds {
  readonly builds: readonly ReadBuild[];
  readonly problems: readonly Problem[];
}

/** Always the same client for the same repository. */
export type Connect = (repository: Repository) => RepositoryClient;

/** Pushed by a job that ended a moment ago: a registry that does not find it yet is asked again. */
const PUSHED = { justPushed: true };

/** Reads builds from the registries, each from one repository once, however often it is asked for. */
export class BuildReader {
  readonly #connect: Connect;
  readonly #reads = new Map<string, Promise<BuiltImage>>();

  constructor(connect: Connect) {
    this.#connect = connect;
  }

  /** The client of a repository by its full name. */
  at(name: string): RepositoryClient {
    return this.#connect(parseRepository(name));
  }

  /**
   * Begins to read a build whose record has just come: other records are still on their way, and registries take their
   * time.
   */
  begin(record: BuildRecord, targets: readonly Repository[] | undefined): void {
    const [source] = placesOf(record, targets);
    // Whoever asks for it hears of a failure; where nobody does, it is none.
    this.read(record, source).catch(() => {});
  }

  /** @throws ManifoldError `registry-…`, `digest-mismatch`, `invalid-document` */
  read(record: BuildRecord, source: string): Promise<BuiltImage> {
    const key = `${source}@${record.digest}`;
    const root = manifestContent(Buffer.from(record.content), record.mediaType);
    const reading = this.#reads.get(key) ?? readBuiltImage(this.at(source), root, PUSHED);
    this.#reads.set(key, reading);
    return reading;
  }
}

/**
 * Where a build is looked at: in those of the targets that it was pushed to, or where it was pushed to first.
 * @param targets undefined: wherever it was pushed to
 */
function placesOf(
  { images }: BuildRecord,
  targets: readonly Repository[] | undefined,
): [source: string, ...others: string[]] {
  const wanted = targets?.map(formatRepository) ?? images;
  const kept = images.filter(name => wanted.includes(name));
  const [source = images[0] as string, ...others] = kept;
  return [source, ...others];
}

/**
 * Reads every build of a component where it was pushed to, and holds it against its record. A build is read whole from one
 * repository; that the other targets among those that it was pushed to hold its manifests is made sure of.
 * @throws ManifoldError `registry-…` when a registry could not be asked
 */
export async function readBuilds(
  records: readonly BuildRecord[],
  targets: readonly Repository[],
  reader: BuildReader,
): Promise<ReadBuilds> {
  const results = await Promise.all(records.map(record => readBuild(record, targets, reader)));
  return {
    builds: results.filter(result => 'built' in result),
    problems: results.filter(result => 'code' in result),
  };
}

/** Faults of what the registry holds; all others are faults of the registry, and then nothing can be said. */
const ABOUT_THE_BUILD: readonly ErrorCode[] = [
  'registry-not-found',
  'digest-mismatch',
  'invalid-document',
  'tampered-record',
];

async function readBuild(
  record: BuildRecord,
  targets: readonly Repository[],
  reader: BuildReader,
): Promise<ReadBuild | Problem> {
  const [source, ...others] = placesOf(record, targets);
  const client = reader.at(source);
  try {
    const built = await reader.read(record, source);
    await Promise.all(others.map(name => requireWhole(reader.at(name), built.image, PUSHED)));
    return disagreement(record, built, client) ?? { record, built, source: client };
  } catch (error) {
    if (!(error instanceof ManifoldError) || !ABOUT_THE_BUILD.includes(error.code)) throw error;
    return {
      // What a registry's clean-up has deleted was not tampered with.
      code: error.code === 'registry-not-found' ? error.code : 'tampered-record',
      ...named(record),
      expected: record.digest,
      found: messageOf(error),
      remedy: rebuild(record),
    };
  }
}

function disagreement(
  record: BuildRecord,
  { image, predicateTypes }: BuiltImage,
  client: RepositoryClient,
): Problem | undefined {
  if (!samePlatform(image.platform, parsePlatform(record.platform))) {
    return {
      code: 'wrong-architecture',
      ...named(record),
      expected: `an image for ${record.platform}`,
      found: `the config of ${client.name}@${image.image.digest} says ${formatPlatform(image.platform)}`,
      remedy: `mend the build (a "FROM --platform=…" that is fixed, a builder that builds something else) and ${rebuild(record)}`,
    };
  }
  const stripped = record.attestations.filter(type => !predicateTypes.includes(type));
  if (stripped.length === 0) return undefined;
  return {
    code: 'tampered-record',
    ...named(record),
    expected: `attestations of ${oneLine(stripped.join(', '))}`,
    found: `none of these in ${client.name}`,
    remedy: rebuild(record),
  };
}

function named({ component, platform }: BuildRecord): Pick<Problem, 'component' | 'platform'> {
  return { component, platform };
}

function rebuild({ platform, source }: BuildRecord): string {
  return source.job === ''
    ? `re-run the build of ${platform}`
    : `re-run the job "${source.job}" of ${platform}`;
}
