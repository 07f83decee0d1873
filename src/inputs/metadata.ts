import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, messageOf } from '../errors.ts';
import { ANNOTATION, type Annotation, annotationsSchema, parseAnnotation } from '../oci/annotations.ts';
import { parseTagEntry, type TagEntry, uniqueTagEntries } from '../oci/tags.ts';

/** What docker/metadata-action decided about an image. */
export interface Metadata {
  readonly tags: readonly TagEntry[];
  readonly version?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: readonly Annotation[];
}

/** The output `json` of docker/metadata-action v5 and v6. It is another tool's document, and may come to hold more. */
const schema = v.object({
  tags: v.array(v.string()),
  labels: v.optional(annotationsSchema, {}),
  annotations: v.optional(v.array(v.string()), []),
});

const WHAT = 'The input "metadata"';
const REMEDY = 'Write metadata: ${{ steps.meta.outputs.json }}, with the id of its step in place of "meta".';

/**
 * Reads the output `json` of docker/metadata-action. That action writes eight labels and annotations whatever it knows,
 * so those without a value are left out; and it writes `latest` twice where two rules ask for it.
 * @throws ManifoldError `invalid-input`
 */
export function parseMetadata(text: string): Metadata {
  refuseOtherOutput(text.trim());
  const document = parseDocument(schema, new TextEncoder().encode(text), WHAT, {
    code: 'invalid-input',
    hint: REMEDY,
  });
  const labels = new Map(Object.entries(document.labels).filter(([, value]) => value !== ''));
  const version = labels.get(ANNOTATION.version);
  return {
    tags: uniqueTagEntries(document.tags.map(tag => inField('tags', () => parseTagEntry(tag)))),
    ...(version === undefined ? {} : { version }),
    labels: Object.fromEntries(labels),
    annotations: document.annotations
      .map(annotation => inField('annotations', () => parseAnnotation(annotation)))
      .filter(({ value }) => value !== ''),
  };
}

/** The action has a dozen outputs, and what it calls a bake file is the name of one. */
function refuseOtherOutput(text: string): void {
  const found = otherOutput(text);
  if (found === undefined) return;
  throw new ManifoldError(
    'invalid-input',
    `${WHAT} is ${found} and not the output "json" of docker/metadata-action.`,
    { hint: REMEDY },
  );
}

function otherOutput(text: string): string | undefined {
  if (/^[^\n{]*\.json$/.test(text)) return 'the name of a file, as the output "bake-file" is,';
  if (/^\{\s*"(?:target|group)"\s*:/.test(text)) return 'a bake file,';
  if (!text.startsWith('{')) return 'a list or a plain text, as the outputs "tags" and "labels" are,';
  return undefined;
}

function inField<T>(field: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new ManifoldError('invalid-input', `${WHAT}, field "${field}": ${messageOf(error)}`, {
      hint: error instanceof ManifoldError && error.hint !== undefined ? `${error.hint} ${REMEDY}` : REMEDY,
      cause: error,
    });
  }
}
