import * as v from 'valibot';
import { type ErrorCode, ManifoldError, messageOf, quote } from '../errors.ts';

/** What is read under these codes holds secrets: an error does not show what it found. */
const SECRET = new Set<ErrorCode>(['credentials', 'no-id-token', 'registry-unauthorized']);

/**
 * Reads a JSON document from outside against a schema.
 * @param what how the error names the document: `the record "..."`
 * @throws ManifoldError with `code`, naming the first field that is wrong, what was expected and what came
 */
export function parseDocument<Schema extends v.GenericSchema>(
  schema: Schema,
  bytes: Uint8Array,
  what: string,
  code: ErrorCode = 'invalid-document',
): v.InferOutput<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    if (SECRET.has(code)) throw new ManifoldError(code, `${what} is no JSON.`);
    throw new ManifoldError(code, `${what} is no JSON: ${quote(messageOf(error))}.`, { cause: error });
  }
  return checkDocument(schema, value, what, code);
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
  code: ErrorCode = 'invalid-document',
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const field = v.getDotPath(issue);
  const where = field === null ? what : `${what}, field "${quote(field)}"`;
  // A check of our own says in its message what it expects.
  const expected =
    EXPECTED[issue.type] ?? (issue.type === 'custom' ? issue.message : (issue.expected ?? 'a legal value'));
  throw new ManifoldError(
    code,
    `${where}: expected ${expected}, found ${SECRET.has(code) ? 'something else' : quote(issue.received)}.`,
  );
}
