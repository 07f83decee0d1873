import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ORIGIN, PROVENANCE, type PushedImage, recordOf } from '../../__tests__/servers/images.ts';
import type { Site } from './site.ts';
import { type Build, isIdle, type Row } from './world.ts';

/** A record of a build as it lies in the store. */
export interface StoredRecord {
  readonly build: Build;
  readonly attempt: number;
  bytes: Buffer;
}

/** A plan as it lies in the store. */
export interface StoredPlan {
  readonly attempt: number;
  bytes: Buffer;
}

/** When the images were built, by which the merge dates them unless the plan does. */
export const BUILT_AT = '2026-11-21T10:00:00.000Z';
export const PLANNED_AT = '2026-11-21T09:30:00.000Z';

export function recordBytes(site: Site, build: Build, attempt: number, image: PushedImage): Buffer {
  const { component, platform, row, attested } = build;
  const { builds, missing } = site.world;
  const record = recordOf(image.root, platform, {
    component,
    images: site.sourceNames(component),
    attestations: attested ? [PROVENANCE] : [],
    started: BUILT_AT,
    source: {
      runId: site.runId,
      runAttempt: attempt,
      matrixSize: builds.length + missing.length,
      matrixIndex: row,
    },
  });
  return Buffer.from(`${JSON.stringify(record, null, 2)}\n`);
}

/** The plans of all attempts that made one; those before the last are of other platforms and tags. */
export function writePlans(site: Site): StoredPlan[] {
  const attempts = site.world.plan?.attempts ?? [];
  return attempts.map(attempt => ({
    attempt,
    bytes: attempt === attempts.at(-1) ? planBytes(site, attempt) : outdatedPlan(site, attempt),
  }));
}

export function planBytes(site: Site, attempt: number): Buffer {
  return documentOf(site, attempt, site.world.tags, component => platformsOf(site, component));
}

function outdatedPlan(site: Site, attempt: number): Buffer {
  return documentOf(site, attempt, ['outdated'], () => ['linux/mips64le']);
}

function documentOf(
  site: Site,
  runAttempt: number,
  tags: readonly string[],
  platforms: (component: string) => string[],
): Buffer {
  const { world, runId } = site;
  const { repository, commit } = ORIGIN;
  const components = world.components.map(component => ({
    component,
    images: world.targetsFrom === 'plan' ? site.targetNames(component) : site.sourceNames(component),
    platforms: platforms(component),
    tags: world.plan?.hasTags === true ? tags : [],
    needed: !isIdle(world, component),
  }));
  const plan = {
    schemaVersion: 1,
    components,
    created: PLANNED_AT,
    version: world.plan?.version ?? null,
    source: {
      repository,
      commit,
      ref: 'refs/heads/main',
      workflow: 'release',
      runId,
      runAttempt,
      job: 'plan',
    },
    manifold: '0.1.0',
  };
  return Buffer.from(`${JSON.stringify(plan, null, 2)}\n`);
}

/** All that a component was to be built for, whatever came of it. */
function platformsOf({ world }: Site, component: string): string[] {
  if (isIdle(world, component)) return ['linux/amd64'];
  const rows: readonly Row[] = [...world.builds, ...world.missing];
  return rows.filter(row => row.component === component).map(({ platform }) => platform);
}

/** Puts the records where the merge looks for them, beside what is not ours. */
export function storeRecords(site: Site): void {
  const named = [
    ...site.records.map(({ build, attempt, bytes }) => ({
      name: `manifold-build.${build.component}.${build.platform.replaceAll('/', '-')}.${attempt}`,
      attempt,
      bytes,
    })),
    ...site.plans.map(({ attempt, bytes }) => ({ name: `manifold-plan.${attempt}`, attempt, bytes })),
  ];
  if (site.world.store === 'folder') return fillFolder(path.join(site.folder, 'records'), named);
  const { services, runId } = site;
  const { artifacts } = services;
  const held = new Set(artifacts.artifacts(runId).map(({ name, attempt }) => `${name} ${attempt}`));
  const foreign = { name: 'acme~app~ABCDEF.dockerbuild', attempt: 1, bytes: Buffer.from('not ours') };
  for (const { name, attempt, bytes } of [...named, foreign])
    if (!held.has(`${name} ${attempt}`)) artifacts.put({ run: runId, name, attempt }, bytes);
  const { withholds, attempt } = site.world;
  artifacts.withhold(artifact => withholds && artifact.run === runId && artifact.attempt < attempt);
}

function fillFolder(folder: string, files: readonly { name: string; bytes: Buffer }[]): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'digests-app'), 'not ours');
  for (const { name, bytes } of files) writeFileSync(path.join(folder, name), bytes);
}
