import { oneLine } from '../errors.ts';
import { shortDigest } from '../oci/digest.ts';
import { matchesPattern } from '../oci/tags.ts';
import type { Lineage } from './lineage.ts';
import { compareVersions } from './versions.ts';

/** In this order tags move, everywhere: who follows the last of them finds all other names of an image set. */
export const TAG_RANKS = ['fixed', 'floating', 'latest'] as const;
export type TagRank = (typeof TAG_RANKS)[number];

const LATEST = /^(?:latest(?:-.*)?|.*-latest)$/;
const FULL_VERSION = /^v?\d+\.\d+\.\d+(?:[-._].*)?$/;
const COMMIT = /^(?:sha-)?[0-9a-f]{7,40}(?:-.*)?$/;
const DAY = /^(?:[a-z]+-)?(?:19|20)\d\d([-.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d).*$/;

/**
 * Tells what a tag promises by its name. Fixed names mean one image for ever: a full version (`v1.2.3-alpine`), a
 * commit (`sha-860c190`), a day (`20261121`, `nightly-2026-11-21`), and what the patterns name. Floating ones follow a
 * line of images (`1`, `1.2`, `main`). `latest` and its kin (`latest-alpine`) come last even if a pattern names them.
 * @param immutable patterns as in `matchesPattern`
 */
export function rankTag(tag: string, immutable: readonly string[]): TagRank {
  if (LATEST.test(tag)) return 'latest';
  const isFixed =
    [FULL_VERSION, COMMIT, DAY].some(form => form.test(tag)) ||
    immutable.some(pattern => matchesPattern(tag, pattern));
  return isFixed ? 'fixed' : 'floating';
}

/** `newest`: a tag never goes backwards; `never-move`: a tag that exists stays. */
export const TAG_POLICIES = ['newest', 'overwrite', 'never-move'] as const;
export type TagPolicy = (typeof TAG_POLICIES)[number];

/** Why a tag does not move: it is `there`, at our image, already; or it is kept elsewhere, which is worth a warning. */
export type Stay = { readonly state: 'there' } | { readonly state: 'kept'; readonly reason: string };

export type MoveDecision = 'move' | Stay;

/**
 * Decides whether a tag moves to our image.
 *
 * By `newest` it stays where it is when the image there was made from the same source and is newer: by its version where
 * both are semantic versions; else, and among equal versions, by the workflow run that built it where both were built by
 * runs of one server; else, unless both are of one commit, by the time of its build. So 1.9.9 after 2.0.0 leaves `latest` and moves `1.9`, and the run of an older commit leaves
 * `main`, whether it ends last or is run again. A pre-release moves what it was asked to move: 2.0.0-rc.1 is newer than
 * 1.9.0. Where nothing can be compared the tag moves, since it was asked for.
 * @param current what the tag points at
 */
export function decideMove(policy: TagPolicy, ours: Lineage, current: Lineage | 'absent'): MoveDecision {
  if (current === 'absent') return 'move';
  if (current.digest === ours.digest) return { state: 'there' };
  if (policy === 'overwrite') return 'move';
  const reason =
    policy === 'never-move'
      ? `it points at ${shortDigest(current.digest)}, and by "tag-policy: never-move" a tag that exists stays`
      : whyNewer(ours, current);
  return reason === undefined ? 'move' : { state: 'kept', reason };
}

/** Why the current image is the newer one; undefined when it is not, or nobody can tell. */
function whyNewer(ours: Lineage, current: Lineage): string | undefined {
  if (!isSameSource(ours.source, current.source)) return undefined;
  const { version: theirs = '' } = current;
  const order = compareVersions(theirs, ours.version ?? '');
  if (order !== undefined && order !== 0) {
    return order > 0
      ? `it points at version ${oneLine(theirs)}, which is newer than ${oneLine(ours.version ?? '')}`
      : undefined;
  }
  const [ourRun, theirRun] = [runOf(ours), runOf(current)];
  if (ourRun !== undefined && theirRun !== undefined && ourRun.place === theirRun.place)
    return laterRun(ourRun, theirRun);
  // Of one commit it is a rebuild, made by a clock that may be another: it was asked for.
  if (ours.revision !== undefined && ours.revision === current.revision) return undefined;
  return laterBuild(ours, current);
}

/** A workflow run, by its address. */
interface WorkflowRun {
  /** The address without the number. */
  readonly place: string;
  readonly number: bigint;
}

/** Undefined where a lineage names no run, or something else. */
function runOf({ run = '' }: Lineage): WorkflowRun | undefined {
  const { place, number } = /^(?<place>|.*\/)(?<number>\d+)$/.exec(run)?.groups ?? {};
  return place === undefined || number === undefined
    ? undefined
    : { place: place.toLowerCase(), number: BigInt(number) };
}

/** A run that is run again keeps its number, while its builds are new by the clock and old by their commit. */
function laterRun({ number: ours }: WorkflowRun, { number: theirs }: WorkflowRun): string | undefined {
  if (theirs <= ours) return undefined;
  return `it points at an image of the workflow run ${oneLine(String(theirs))}, which was started after the run ${oneLine(String(ours))} that built this one`;
}

function laterBuild(ours: Lineage, current: Lineage): string | undefined {
  const [here, there] = [timeOf(ours.created), timeOf(current.created)];
  if (here === undefined || there === undefined || there <= here) return undefined;
  return `it points at an image of ${oneLine(current.created ?? '')}, which is newer than this one of ${oneLine(ours.created ?? '')}`;
}

function isSameSource(ours: string | undefined, theirs: string | undefined): boolean {
  return ours !== undefined && theirs !== undefined && repositoryOf(ours) === repositoryOf(theirs);
}

/** Tools write one repository in several ways: with `.git`, with a slash at the end, with capital letters. */
function repositoryOf(source: string): string {
  return source
    .toLowerCase()
    .replace(/\/$/, '')
    .replace(/\.git$/, '');
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i;

/** Milliseconds; undefined for what is no time as in RFC 3339. */
function timeOf(text: string | undefined): number | undefined {
  const time = text !== undefined && TIME.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}
