import { Draw } from './draw.ts';

/** How a registry behaves when nothing is wrong with it. */
export interface Habit {
  readonly referrers: 'api' | 'none' | 'subject-only';
  readonly login: 'none' | 'basic' | 'bearer';
  /** Referrers that it lists on one page. */
  readonly pageSize: number | undefined;
}

/** One build job: a platform of a component. */
export interface Build {
  readonly component: string;
  /** `linux/arm/v7`, as the record writes it. */
  readonly platform: string;
  /** The attempts of the run in which it was built, ascending; the last one is to be published. */
  readonly attempts: readonly number[];
  readonly attested: boolean;
  /** Its row in the matrix of all builds. */
  readonly row: number;
}

/** What is wrong with the run itself, whatever the weather: the merge can never succeed before it is mended. */
const DEFECTS = [
  'missing record',
  'missing record',
  'missing record',
  'extra record',
  'wrong architecture',
  'lost image',
  'corrupt config',
  'record of another run',
  'record of another commit',
  'record of another component',
  'record with another size',
  'record with another digest',
  'record with an attestation too many',
  'record with an unknown field',
  'record of a newer schema',
  'record cut off',
] as const;
export type DefectKind = (typeof DEFECTS)[number];

export interface Defect {
  readonly kind: DefectKind;
  readonly build: Build;
  /** The registry that lost or spoilt the image. */
  readonly registry: number;
}

/** All that a run publishes, and where to. Tells everything about a run but its faults. */
export interface World {
  /** `7/123`: seed and number of the run. */
  readonly name: string;
  readonly registries: readonly Habit[];
  readonly components: readonly string[];
  readonly builds: readonly Build[];
  /** The components of each merge, one step after the other. */
  readonly merges: readonly (readonly string[])[];
  readonly tags: readonly string[];
  /** Tags that exist already, in every registry, and point at an earlier image. */
  readonly earlier: readonly string[];
  readonly store: 'folder' | 'artifacts';
  /** Whether the merge is told the platforms, or counts the jobs of the matrix. */
  readonly tellsPlatforms: boolean;
  readonly signs: boolean;
  /** Somebody else has attached something to the images already. */
  readonly foreignReferrers: boolean;
  /** The attempt of the run that merges. */
  readonly attempt: number;
  readonly defect: Defect | undefined;
}

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

export function drawWorld(name: string): World {
  const draw = new Draw(`${name}/world`);
  const components = draw.some(COMPONENTS, draw.one([1, 1, 2, 2, 3, 4]));
  const tellsPlatforms = draw.chance(0.6);
  const attempt = draw.one([1, 1, 1, 2, 2, 3]);
  const tags = draw.some(TAGS, draw.whole(1, 4));
  const builds = drawBuilds(draw, components, tellsPlatforms, attempt);
  return {
    name,
    registries: Array.from({ length: draw.one([1, 1, 2, 2, 3]) }, () => drawHabit(draw)),
    components,
    builds,
    merges: drawMerges(draw, components),
    tags,
    earlier: tags.filter(() => draw.chance(0.6)),
    store: draw.chance(0.8) ? 'folder' : 'artifacts',
    tellsPlatforms,
    signs: draw.chance(0.7),
    foreignReferrers: draw.chance(0.3),
    attempt,
    defect: draw.chance(0.15)
      ? { kind: draw.one(DEFECTS), build: draw.one(builds), registry: draw.whole(0, 2) }
      : undefined,
  };
}

/** Whether a merge may be asked for several components at once. */
const SEVERAL = true;

function drawMerges(draw: Draw, components: readonly string[]): (readonly string[])[] {
  if (!SEVERAL || draw.chance(0.2)) return components.map(component => [component]);
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

/** The builds of all components; where the merge is told the platforms, they are the same for each. */
function drawBuilds(
  draw: Draw,
  components: readonly string[],
  samePlatforms: boolean,
  attempt: number,
): Build[] {
  const drawPlatforms = () => draw.some(PLATFORMS, draw.one([1, 1, 2, 2, 3, 4, 5, 6]));
  const shared = drawPlatforms();
  const attested = draw.chance(0.6);
  return components
    .flatMap(component =>
      (samePlatforms ? shared : drawPlatforms()).map(platform => ({ component, platform })),
    )
    .map((build, row) => ({ ...build, row, attested, attempts: drawAttempts(draw, attempt) }));
}

/** Built in the first attempt, or failed in it; some jobs are re-run in later ones. */
function drawAttempts(draw: Draw, last: number): number[] {
  const all = Array.from({ length: last }, (_, position) => position + 1);
  const attempts = all.filter(() => draw.chance(0.5));
  return attempts.length === 0 ? [draw.one(all)] : attempts;
}
