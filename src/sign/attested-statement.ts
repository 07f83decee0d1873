import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { oneLine } from '../errors.ts';
import { type Digest, hexOf } from '../oci/digest.ts';
import { Flaw, saidBy } from './flaw.ts';
import { PAYLOAD_TYPE, SIGNATURE_PREDICATE, STATEMENT_TYPE } from './statement.ts';

/** A record of the library leaves out keys like `constructor`. */
export const anyObject = v.custom<Readonly<Record<string, unknown>>>(
  value => typeof value === 'object' && value !== null && !Array.isArray(value),
  'an object',
);

const described = v.object({
  name: v.optional(v.string()),
  digest: v.optional(v.record(v.string(), v.string()), {}),
  annotations: v.nullish(anyObject),
});

const statement = v.object({
  /** Attestations may still be of the version before. */
  _type: v.picklist([STATEMENT_TYPE, 'https://in-toto.io/Statement/v0.1']),
  predicateType: v.string(),
  subject: v.array(described),
  predicate: v.optional(v.unknown()),
});

/** What an in-toto statement says (attestation/spec/v1/statement.md), as far as it is read. */
export type Statement = v.InferOutput<typeof statement>;

/** @throws Flaw `wrong-predicate` for a payload of another kind; `illegible` */
export function parseStatement({ payloadType, payload }: Envelope): Statement {
  if (payloadType !== PAYLOAD_TYPE) {
    throw new Flaw('wrong-predicate', `its payload is ${oneLine(payloadType)}, and no in-toto statement`);
  }
  try {
    return parseDocument(statement, payload, 'its in-toto statement');
  } catch (error) {
    throw new Flaw('illegible', `it cannot be read: ${saidBy(error)}`, error);
  }
}

interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
}

/**
 * Makes sure that a statement says "this image is signed", and of which.
 * @returns what `cosign sign -a` added
 * @throws Flaw `wrong-predicate`, `wrong-subject`
 */
export function requireSignatureOf(
  { _type, predicateType, subject }: Statement,
  digest: Digest,
): Annotations {
  if (predicateType !== SIGNATURE_PREDICATE) {
    const what = oneLine(predicateType);
    throw new Flaw(
      'wrong-predicate',
      `it states ${what}: an attestation about an image is no signature of it`,
    );
  }
  if (_type !== STATEMENT_TYPE)
    throw new Flaw('wrong-predicate', `its statement is of the type ${_type}, which no signature has`);
  const named = subject.find(({ digest: { sha256 } }) => sha256 === hexOf(digest));
  if (named !== undefined) return textsOf(named.annotations ?? {});
  throw new Flaw('wrong-subject', 'it is about another image than the one that it is attached to');
}

type Annotations = Readonly<Record<string, string>>;

/** Annotations may be of any kind; those of a person who signs are texts. */
export function textsOf(annotations: Readonly<Record<string, unknown>>): Annotations {
  const texts = Object.entries(annotations).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(texts);
}
