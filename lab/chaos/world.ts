import type { EarlierTag, TagPolicy } from './earlier.ts';
import type { Signing } from './signing.ts';
import type { Attachment } from './strangers.ts';

/** How a registry behaves when nothing is wrong with it. */
export interface Habit {
  readonly referrers: 'api' | 'none' | 'subject-only';
  readonly login: 'none' | 'basic' | 'bearer';
  /** Referrers that it lists on one page. */
  readonly pageSize: number | undefined;
}

/** A row of the matrix: a platform of a component. */
export interface Row {
  readonly component: string;
  /** `linux/arm/v7`, as the record writes it. */
  readonly platform: string;
}

/** One build job that left a record. */
export interface Build extends Row {
  /** The attempts of the run in which it was built, ascending; the last one is to be published. */
  readonly attempts: readonly number[];
  readonly attested: boolean;
  /** Its row in the matrix of all builds. */
  readonly row: number;
}

/** Repositories of all components in one registry: `OWNER/COMPONENT`. */
export interface Place {
  readonly registry: number;
  readonly owner: string;
}

/** The plan record of the run. */
export interface Plan {
  /** The attempts that wrote one, ascending. Only the last one is right: the others plan something else. */
  readonly attempts: readonly number[];
  /** Whether the tags stand in it, or come to the merge as an input. */
  readonly hasTags: boolean;
  readonly version: '1.2.3' | null;
  /** Components that are published already, so that no build runs. */
  readonly idle: readonly string[];
}

/** What is wrong with the run itself, whatever the weather: the merge can never succeed before it is mended. */
export type DefectKind =
  | 'missing record'
  | 'extra record'
  | 'wrong architecture'
  | 'lost image'
  | 'corrupt config'
  | 'record of another run'
  | 'record of another commit'
  | 'record of another component'
  | 'record with another size'
  | 'record with another digest'
  | 'record with an attestation too many'
  | 'record with an unknown field'
  | 'record of a newer schema'
  | 'record cut off'
  | 'record out of reach'
  | 'plan of another run'
  | 'plan of another commit'
  | 'plan cut off'
  | 'plan with a platform too many'
  | 'plan without a platform'
  | 'immutable tag taken';

export interface Defect {
  readonly kind: DefectKind;
  readonly build: Build;
  /** Chooses the registry that lost or spoilt the image, or where the tag is taken. */
  readonly choice: number;
}

/** All that a run publishes, and where to. Tells everything about a run but its faults. */
export interface World {
  /** `7/123`: seed and number of the run. */
  readonly name: string;
  readonly registries: readonly Habit[];
  readonly components: readonly string[];
  readonly builds: readonly Build[];
  /** Rows of the matrix that left nothing, as `allowMissing` allows. */
  readonly missing: readonly Row[];
  readonly allowMissing: readonly string[];
  /** Where the builds push to. */
  readonly sources: readonly Place[];
  /** Where the images are published. */
  readonly targets: readonly Place[];
  /** Who says where: nobody if the targets are the sources. */
  readonly targetsFrom: 'builds' | 'input' | 'plan';
  /** The components of each merge, one step after the other. */
  readonly merges: readonly (readonly string[])[];
  readonly tags: readonly string[];
  readonly policy: TagPolicy;
  /** Patterns, the star only at the end. */
  readonly immutable: readonly string[];
  readonly platformSuffix: string | undefined;
  readonly keepTags: string | undefined;
  /** Tags that exist already. */
  readonly earlier: readonly EarlierTag[];
  readonly store: 'folder' | 'artifacts';
  /** The artifact service lists what earlier attempts left, and gives it out by its REST API only. */
  readonly withholds: boolean;
  /** What tells the merge which builds to expect: the number of rows of the matrix, its input, or the plan. */
  readonly expects: 'rows' | 'platforms' | 'plan';
  readonly plan: Plan | undefined;
  /** Undefined: nothing is signed. */
  readonly signing: Signing | undefined;
  /** What somebody else has attached to the images already. */
  readonly foreign: readonly Attachment[];
  /** The attempt of the run that merges. */
  readonly attempt: number;
  readonly defect: Defect | undefined;
}

export const samePlace = (a: Place, b: Place): boolean => a.registry === b.registry && a.owner === b.owner;

/** Where the merge reads the images of the builds: where they are to stay, else where they were pushed to first. */
export function readFrom({ sources, targets }: World): Place[] {
  const kept = sources.filter(source => targets.some(target => samePlace(source, target)));
  return kept.length > 0 ? kept : sources.slice(0, 1);
}

/** Every repository that anything is in. */
export function allPlaces({ sources, targets }: World): Place[] {
  return [...sources, ...targets.filter(target => !sources.some(source => samePlace(source, target)))];
}

/** The version that the merge knows of: the plan's, else that of a tag. */
export function versionOf({ plan, tags }: World): '1.2.3' | undefined {
  return plan?.version ?? (tags.includes('1.2.3') ? '1.2.3' : undefined);
}

export function isIdle({ plan }: World, component: string): boolean {
  return plan?.idle.includes(component) === true;
}
