import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { PushedImage } from '../../__tests__/servers/images.ts';
import { type Contents, startRegistry, type TestRegistry } from '../../__tests__/servers/registry.ts';
import { spoil } from './defects.ts';
import { attachForeign, publishEarlier, pushBuild } from './images.ts';
import { recordBytes, type StoredPlan, type StoredRecord, storeRecords, writePlans } from './records.ts';
import { PASSWORD, type Services, USER, watchRegistry } from './services.ts';
import type { Build, Habit, Place, World } from './world.ts';

/** What the merge is to publish for one build. */
export interface Expected {
  readonly build: Build;
  readonly image: PushedImage;
  /** What it was made of: the same again gives the same digest. */
  readonly content: string;
}

/** A world that stands: registries that run, images in them, records in their store. */
export interface Site {
  readonly world: World;
  readonly services: Services;
  readonly registries: readonly TestRegistry[];
  readonly folder: string;
  readonly runId: string;
  readonly expected: Map<Build, Expected>;
  readonly records: StoredRecord[];
  readonly plans: StoredPlan[];
  /** What tags pointed at before the run, by `earlierKey`. */
  readonly earlier: Map<string, string>;
  readonly repository: (place: Place, component: string) => Contents;
  /** The repository of one of the targets, by its position. */
  readonly target: (position: number, component: string) => Contents;
  /** The names that the builds push a component to. */
  readonly sourceNames: (component: string) => string[];
  /** The names that a component is published under. */
  readonly targetNames: (component: string) => string[];
  close(): Promise<void>;
}

let runs = 0;

export async function buildSite(world: World, services: Services): Promise<Site> {
  const registries = await Promise.all(
    world.registries.map(habit => startRegistry(registryOptions(habit, services))),
  );
  for (const [position, registry] of registries.entries())
    watchRegistry(registry, `registry ${position}`, services);
  const folder = mkdtempSync(path.join(tmpdir(), 'manifold-chaos-'));
  const registryOf = ({ registry }: Place): TestRegistry => registries[registry] as TestRegistry;
  const repository: Site['repository'] = (place, component) =>
    registryOf(place).repository(`${place.owner}/${component}`);
  const namesIn = (places: readonly Place[], component: string): string[] =>
    places.map(place => `${registryOf(place).host}/${place.owner}/${component}`);
  const site: Site = {
    world,
    services,
    registries,
    folder,
    runId: String(100_000 * process.pid + ++runs),
    expected: new Map(),
    records: [],
    plans: [],
    earlier: new Map(),
    repository,
    target: (position, component) => repository(world.targets[position] as Place, component),
    sourceNames: component => namesIn(world.sources, component),
    targetNames: component => namesIn(world.targets, component),
    close: async () => {
      await Promise.all(registries.map(registry => registry.close()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  writeFiles(site);
  publishEarlier(site);
  for (const build of world.builds) runBuild(site, build);
  site.plans.push(...writePlans(site));
  attachForeign(site);
  if (world.defect !== undefined) spoil(site, world.defect);
  storeRecords(site);
  return site;
}

function registryOptions({ referrers, login, pageSize }: Habit, { fronts, tokens }: Services) {
  return {
    referrers,
    ...(pageSize === undefined ? {} : { pageSize }),
    ...(login === 'basic' ? { basic: { [USER]: PASSWORD } } : {}),
    ...(login === 'bearer' ? { bearer: { realm: `${fronts.tokens}/token`, service: tokens.service } } : {}),
  };
}

function writeFiles({ folder, registries, services, world }: Site): void {
  const auth = Buffer.from(`${USER}:${PASSWORD}`).toString('base64');
  const auths = Object.fromEntries(registries.map(({ host }) => [host, { auth }]));
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ auths }));
  writeFileSync(path.join(folder, 'trusted_root.json'), services.trust.root);
  const { config, configWithoutStamps } = services.trust;
  const signingConfig = world.signing?.hasTimestamps === true ? config : configWithoutStamps;
  writeFileSync(path.join(folder, 'signing_config.json'), signingConfig);
  mkdirSync(path.join(folder, 'records'));
  mkdirSync(path.join(folder, 'temp'));
}

/** The build's jobs, in all attempts that it was run in; each pushes an image of its own and leaves a record. */
function runBuild(site: Site, build: Build): void {
  for (const attempt of build.attempts) {
    const content = `${build.component} ${build.platform} ${attempt}`;
    const image = pushBuild(site, build, content);
    site.expected.set(build, { build, image, content });
    site.records.push({ build, attempt, bytes: recordBytes(site, build, attempt, image) });
  }
}
