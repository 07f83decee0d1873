import * as v from 'valibot';
import { capitalised, checkDocument, parseDocument } from '../document.ts';
import { ManifoldError } from '../errors.ts';
import {
  ARCHITECTURE_ALIASES,
  ARCHITECTURE_NAMES,
  formatPlatform,
  GO_ARCHITECTURES,
  GO_SYSTEMS,
  parsePlatform,
} from '../oci/platform.ts';
import {
  COMPONENT,
  formatReference,
  formatRepository,
  parseReference,
  parseRepository,
  parseTag,
} from '../oci/reference.ts';
import { parseComponent } from './name.ts';

/** How the JSON Schema of docs/ tells the form of a text, as far as a regular expression can. */
interface Form {
  readonly pattern: string;
  readonly maxLength?: number;
  /** What the expression cannot say. */
  readonly description?: string;
}

/** A text that a parser of ours takes, in the one way that the parser's partner writes it. */
function canonical(what: string, rewrite: (text: string) => string, form: Form) {
  const isLegal = (value: string) => {
    try {
      return rewrite(value) === value;
    } catch {
      return false;
    }
  };
  return v.pipe(
    v.string(),
    v.rawCheck(({ dataset, addIssue }) => {
      if (dataset.typed && !isLegal(dataset.value)) addIssue({ message: what, expected: what });
    }),
    v.metadata({ ...form }),
  );
}

const ARCHITECTURES = ARCHITECTURE_NAMES.join('|');
const ALIASES = ARCHITECTURE_ALIASES.join('|');
const UNKNOWN_TO_GO = `(?:${GO_SYSTEMS.join('|')})/(?!(?:${GO_ARCHITECTURES.join('|')})(?:/|$))`;
const WORD = '[a-z0-9_]';
const HOST_PART = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?';
const IMAGE = [
  '(?!(?:index\\.docker\\.io|registry-1\\.docker\\.io|registry\\.hub\\.docker\\.com)/)(?!docker\\.io/[^/]+$)',
  '(?=[^/]*[.:]|localhost/)',
  `(?:${HOST_PART}(?:\\.${HOST_PART})*|\\[[0-9a-f:]+\\])(?::[0-9]{1,5})?`,
  `(?:/${COMPONENT})+`,
].join('');
const HOSTS =
  'The host is one that an address can have: a port is 65535 at most, four numbers are an IPv4 address.';

export const nonEmpty = v.pipe(v.string(), v.nonEmpty());
export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

export const component = canonical('name of a component, as app', parseComponent, {
  pattern: `^${COMPONENT}$`,
  maxLength: 100,
});

export const platform = canonical('platform, as linux/arm64', text => formatPlatform(parsePlatform(text)), {
  pattern: [
    `^(?!(?:unknown|macos)/)(?!(?:${ARCHITECTURES})/(?!(?:${ARCHITECTURES})(?:/|$)))(?!${UNKNOWN_TO_GO})`,
    `${WORD}+/(?!(?:unknown|${ALIASES})(?:/|$))(?!arm$|arm64/v8$|amd64/v1$)${WORD}+(?:/[a-z_]${WORD}*)?$`,
  ].join(''),
});

export const imageName = canonical(
  'full image name, as ghcr.io/acme/app',
  text => formatRepository(parseRepository(text)),
  { pattern: `^${IMAGE}$`, maxLength: 255, description: HOSTS },
);

const TAG = '[A-Za-z0-9_][A-Za-z0-9._-]{0,127}';

/** A bare tag, or a full reference that ends in one. */
export const tag = canonical('tag, as 1.2.3 or ghcr.io/acme/app:1.2.3', canonicalTag, {
  pattern: `^(?:${TAG}|(?=.{1,255}:${TAG}$)${IMAGE}:${TAG})$`,
  description: `A bare tag, or a full image name with a tag. ${HOSTS}`,
});

function canonicalTag(text: string): string {
  if (!text.includes('/')) return parseTag(text);
  const reference = parseReference(text);
  return reference.tag === undefined || reference.digest !== undefined ? '' : formatReference(reference);
}

export const time = canonical(
  'a time as 2026-01-31T12:00:00.000Z',
  text => new Date(text).toISOString().slice(-24),
  {
    pattern:
      '^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z$',
    description: 'UTC, with milliseconds. The day is one that its month has.',
  },
);

/** A list in which nothing stands twice. @param what how the error names what is in it */
export function distinct<Item extends v.GenericSchema<string>>(item: Item, what: string) {
  return v.pipe(
    v.array(item),
    v.nonEmpty(),
    v.check(texts => new Set(texts).size === texts.length, `each ${what} once`),
    v.metadata({ uniqueItems: true }),
  );
}

/** What every record says of the job that wrote it. */
export const sourceFields = {
  repository: nonEmpty,
  commit: nonEmpty,
  ref: v.string(),
  workflow: v.string(),
  runId: nonEmpty,
  runAttempt: count,
  job: v.string(),
};

const versioned = v.looseObject({ schemaVersion: v.number() });

/**
 * Reads a record of schema version 1.
 * @throws ManifoldError `invalid-record` when it is malformed, or of a newer schema
 */
export function parseVersioned<Schema extends v.GenericSchema>(
  schema: Schema,
  bytes: Uint8Array,
  what: string,
): v.InferOutput<Schema> {
  const document = parseDocument(versioned, bytes, what, { code: 'invalid-record' });
  const { schemaVersion } = document;
  if (schemaVersion > 1) {
    throw new ManifoldError(
      'invalid-record',
      `${capitalised(what)}, field "schemaVersion": expected 1, which this version of Manifold reads, found schemaVersion ${schemaVersion}.`,
      { hint: 'Use the same version of Manifold in all jobs of the workflow.' },
    );
  }
  return checkDocument(schema, document, what, { code: 'invalid-record' });
}
