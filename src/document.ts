import * as v from 'valibot';
import { type ErrorCode, ManifoldError, messageOf, oneLine } from './errors.ts';

/** How a document is read. */
export interface Reading {
  /** Code of the error when it is not as it should be. */
  readonly code?: ErrorCode;
  /** The document holds a password or token: no error shows what was found in it. */
  readonly secret?: boolean;
}

/**
 * Reads a JSON document from outside against a schema.
 * @param what how the error names the document: `the record "..."`
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
    const { code = 'invalid-document', secret = false } = reading;
    if (secret) throw new ManifoldError(code, `${what} is no JSON.`);
    throw new ManifoldError(code, `${what} is no JSON: ${oneLine(messageOf(error))}.`, { cause: error });
  }
  return checkDocument(schema, value, what, reading);
}

/** Where the library says what it expects in signs. */
const EXPECTED: Readonly<Record<string, string>> = {
  non_empty: 'something that is not empty',
  iso_timestamp: 'a time as in 2026-01-31T12:00:00.000Z',
  safe_integer: 'a whole number',
};

/** The same for a value that was parsed already. */
export function checkDocument<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  what: string,
  reading: Reading = {},
): v.InferOutput<Schema> {
  const { code = 'invalid-document', secret = false } = reading;
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const field = v.getDotPath(issue);
  const where = field === null ? what : `${what}, field "${oneLine(field)}"`;
  // A check of our own says in its message what it expects.
  const expected =
    EXPECTED[issue.type] ??
    (issue.type === 'custom' || issue.type === 'check' ? issue.message : (issue.expected ?? 'a legal value'));
  throw new ManifoldError(
    code,
    `${where}: expected ${expected}, found ${secret ? 'something else' : oneLine(issue.received)}.`,
  );
}
