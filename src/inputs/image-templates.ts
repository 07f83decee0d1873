import { ManifoldError, oneLine } from '../errors.ts';
import { formatRepository, parseImageEntry, type Repository, splitImageLine } from '../oci/reference.ts';
import type { InputReader } from './reader.ts';

/**
 * Reads `images` of a merge: names, or docker/metadata-action's `name=…,enable=…`, in which `{{component}}` may stand.
 * @returns the names that are enabled; undefined when the input is absent
 * @throws ManifoldError `invalid-reference`, `invalid-input`
 */
export function readImageTemplates(input: InputReader): string[] | undefined {
  const entries = input.lines('images', splitImageLine).flat();
  if (entries.length === 0) return undefined;
  const enabled = entries.filter(entry => parseFilled(fill(entry, 'component')) !== undefined);
  if (enabled.length > 0) return enabled;
  throw new ManifoldError('invalid-input', `All of "images" is disabled: ${oneLine(entries.join('; '))}.`, {
    hint: 'Skip this job when there is nowhere to publish to.',
  });
}

function fill(template: string, component: string): string {
  return template.replace(/\{\{\s*component\s*\}\}/g, component);
}

/** Who says that an image is not enabled may have anything for its name: only a name that counts is looked at. */
function parseFilled(entry: string): Repository | undefined {
  try {
    return parseImageEntry(entry);
  } catch (error) {
    const placeholder = /\{\{[^{}]*\}\}/.exec(entry)?.[0];
    if (placeholder === undefined) throw error;
    throw new ManifoldError(
      'invalid-reference',
      `"images" holds ${oneLine(placeholder)}, which stands for nothing here.`,
      { hint: 'Only {{component}} is known, in the images of a merge.', cause: error },
    );
  }
}

/**
 * Reads `images` of a build, which are names, and no templates.
 * @throws ManifoldError `invalid-reference`, `invalid-input`
 */
export function readImages(input: InputReader): Repository[] {
  return imagesOf(readImageTemplates(input) ?? [], '{{component}}');
}

/** The repositories that the templates name for a component, each once. */
export function imagesOf(templates: readonly string[], component: string): Repository[] {
  const repositories = templates.map(template => parseFilled(fill(template, component)));
  const named = repositories.filter(repository => repository !== undefined);
  return [...new Map(named.map(repository => [formatRepository(repository), repository])).values()];
}
