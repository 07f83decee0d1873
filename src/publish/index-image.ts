import { ManifoldError, oneLine } from '../errors.ts';
import { assembleIndex, type PlatformImage } from '../oci/index.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { comparePlatforms, parsePlatform } from '../oci/platform.ts';
import type { BuildRecord } from '../records/record.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { readBuiltImage } from '../registry/image.ts';

/** The index that a merge publishes, and what it is made of. */
export interface IndexImage {
  readonly content: ManifestContent;
  /** In the order of the index. */
  readonly images: readonly PlatformImage[];
}

/**
 * Reads the children from every registry, holds them against the records, and makes the bytes of the index once, for
 * all registries.
 * @throws ManifoldError `tampered-record`, `wrong-architecture`, `registry-…`
 */
export async function createIndexImage(
  records: readonly BuildRecord[],
  repositories: readonly RepositoryClient[],
  server: string,
): Promise<IndexImage> {
  const [images] = await Promise.all(
    repositories.map(repository => Promise.all(records.map(record => readRecorded(repository, record)))),
  );
  const sorted = (images ?? []).sort((a, b) => comparePlatforms(a.platform, b.platform));
  return { content: assembleIndex(sorted, indexAnnotations(records, server)), images: sorted };
}

async function readRecorded(repository: RepositoryClient, record: BuildRecord): Promise<PlatformImage> {
  const { content, image, predicateTypes } = await readBuiltImage(
    repository,
    record.digest,
    parsePlatform(record.platform),
    {
      justPushed: true,
    },
  );
  if (content.bytes.byteLength !== record.size || content.mediaType !== record.mediaType) {
    throw disagrees(
      record,
      `is ${record.mediaType} of ${record.size} bytes; ${repository.name} holds ${content.mediaType} of ${content.bytes.byteLength} bytes`,
    );
  }
  const stripped = record.attestations.filter(type => !predicateTypes.includes(type));
  if (stripped.length > 0) {
    throw disagrees(
      record,
      `has attestations of ${oneLine(stripped.join(', '))}, which ${repository.name} does not hold for it`,
    );
  }
  return image;
}

function disagrees(record: BuildRecord, what: string): ManifoldError {
  return new ManifoldError(
    'tampered-record',
    `The record of ${record.platform} says that ${record.digest} ${what}.`,
    {
      hint: 'The record was changed after the build, or the registry lost something. Re-run the build job of this platform.',
    },
  );
}

/** The same for every re-run of the same records: nothing here comes from the clock or from this job. */
function indexAnnotations(records: readonly BuildRecord[], server: string): Record<string, string> {
  const [first] = records;
  if (first === undefined) return {};
  const created = records.map(record => record.started).reduce((a, b) => (a < b ? a : b));
  return {
    'org.opencontainers.image.created': created,
    'org.opencontainers.image.revision': first.source.commit,
    'org.opencontainers.image.source': `${server}/${first.source.repository}`,
  };
}
