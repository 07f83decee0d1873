import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';

/** The root of the repository. */
export const ROOT = path.resolve(import.meta.dirname, '../..');

export interface ActionInput {
  readonly description: string;
  readonly required?: boolean;
  readonly default?: string;
}

/** The part of action.yml that the tests of this folder look at. */
export interface ActionFile {
  readonly name: string;
  readonly description: string;
  readonly branding: { readonly icon: string; readonly color: string };
  readonly inputs: Readonly<Record<string, ActionInput>>;
  readonly outputs: Readonly<Record<string, { readonly description: string }>>;
  readonly runs: { readonly using: string; readonly main: string };
}

export function readText(file: string): string {
  return readFileSync(path.join(ROOT, file), 'utf8');
}

export function readActionFile(): ActionFile {
  return parse(readText('action.yml')) as ActionFile;
}
