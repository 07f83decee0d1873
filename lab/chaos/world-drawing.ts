import { drawDefect } from './defect-drawing.ts';
import { Draw } from './draw.ts';
import { drawEarlierTag, names } from './earlier.ts';
import { tagOfPlatform } from './platform-tags.ts';
import { drawSigning } from './signing.ts';
import type { Attachment } from './strangers.ts';
import type { Build, Habit, Place, Plan, Row, World } from './world.ts';

// Names that begin with each other, and that differ in one separator only.
const COMPONENTS = ['app', 'app-api', 'app.api', 'app_api', 'app-api-v2', 'ap'];
const PLATFORMS = [
  'linux/amd64',
  'linux/arm64',
  'linux/arm/v7',
  'linux/arm/v6',
  'linux/386',
  'linux/ppc64le',
  'linux/s390x',
  'linux/riscv64',
];
const TAGS = ['1.2.3', '1.2', '1', 'latest', 'edge', 'sha-c0ffee'];
const ATTACHMENTS: readonly Attachment[] = ['scan', 'bundle', 'legacy'];
/** Whom the builds' repositories belong to, and the others. */
const BUILT = 'acme';
const OWNERS = [BUILT, 'acme-release', 'mirror/acme'];

export function drawWorld(name: string): World {
  const draw = new Draw(`${name}/world`);
  const components = draw.some(COMPONENTS, draw.one([1, 1, 2, 2, 3, 4]));
  const attempt = draw.one([1, 1, 1, 2, 2, 3]);
  const registries = Array.from({ length: draw.one([1, 1, 2, 2, 3]) }, () => drawHabit(draw));
  const expects = draw.one(['rows', 'rows', 'platforms', 'platforms', 'plan'] as const);
  const plan = expects === 'plan' ? drawPlan(draw, components, attempt) : undefined;
  const built = components.filter(component => plan?.idle.includes(component) !== true);
  const store = draw.chance(0.7) ? ('folder' as const) : ('artifacts' as const);
  const world = {
    name,
    registries,
    components,
    expects,
    plan,
    attempt,
    store,
    ...drawRows(draw, built, expects, attempt),
    ...drawPlaces(draw, registries.length, plan !== undefined),
    merges: drawMerges(draw, components),
    withholds: store === 'artifacts' && attempt > 1 && draw.chance(0.7),
    signing: undefined,
    foreign: draw.chance(0.35) ? draw.some(ATTACHMENTS, draw.whole(1, 2)) : [],
  };
  const tagged = { ...world, ...drawSigned(name, world), ...drawTags(draw, world) };
  return { ...tagged, defect: draw.chance(0.18) ? drawDefect(draw, tagged) : undefined };
}

/** Somebody who signs in our way writes to the lists that we write to. */
function drawSigned(
  name: string,
  { builds, targets, foreign }: Pick<World, 'builds' | 'targets' | 'foreign'>,
): Pick<World, 'signing' | 'foreign'> {
  const draw = new Draw(`${name}/signing`);
  const signing = drawSigning(draw, builds.length, targets.length);
  const added = signing?.formats.filter(() => draw.chance(0.4)) ?? [];
  return { signing, foreign: [...new Set([...foreign, ...added])] };
}

function drawMerges(draw: Draw, components: readonly string[]): (readonly string[])[] {
  if (draw.chance(0.2)) return components.map(component => [component]);
  const first = draw.chance(0.7) ? components.length : draw.whole(1, components.length);
  return [components.slice(0, first), components.slice(first)].filter(({ length }) => length > 0);
}

function drawHabit(draw: Draw): Habit {
  return {
    referrers: draw.one(['api', 'api', 'none', 'none', 'subject-only']),
    login: draw.one(['none', 'basic', 'bearer']),
    pageSize: draw.chance(0.3) ? 1 : undefined,
  };
}

function drawPlan(draw: Draw, components: readonly string[], attempt: number): Plan {
  return {
    attempts: drawAttempts(draw, attempt),
    hasTags: draw.chance(0.6),
    version: draw.chance(0.5) ? '1.2.3' : null,
    idle: components.filter(() => draw.chance(0.15)),
  };
}

