import { ManifoldError, oneLine } from '../errors.ts';
import { formatPlatform, type Platform, parsePlatform } from '../oci/platform.ts';
import { COMPONENT } from '../oci/reference.ts';

/** What the name of a build record's artifact says. */
export interface RecordName {
  readonly component: string;
  readonly platform: Platform;
  /** GITHUB_RUN_ATTEMPT of the run that wrote it, from 1. */
  readonly attempt: number;
}

/** What the name of a plan record's artifact says. */
export interface PlanName {
  /** GITHUB_RUN_ATTEMPT of the run that wrote it, from 1. */
  readonly attempt: number;
}

const PREFIX = 'manifold-build.';
const PLAN_PREFIX = 'manifold-plan.';
/** Bytes (all are ASCII) that the artifact service lets a name have. */
const LONGEST = 256;
const NAME =
  /^manifold-build\.(?<component>.+)\.(?<platform>[a-z0-9_]+(?:-[a-z0-9_]+){1,2})\.(?<attempt>[1-9][0-9]{0,8})$/;
const PLAN_NAME = /^manifold-plan\.(?<attempt>[1-9][0-9]{0,8})$/;
const COMPONENT_NAME = new RegExp(`^${COMPONENT}$`);

/**
 * Checks a component's name as the input of that name gives it: what a part of a repository's path may be, so that it can
 * stand for one.
 * @throws ManifoldError `invalid-input`
 */
export function parseComponent(text: string): string {
  if (isComponent(text)) return text;
  throw new ManifoldError(
    'invalid-input',
    `"${oneLine(text)}" in the input "component" is no name of a component.`,
    {
      hint: 'Use at most 100 lower-case letters and digits, and between them a dot, one or two underscores, or hyphens.',
    },
  );
}

function isComponent(text: string): boolean {
  return COMPONENT_NAME.test(text) && text.length <= 100;
}

/**
 * `manifold-build.<component>.<platform>.<attempt>`, the platform with hyphens for slashes. Platforms hold no dots and
 * no hyphens, attempts are numbers: read from the end, the name gives back exactly what went in.
 * @throws ManifoldError `invalid-platform` for one so long that no artifact could be named by it
 */
export function formatRecordName({ component, platform, attempt }: RecordName): string {
  const name = `${PREFIX}${component}.${formatPlatform(platform).replaceAll('/', '-')}.${attempt}`;
  if (name.length <= LONGEST) return name;
  throw new ManifoldError(
    'invalid-platform',
    `The artifact's name "${oneLine(name)}" has ${name.length} characters; the artifact service takes ${LONGEST}.`,
    { hint: 'Give the component a shorter name, and look whether the platform is one that exists.' },
  );
}

/** Tells whether an artifact is a build record of ours at all, legible or not. */
export function isRecordName(name: string): boolean {
  return name.startsWith(PREFIX);
}

/**
 * Reads a name back.
 * @throws ManifoldError `invalid-record` for a name that begins like ours but that we never wrote
 */
export function parseRecordName(name: string): RecordName {
  const groups = name.length > LONGEST ? undefined : NAME.exec(name)?.groups;
  const platform = readPlatform(groups?.platform);
  if (groups?.component !== undefined && isComponent(groups.component) && platform !== undefined) {
    const read = { component: groups.component, platform, attempt: Number(groups.attempt) };
    if (formatRecordName(read) === name) return read;
  }
  throw foreign(name, PREFIX);
}

/** `manifold-plan.<attempt>` */
export function formatPlanName({ attempt }: PlanName): string {
  return `${PLAN_PREFIX}${attempt}`;
}

/** Tells whether an artifact is a plan of ours at all, legible or not. */
export function isPlanName(name: string): boolean {
  return name.startsWith(PLAN_PREFIX);
}

/** Reads a name back. @throws ManifoldError `invalid-record` for a name that begins like ours but that we never wrote */
export function parsePlanName(name: string): PlanName {
  const attempt = PLAN_NAME.exec(name)?.groups?.attempt;
  if (attempt !== undefined) return { attempt: Number(attempt) };
  throw foreign(name, PLAN_PREFIX);
}

function foreign(name: string, prefix: string): ManifoldError {
  return new ManifoldError(
    'invalid-record',
    `The artifact "${oneLine(name, LONGEST)}" is not a name that Manifold gives.`,
    { hint: `Names that begin with "${prefix}" are Manifold's own: rename what else bears one.` },
  );
}

function readPlatform(text = ''): Platform | undefined {
  try {
    return parsePlatform(text.replaceAll('-', '/'));
  } catch {
    return undefined; // the caller names the whole artifact
  }
}
