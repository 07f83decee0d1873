import type { Draw } from './draw.ts';
import { names } from './earlier.ts';
import type { Build, Defect, DefectKind, World } from './world.ts';

type Undisturbed = Omit<World, 'defect'>;

interface Rule {
  /** What the merge ends with. */
  readonly codes: readonly string[];
  /** Of which builds in which worlds it can be; of all without it. */
  readonly fits?: (world: Undisturbed, build: Build) => boolean;
  /** Concerns all that is merged, and not only the component of the build. */
  readonly isGeneral?: boolean;
  readonly weight?: number;
}

const isPlanned = ({ plan }: Undisturbed): boolean => plan !== undefined;

export const DEFECTS: Readonly<Record<DefectKind, Rule>> = {
  'missing record': { codes: ['missing-platform', 'no-records'], weight: 3 },
  'extra record': { codes: ['unexpected-platform'], fits: isCurrent },
  'wrong architecture': { codes: ['wrong-architecture'] },
  'lost image': { codes: ['registry-not-found', 'tampered-record'] },
  'corrupt config': { codes: ['digest-mismatch', 'tampered-record'] },
  'record of another run': { codes: ['tampered-record'] },
  'record of another commit': { codes: ['tampered-record'] },
  'record of another component': { codes: ['tampered-record'] },
  'record with another size': { codes: ['tampered-record', 'invalid-record'] },
  'record with another digest': {
    codes: ['tampered-record', 'invalid-record', 'wrong-architecture', 'registry-not-found'],
  },
  'record with an attestation too many': { codes: ['tampered-record'] },
  'record with an unknown field': { codes: ['invalid-record'] },
  'record of a newer schema': { codes: ['invalid-record'] },
  'record cut off': { codes: ['invalid-record'] },
  // The service lists it, and there is no token for the other way.
  'record out of reach': {
    codes: ['record-store'],
    fits: ({ withholds, attempt }, { attempts }) => withholds && (attempts.at(-1) ?? attempt) < attempt,
    isGeneral: true,
    weight: 12,
  },
  'plan of another run': { codes: ['tampered-record'], fits: isPlanned, isGeneral: true, weight: 2 },
  'plan of another commit': { codes: ['tampered-record'], fits: isPlanned, isGeneral: true, weight: 2 },
  'plan cut off': { codes: ['invalid-record'], fits: isPlanned, isGeneral: true, weight: 2 },
  'plan with a platform too many': { codes: ['missing-platform'], fits: isPlanned, weight: 3 },
  'plan without a platform': {
    codes: ['unexpected-platform', 'missing-platform'],
    fits: hasOthers,
    weight: 3,
  },
  'immutable tag taken': {
    codes: ['tag-immutable'],
    fits: ({ immutable, tags }) => tags.some(tag => names(immutable, tag)),
    weight: 12,
  },
};

/** What was built before the newest plan, and is not in it, is no concern of anybody any more. */
function isCurrent({ plan }: Undisturbed, { attempts }: Build): boolean {
  return (attempts.at(-1) ?? 0) >= (plan?.attempts.at(-1) ?? 0);
}

/** A plan without any platform would be none. */
function hasOthers(world: Undisturbed, build: Build): boolean {
  const own = world.builds.filter(({ component }) => component === build.component);
  return isPlanned(world) && isCurrent(world, build) && own.length > 1;
}

/** Undefined where nothing can be wrong, as nothing was built or all of it may be missing. */
export function drawDefect(draw: Draw, world: Undisturbed): Defect | undefined {
  const builds = world.builds.filter(({ platform }) => !world.allowMissing.includes(platform));
  const candidates = Object.entries(DEFECTS).flatMap(([name, { fits = () => true, weight = 1 }]) => {
    const kind = name as DefectKind;
    const fitting = builds.filter(build => fits(world, build));
    return fitting.length === 0 ? [] : Array.from({ length: weight }, () => ({ kind, fitting }));
  });
  if (candidates.length === 0) return undefined;
  const { kind, fitting } = draw.one(candidates);
  return { kind, build: draw.one(fitting), choice: draw.whole(0, 11) };
}

/** Whether a merge of these components can never succeed. */
export function isDoomed({ defect }: World, components: readonly string[]): boolean {
  if (defect === undefined) return false;
  return DEFECTS[defect.kind].isGeneral === true || components.includes(defect.build.component);
}