/** What was built, and what was to be; where the merge is told the platforms, they are the same for each component. */
function drawRows(
  draw: Draw,
  components: readonly string[],
  expects: World['expects'],
  attempt: number,
): Pick<World, 'builds' | 'missing' | 'allowMissing'> {
  const drawPlatforms = () => draw.some(PLATFORMS, draw.one([1, 1, 2, 2, 3, 4, 5, 6]));
  const shared = drawPlatforms();
  const drawAttested = draw.one([() => true, () => true, () => false, () => draw.chance(0.5)]);
  const rows = components
    .flatMap(component =>
      (expects === 'platforms' ? shared : drawPlatforms()).map(platform => ({ component, platform })),
    )
    .map((build, row) => ({
      ...build,
      row,
      attested: drawAttested(),
      attempts: drawAttempts(draw, attempt),
    }));
  const allowMissing = expects === 'rows' || draw.chance(0.7) ? [] : draw.some(PLATFORMS, 3);
  const lost = new Set<Row>(
    rows.filter(({ platform }) => allowMissing.includes(platform) && draw.chance(0.6)),
  );
  // An image of no platform at all is never allowed.
  for (const component of components) {
    const own = rows.filter(row => row.component === component);
    if (own.every(row => lost.has(row))) for (const row of own) lost.delete(row);
  }
  return {
    builds: rows.filter(row => !lost.has(row)),
    missing: rows.filter(row => lost.has(row)).map(({ component, platform }) => ({ component, platform })),
    allowMissing,
  };
}

/** Built in the first attempt, or failed in it; some jobs are re-run in later ones. */
function drawAttempts(draw: Draw, last: number): Build['attempts'] {
  const all = Array.from({ length: last }, (_, position) => position + 1);
  const attempts = all.filter(() => draw.chance(0.5));
  return attempts.length === 0 ? [draw.one(all)] : attempts;
}

/** Mostly the images stay where they were built; else they go to further repositories, or to quite other ones. */
function drawPlaces(
  draw: Draw,
  registries: number,
  isPlanned: boolean,
): Pick<World, 'sources' | 'targets' | 'targetsFrom'> {
  const all = Array.from({ length: registries }, (_, registry) => registry);
  const places = all.flatMap(registry => OWNERS.map(owner => ({ registry, owner })));
  const built: Place[] = all.map(registry => ({ registry, owner: BUILT }));
  if (draw.chance(0.5)) return { sources: built, targets: built, targetsFrom: 'builds' };
  return {
    sources: draw.some(built, draw.whole(1, Math.max(1, registries - 1))),
    targets: draw.some(places, draw.one([1, 2, 2, 3])),
    targetsFrom: isPlanned && draw.chance(0.5) ? 'plan' : 'input',
  };
}

type Tagging = 'tags' | 'policy' | 'immutable' | 'platformSuffix' | 'keepTags' | 'earlier';

function drawTags(draw: Draw, world: Omit<World, Tagging | 'defect'>): Pick<World, Tagging> {
  const tags = draw.some(TAGS, draw.whole(1, 4));
  const immutable = draw.chance(0.75)
    ? []
    : draw.some(['1.2.3', '1.2.3*', 'sha-*', 'v*', 'latest'], draw.whole(1, 2));
  const platformSuffix = draw.chance(0.75) ? undefined : draw.one(['-{{arch}}', '-{{platform}}']);
  // One that exists and must not move would end every merge: that is a defect, and drawn as such.
  const isFree = (tag: string): boolean =>
    [tag, ...PLATFORMS.map(platform => tagOfPlatform(tag, platformSuffix ?? '', platform))].every(
      each => !names(immutable, each),
    );
  const earlier = tags
    .filter(tag => draw.chance(0.6) && isFree(tag))
    .map(tag => drawEarlierTag(draw, tag, world.targets.length));
  return {
    tags,
    policy: draw.one(['newest', 'newest', 'newest', 'overwrite', 'never-move']),
    immutable,
    platformSuffix,
    keepTags: draw.chance(0.8) ? undefined : draw.one(['keep-{{short}}', 'keep-{{arch}}-{{digest}}']),
    earlier,
  };
}
