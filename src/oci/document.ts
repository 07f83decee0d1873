import * as v from 'valibot';
import { type ErrorCode, ManifoldError, messageOf, quote } from '../errors.ts';

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
    throw new ManifoldError(code, `${what} is no JSON: ${quote(messageOf(error))}.`, { cause: error });
  }
  return checkDocument(schema, value, what, code);
}

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
  throw new ManifoldError(
    code,
    `${where}: expected ${issue.expected ?? 'a legal value'}, found ${quote(issue.received)}.`,
  );
}
