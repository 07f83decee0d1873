import { sha256 } from '../../__tests__/servers/registry.ts';
import { pushBuild, recordBytes, type Site, type StoredRecord, storeRecords } from './site.ts';
import type { Build, Defect, DefectKind } from './world.ts';

/** What a merge ends with because of a defect. */
export const DEFECT_CODES: Readonly<Record<DefectKind, readonly string[]>> = {
  'missing record': ['missing-platform', 'no-records'],
  'extra record': ['unexpected-platform'],
  'wrong architecture': ['wrong-architecture'],
  'lost image': ['registry-not-found', 'tampered-record'],
  'corrupt config': ['digest-mismatch', 'tampered-record'],
  'record of another run': ['tampered-record'],
  'record of another commit': ['tampered-record'],
  'record of another component': ['tampered-record'],
  'record with another size': ['tampered-record', 'invalid-record'],
  'record with another digest': [
    'tampered-record',
    'invalid-record',
    'wrong-architecture',
    'registry-not-found',
  ],
  'record with an attestation too many': ['tampered-record'],
  'record with an unknown field': ['invalid-record'],
  'record of a newer schema': ['invalid-record'],
  'record cut off': ['invalid-record'],
};

interface Document {
  readonly size: number;
  readonly source: object;
}

/** What is wrong inside of a record: fields and their values. */
const CHANGES: Partial<Record<DefectKind, (record: Document) => object>> = {
  'record of another run': ({ source }) => ({ source: { ...source, runId: '1' } }),
  'record of another commit': ({ source }) => ({ source: { ...source, commit: 'd'.repeat(40) } }),
  'record of another component': () => ({ component: 'apps' }),
  'record with another size': ({ size }) => ({ size: size + 1 }),
  'record with another digest': () => ({ digest: sha256(Buffer.from('another')) }),
  'record with an attestation too many': () => ({ attestations: ['https://spdx.dev/Document'] }),
  'record with an unknown field': () => ({ unknown: true }),
  'record of a newer schema': () => ({ schemaVersion: 2 }),
};

/** Breaks what the builds left. */
export function spoil(site: Site, { kind, build, registry }: Defect): void {
  const record = newestRecord(site, build);
  const change = CHANGES[kind];
  if (change !== undefined) {
    const document = JSON.parse(record.bytes.toString()) as Document;
    record.bytes = Buffer.from(JSON.stringify({ ...document, ...change(document) }));
  } else if (kind === 'record cut off') {
    record.bytes = record.bytes.subarray(0, record.bytes.length / 2);
  } else if (kind === 'missing record') {
    site.records.splice(0, site.records.length, ...site.records.filter(other => other.build !== build));
  } else if (kind === 'extra record') {
    const extra = { ...build, platform: 'linux/loong64', row: site.world.builds.length };
    const bytes = recordBytes(site, extra, record.attempt, pushBuild(site, extra, 'extra'));
    site.records.push({ build: extra, attempt: record.attempt, bytes });
  } else if (kind === 'wrong architecture') {
    const image = pushBuild(site, build, 'for another machine', { os: 'linux', architecture: 'mips64le' });
    record.bytes = recordBytes(site, build, record.attempt, image);
  } else {
    spoilImage(site, kind, build, registry);
  }
}

function newestRecord({ records }: Site, build: Build): StoredRecord {
  const own = records.filter(record => record.build === build);
  return own.at(-1) as StoredRecord;
}

function spoilImage(site: Site, kind: DefectKind, build: Build, registry: number): void {
  const image = site.expected.get(build)?.image;
  const contents = site.repository(registry, build.component);
  if (image === undefined) return;
  if (kind === 'lost image') contents.manifests.delete(image.manifest.descriptor.digest);
  else contents.blobs.set(image.config.descriptor.digest, Buffer.from(image.config.bytes).fill(32, 1, 3));
}

/**
 * What went wrong is run again, in a new attempt of the run, and this time nothing is wrong: the one job, or "Re-run all
 * jobs", which sees none of the records of before.
 */
export function mend(site: Site, { build: broken }: Defect, attempt: number): void {
  const { builds, store } = site.world;
  const all = store === 'artifacts';
  if (all) site.services.artifacts.startAfresh(site.runId, attempt);
  const kept = all ? [] : site.records.filter(({ build }) => builds.includes(build));
  const rerun = (all ? builds : [broken]).map(build => {
    const image = pushBuild(site, build, `${build.component} ${build.platform} mended`);
    site.expected.set(build, { build, image });
    return { build, attempt, bytes: recordBytes(site, build, attempt, image) };
  });
  site.records.splice(0, site.records.length, ...kept, ...rerun);
  storeRecords(site);
}
