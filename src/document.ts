import * as v from 'valibot';
import { type ErrorCode, ManifoldError, messageOf, oneLine } from './errors.ts';

/** How a document is read. */
export interface Reading {
  /** Code of the error when it is not as it should be. */
  readonly code?: ErrorCode;
  /** What to do when it is not. */
  readonly hint?: string;
  /** The document holds a password or token: no error shows what was found in it. */
  readonly secret?: boolean;
}

/**
 * Reads a JSON document from outside against a schema.
 * @param what how the error names the document: `the record "..."`; it begins the sentence, and gets its capital here
 * @throws ManifoldError `invalid-document` or the code that is given, naming the first field that is wrong, what was expected and what came
 */
export function parseDocument<Schema extends v.GenericSchema>(
  schema: Schema,
  bytes: Uint8Array,
  what: string,
  reading: Reading = {},
): v.InferOutput<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    const { secret = false } = reading;
    if (secret) throw refusal(what, ' is no JSON', reading);
    throw refusal(what, ` is no JSON: ${oneLine(messageOf(error))}`, reading, error);
  }
  return checkDocument(schema, value, what, reading);
}

/** A text at the beginning of a sentence. */
export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function refusal(what: string, rest: string, { code, hint }: Reading, cause?: unknown): ManifoldError {
  return new ManifoldError(code ?? 'invalid-document', `${capitalised(what)}${rest}.`, {
    ...(hint === undefined ? {} : { hint }),
    cause,
  });
}

/** Where the library says what it expects in signs. */
const EXPECTED: Readonly<Record<string, string>> = {
  non_empty: 'something that is not empty',
  iso_timestamp: 'a time as in 2026-01-31T12:00:00.000Z',
  safe_integer: 'a whole number',
};

/** What the library calls by the names of the language. */
const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
  Array: 'a list',
  Object: 'an object',
};

/** The same for a value that was parsed already. */
export function checkDocument<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  what: string,
  reading: Reading = {},
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const field = v.getDotPath(issue);
  const named = field === null ? '' : `field "${oneLine(field)}"`;
  if (named !== '' && issue.received === 'undefined')
    throw refusal(what, `: the ${named} is missing`, reading);
  if (issue.expected === 'never') throw refusal(what, `: the ${named} is unknown`, reading);
  const found = reading.secret ? 'something else' : (KINDS[issue.received] ?? oneLine(issue.received));
  const where = named === '' ? '' : `, ${named}`;
  throw refusal(what, `${where}: expected ${expectedOf(issue)}, found ${found}`, reading);
}

function expectedOf({ type, expected, message }: v.BaseIssue<unknown>): string {
  // A check of our own says in its message what it expects.
  if (type === 'custom' || type === 'check') return message;
  const words = (expected ?? 'a legal value').replace(/^\((.*)\)$/, '$1').split(' | ');
  const said = words.map(word => KINDS[word] ?? word.replace(/^>=/, 'at least ').replace(/^<=/, 'at most '));
  return EXPECTED[type] ?? said.join(' or ');
}
