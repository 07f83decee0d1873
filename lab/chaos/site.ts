import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ORIGIN, PROVENANCE, type PushedImage, pushImage, recordOf } from '../../__tests__/servers/images.ts';
import { type Contents, startRegistry, type TestRegistry } from '../../__tests__/servers/registry.ts';
import { spoil } from './defects.ts';
import { addReferrer } from './effects.ts';
import { PASSWORD, type Services, USER, watchRegistry } from './services.ts';
import type { Build, Habit, World } from './world.ts';

/** What the merge is to publish for one build. */
export interface Expected {
  readonly build: Build;
  readonly image: PushedImage;
}

/** A record as it lies in the store. */
export interface StoredRecord {
  readonly build: Build;
  readonly attempt: number;
  bytes: Buffer;
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
  /** Digest of the earlier image of each component, the same in every registry. */
  readonly earlier: ReadonlyMap<string, string>;
  /** Of one component in one registry. */
  readonly repository: (registry: number, component: string) => Contents;
  /** The names of a component's image, one for each registry. */
  readonly images: (component: string) => string[];
  close(): Promise<void>;
}

let runs = 0;

export async function buildSite(world: World, services: Services): Promise<Site> {
  const registries = await Promise.all(
    world.registries.map(habit => startRegistry(registryOptions(habit, services))),
  );
  for (const [position, registry] of registries.entries())
    watchRegistry(registry, `registry ${position}`, services.sky);
  const folder = mkdtempSync(path.join(tmpdir(), 'manifold-chaos-'));
  const repository = (registry: number, component: string): Contents =>
    (registries[registry % registries.length] as TestRegistry).repository(`acme/${component}`);
  const earlier = new Map<string, string>();
  const site: Site = {
    world,
    services,
    registries,
    folder,
    runId: String(100_000 * process.pid + ++runs),
    expected: new Map(),
    records: [],
    earlier,
    repository,
    images: component => registries.map(({ host }) => `${host}/acme/${component}`),
    close: async () => {
      await Promise.all(registries.map(registry => registry.close()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  writeLogins(site);
  for (const component of world.components) earlier.set(component, publishEarlier(site, component));
  for (const build of world.builds) runBuild(site, build);
  if (world.foreignReferrers) attachForeign(site);
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

function writeLogins({ folder, registries, services }: Site): void {
  const auth = Buffer.from(`${USER}:${PASSWORD}`).toString('base64');
  const auths = Object.fromEntries(registries.map(({ host }) => [host, { auth }]));
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ auths }));
  writeFileSync(path.join(folder, 'trusted_root.json'), services.trust.root);
  writeFileSync(path.join(folder, 'signing_config.json'), services.trust.config);
  mkdirSync(path.join(folder, 'records'));
  mkdirSync(path.join(folder, 'temp'));
}

function publishEarlier({ world, registries, repository }: Site, component: string): string {
  const digests = registries.map((_, registry) => {
    const contents = repository(registry, component);
    const { digest } = pushImage(contents, { content: `earlier ${component}` }).root.descriptor;
    for (const tag of world.earlier) contents.tags.set(tag, digest);
    return digest;
  });
  return digests[0] ?? '';
}

/** What a platform's image says of itself: arm64 is written in two ways. */
function configOf(platform: string, row: number) {
  const [os = '', architecture = '', variant] = platform.split('/');
  const written = architecture === 'arm64' && row % 2 === 1 ? 'v8' : variant;
  return { os, architecture, ...(written === undefined ? {} : { variant: written }) };
}

/** Pushes an image to every registry. @param change of what the image says of itself */
export function pushBuild(site: Site, build: Build, content: string, change: object = {}): PushedImage {
  const options = {
    ...configOf(build.platform, build.row),
    content,
    attested: build.attested,
    ...change,
  };
  const pushed = site.registries.map((_, registry) =>
    pushImage(site.repository(registry, build.component), options),
  );
  return pushed[0] as PushedImage;
}

/** The build's jobs, in all attempts that it was run in; each pushes an image of its own and leaves a record. */
function runBuild(site: Site, build: Build): void {
  for (const attempt of build.attempts) {
    const image = pushBuild(site, build, `${build.component} ${build.platform} ${attempt}`);
    site.expected.set(build, { build, image });
    site.records.push({ build, attempt, bytes: recordBytes(site, build, attempt, image) });
  }
}

export function recordBytes(site: Site, build: Build, attempt: number, image: PushedImage): Buffer {
  const { component, platform, row, attested } = build;
  const matrixSize = site.world.builds.length;
  const record = recordOf(image.root, platform, {
    component,
    images: site.images(component),
    attestations: attested ? [PROVENANCE] : [],
    source: { runId: site.runId, runAttempt: attempt, matrixSize, matrixIndex: row },
  });
  return Buffer.from(`${JSON.stringify(record, null, 2)}\n`);
}

function attachForeign(site: Site): void {
  for (const { build, image } of site.expected.values()) {
    for (const registry of site.registries.keys())
      addReferrer(
        site.repository(registry, build.component),
        image.manifest.descriptor.digest.replace(':', '-'),
      );
  }
}

/** Puts the records where the merge looks for them, beside what is not ours. */
export function storeRecords({ world, records, folder, services, runId }: Site): void {
  const named = records.map(({ build, attempt, bytes }) => ({
    name: `manifold-build.${build.component}.${build.platform.replaceAll('/', '-')}.${attempt}`,
    attempt,
    bytes,
  }));
  if (world.store === 'artifacts') {
    const { artifacts } = services;
    const held = new Set(artifacts.artifacts(runId).map(({ name, attempt }) => `${name} ${attempt}`));
    const all = [
      ...named,
      { name: 'acme~app~ABCDEF.dockerbuild', attempt: 1, bytes: Buffer.from('not ours') },
    ];
    for (const { name, attempt, bytes } of all)
      if (!held.has(`${name} ${attempt}`)) artifacts.put({ run: runId, name, attempt }, bytes);
    return;
  }
  const target = path.join(folder, 'records');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  writeFileSync(path.join(target, 'digests-app'), 'not ours');
  for (const { name, bytes } of named) writeFileSync(path.join(target, name), bytes);
}

/** Who the run is, as the records and the runner say it. */
export const RUN = ORIGIN;
