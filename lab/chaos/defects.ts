import { sha256 } from '../../__tests__/servers/registry.ts';
import { freeImmutableTag, pushBuild, takeImmutableTag } from './images.ts';
import { planBytes, recordBytes, type StoredRecord, storeRecords } from './records.ts';
import type { Site } from './site.ts';
import { type Build, type Defect, type DefectKind, type Place, readFrom } from './world.ts';

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

/** What is wrong inside of a plan, and with which component. */
const PLANNED: Partial<Record<DefectKind, (plan: PlanDocument, build: Build) => object>> = {
  'plan of another run': ({ source }) => ({ source: { ...source, runId: '1' } }),
  'plan of another commit': ({ source }) => ({ source: { ...source, commit: 'd'.repeat(40) } }),
  'plan with a platform too many': (plan, { component }) =>
    replan(plan, component, platforms => [...platforms, 'linux/loong64']),
  'plan without a platform': (plan, { component, platform }) =>
    replan(plan, component, platforms => platforms.filter(each => each !== platform)),
};

interface PlanDocument extends Document {
  readonly components: readonly { readonly component: string; readonly platforms: readonly string[] }[];
}

function replan(
  { components }: PlanDocument,
  name: string,
  change: (platforms: readonly string[]) => readonly string[],
): object {
  const changed = components.map(planned =>
    planned.component === name ? { ...planned, platforms: change(planned.platforms) } : planned,
  );
  return { components: changed };
}

/** Breaks what the builds left. */
export function spoil(site: Site, defect: Defect): void {
  const { kind, build } = defect;
  const change = CHANGES[kind];
  const replanned = PLANNED[kind];
  if (change !== undefined) {
    rewrite(newestRecord(site, build), change);
  } else if (replanned !== undefined) {
    rewrite(newestPlan(site), plan => replanned(plan as PlanDocument, build));
  } else if (kind === 'record cut off' || kind === 'plan cut off') {
    const stored = kind === 'plan cut off' ? newestPlan(site) : newestRecord(site, build);
    stored.bytes = stored.bytes.subarray(0, stored.bytes.length / 2);
  } else if (kind === 'missing record') {
    site.records.splice(0, site.records.length, ...site.records.filter(other => other.build !== build));
  } else if (kind === 'immutable tag taken') {
    takeImmutableTag(site, build.component, defect.choice);
  } else if (kind === 'extra record' || kind === 'wrong architecture') {
    spoilBuild(site, kind, build);
  } else if (kind === 'lost image' || kind === 'corrupt config') {
    spoilImage(site, kind, defect);
  }
  // What is out of reach is whole: the merge gets no token.
}

function rewrite(stored: { bytes: Buffer }, change: (document: Document) => object): void {
  const document = JSON.parse(stored.bytes.toString()) as Document;
  stored.bytes = Buffer.from(JSON.stringify({ ...document, ...change(document) }));
}

function newestRecord({ records }: Site, build: Build): StoredRecord {
  return records.filter(record => record.build === build).at(-1) as StoredRecord;
}

const newestPlan = ({ plans }: Site): { bytes: Buffer } => plans.at(-1) as { bytes: Buffer };

function spoilBuild(site: Site, kind: DefectKind, build: Build): void {
  const record = newestRecord(site, build);
  if (kind === 'wrong architecture') {
    const image = pushBuild(site, build, 'for another machine', { os: 'linux', architecture: 'mips64le' });
    record.bytes = recordBytes(site, build, record.attempt, image);
    return;
  }
  const { builds, missing } = site.world;
  const extra = { ...build, platform: 'linux/loong64', row: builds.length + missing.length };
  const bytes = recordBytes(site, extra, record.attempt, pushBuild(site, extra, 'extra'));
  site.records.push({ build: extra, attempt: record.attempt, bytes });
}

/** Where the merge reads the images: elsewhere nobody would miss it. */
function spoilImage(site: Site, kind: DefectKind, { build, choice }: Defect): void {
  const image = site.expected.get(build)?.image;
  const places = readFrom(site.world);
  const contents = site.repository(places[choice % places.length] as Place, build.component);
  if (image === undefined) return;
  if (kind === 'lost image') contents.manifests.delete(image.manifest.descriptor.digest);
  else contents.blobs.set(image.config.descriptor.digest, Buffer.from(image.config.bytes).fill(32, 1, 3));
}

/**
 * What went wrong is run again, in a new attempt of the run, and this time nothing is wrong: the one job, or "Re-run all
 * jobs", which sees none of the records of before.
 */
export function mend(site: Site, { kind, build: broken }: Defect, attempt: number): void {
  const { builds, store, plan, policy, immutable } = site.world;
  const all = store === 'artifacts';
  if (kind === 'immutable tag taken') freeImmutableTag(site, broken.component);
  if (all) site.services.artifacts.startAfresh(site.runId, attempt);
  const kept = all ? [] : site.records.filter(({ build }) => builds.includes(build));
  // Where tags may not move again, the image must be the same again, as of a build that is reproducible.
  const isPinned = policy === 'never-move' || immutable.length > 0;
  const rerun = (all ? builds : [broken]).map(build => {
    const before = site.expected.get(build)?.content;
    const content = isPinned && before !== undefined ? before : `${build.component} ${build.platform} mended`;
    const image = pushBuild(site, build, content);
    site.expected.set(build, { build, image, content });
    return { build, attempt, bytes: recordBytes(site, build, attempt, image) };
  });
  site.records.splice(0, site.records.length, ...kept, ...rerun);
  if (plan !== undefined) {
    const before = all ? [] : site.plans;
    site.plans.splice(0, site.plans.length, ...before, { attempt, bytes: planBytes(site, attempt) });
  }
  storeRecords(site);
}
