import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';

/** Contexts that an input's default may use (docs.github.com, "Metadata syntax"). */
export interface ActionContext {
  readonly github?: Readonly<Record<string, unknown>>;
  /** `job-total`, `job-index`, ...; leave it out for runners that have none, such as act. */
  readonly strategy?: Readonly<Record<string, unknown>>;
  /** The job's row of the matrix; null without a matrix. */
  readonly matrix?: Readonly<Record<string, unknown>> | null;
  readonly job?: Readonly<Record<string, unknown>>;
  readonly runner?: Readonly<Record<string, unknown>>;
}

/** What the runner reads of action.yml. */
export interface ActionMetadata {
  readonly main: string;
  readonly post: string | undefined;
  /** Default of each input, before its expressions are evaluated; undefined where it has none. */
  readonly defaults: ReadonlyMap<string, string | undefined>;
}

interface ActionFile {
  readonly runs?: { readonly using?: string; readonly main?: string; readonly post?: string };
  readonly inputs?: Readonly<Record<string, { readonly default?: unknown } | null>>;
}

export async function readAction(directory: string): Promise<ActionMetadata> {
  const { runs, inputs } = parse(await readFile(join(directory, 'action.yml'), 'utf8')) as ActionFile;
  if (runs?.using !== 'node24' || runs.main === undefined) {
    throw new Error(
      `${directory}/action.yml: expected \`using: node24\` and a \`main\`, found ${runs?.using}`,
    );
  }
  const defaults = Object.entries(inputs ?? {}).map(([name, input]): [string, string | undefined] => {
    const value = input?.default;
    return [name, value === undefined || value === null ? undefined : String(value)];
  });
  return { main: runs.main, post: runs.post, defaults: new Map(defaults) };
}

/** What `with` and the defaults come to: `INPUT_*` variables, and warnings as the runner gives them. */
export function inputVariables(
  metadata: ActionMetadata,
  given: Readonly<Record<string, string>>,
  context: ActionContext,
): { variables: Record<string, string>; warnings: string[] } {
  const variables: Record<string, string> = {};
  for (const [name, fallback] of metadata.defaults) {
    if (fallback !== undefined) variables[inputVariable(name)] = evaluate(fallback, context);
  }
  // What `with` holds wins even when empty: a default is for an absent key only (ActionRunner.cs).
  for (const [name, value] of Object.entries(given)) variables[inputVariable(name)] = value;

  const known = new Set([...metadata.defaults.keys()].map(name => name.toLowerCase()));
  const unknown = Object.keys(given).filter(name => !known.has(name.toLowerCase()));
  const list = (names: readonly string[]): string => names.map(name => `'${name}'`).join(', ');
  const valid = list([...metadata.defaults.keys()]);
  const warning = `Unexpected input(s) ${list(unknown)}, valid inputs are [${valid}]`;
  return { variables, warnings: unknown.length === 0 ? [] : [warning] };
}

/** Upper case, spaces to underscores, hyphens as they are. */
function inputVariable(name: string): string {
  return `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`;
}

/** Replaces each `${{ }}` by its value. */
export function evaluate(text: string, context: ActionContext): string {
  return text.replace(/\$\{\{\s*(.*?)\s*\}\}/g, (_, expression: string) => {
    const call = /^toJSON\(\s*([\w.-]+)\s*\)$/i.exec(expression);
    if (call) return JSON.stringify(lookUp(call[1] ?? '', context) ?? null, undefined, 2);
    if (/^[a-z][\w.-]*$/i.test(expression)) return toText(lookUp(expression, context));
    throw new Error(`the lab's runner does not know the expression \`${expression}\` in a default`);
  });
}

function lookUp(path: string, context: ActionContext): unknown {
  let value: unknown = context;
  for (const key of path.split('.')) {
    // What is missing on the way is null, as in GitHub's expressions.
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  }
  return value;
}

function toText(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? 'Object' : String(value);
}
