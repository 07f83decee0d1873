import { ManifoldError, oneLine } from '../errors.ts';
import { formatPlatform, type Platform, parsePlatform } from '../oci/platform.ts';

/** What the name of a build record's artifact says. */
export interface RecordName {
  readonly component: string;
  readonly platform: Platform;
  /** GITHUB_RUN_ATTEMPT of the run that wrote it, from 1. */
  readonly attempt: number;
}

const PREFIX = 'manifold-build.';
const NAME =
  /^manifold-build\.(?<component>.+)\.(?<platform>[a-z0-9_]+(?:-[a-z0-9_]+){1,2})\.(?<attempt>[1-9][0-9]{0,8})$/;
const COMPONENT = /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/;

/**
 * Checks a component's name: the legal characters of a repository's last part, so that it can name one, and of an
 * artifact (no slash).
 * @throws ManifoldError `invalid-input`
 */
export function parseComponent(text: string): string {
  if (COMPONENT.test(text) && text.length <= 100) return text;
  throw new ManifoldError('invalid-input', `"${oneLine(text)}" is no name of a component.`, {
    hint: 'Use at most 100 lower-case letters and digits, with dots, hyphens and underscores between them.',
  });
}

/**
 * `manifold-build.<component>.<platform>.<attempt>`, the platform with hyphens for slashes. Platforms hold no dots and
 * no hyphens, attempts are numbers: read from the end, the name gives back exactly what went in.
 */
export function formatRecordName({ component, platform, attempt }: RecordName): string {
  return `${PREFIX}${component}.${formatPlatform(platform).replaceAll('/', '-')}.${attempt}`;
}

/** Tells whether an artifact is one of ours at all, legible or not. */
export function isRecordName(name: string): boolean {
  return name.startsWith(PREFIX);
}

/**
 * Reads a name back.
 * @throws ManifoldError `invalid-record` for a name that begins like ours but that we never wrote
 */
export function parseRecordName(name: string): RecordName {
  const groups = NAME.exec(name)?.groups;
  const platform = readPlatform(groups?.platform);
  if (groups?.component !== undefined && COMPONENT.test(groups.component) && platform !== undefined) {
    const read = { component: groups.component, platform, attempt: Number(groups.attempt) };
    if (formatRecordName(read) === name) return read;
  }
  throw new ManifoldError(
    'invalid-record',
    `The artifact "${oneLine(name)}" is not a name that Manifold gives.`,
    {
      hint: 'Names that begin with "manifold-build." are Manifold\'s own: rename what else this run uploads.',
    },
  );
}

function readPlatform(text = ''): Platform | undefined {
  try {
    return parsePlatform(text.replaceAll('-', '/'));
  } catch {
    return undefined; // the caller names the whole artifact
  }
}
