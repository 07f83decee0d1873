import { ManifoldError, oneLine } from '../errors.ts';

/** Inputs as the runner hands them over: `INPUT_<NAME>`, upper case, spaces as underscores. */
export class InputReader {
  readonly #env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  optional(name: string): string | undefined {
    const value = this.#env[`INPUT_${name.replaceAll(' ', '_').toUpperCase()}`]?.trim();
    return value === '' ? undefined : value;
  }

  required(name: string, hint: string): string {
    const value = this.optional(name);
    if (value === undefined) throw missing(name, hint);
    return value;
  }

  /** One entry a line or comma; empty lines and lines that begin with `#` are left out. */
  list<T>(name: string, parse: (text: string) => T): T[] {
    const lines = (this.optional(name) ?? '').split('\n').filter(line => !line.trim().startsWith('#'));
    const entries = lines.flatMap(line => line.split(',')).map(entry => entry.trim());
    return entries.filter(entry => entry !== '').map(parse);
  }

  /**
   * One entry a line; commas belong to it. An entry in double quotes may go over several lines, `""` stands for a quote in
   * it, as in docker/build-push-action's lists. Empty lines and lines that begin with `#` are left out.
   */
  lines<T>(name: string, parse: (text: string) => T): T[] {
    const entries: string[] = [];
    const text = this.optional(name) ?? '';
    const entry = /[ \t]*(?:"((?:[^"]|"")*)"[ \t]*(?:\r?\n|$)|([^\n]*)(?:\n|$))/y;
    while (entry.lastIndex < text.length) {
      const [, quoted, plain = ''] = entry.exec(text) ?? [];
      const value = quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"');
      if (value !== '' && (quoted !== undefined || !value.startsWith('#'))) entries.push(value);
    }
    return entries.map(parse);
  }

  /** @returns undefined when absent */
  flag(name: string): boolean | undefined {
    const text = this.optional(name);
    if (text === undefined) return undefined;
    // The spellings that @actions/core takes (YAML 1.2, "core schema").
    if (/^(?:true|True|TRUE)$/.test(text)) return true;
    if (/^(?:false|False|FALSE)$/.test(text)) return false;
    throw new ManifoldError('invalid-input', `The input "${name}" is "${oneLine(text)}".`, {
      hint: 'It can be true or false.',
    });
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    const text = this.optional(name);
    const value = values.find(candidate => candidate === text);
    if (text === undefined || value !== undefined) return value;
    throw new ManifoldError('invalid-input', `The input "${name}" is "${oneLine(text)}".`, {
      hint: `It can be ${values.join(' or ')}.`,
    });
  }

  wholeNumber(name: string, least: number, most: number): number | undefined {
    const text = this.optional(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && value >= least && value <= most) return value;
    throw new ManifoldError('invalid-input', `The input "${name}" is "${oneLine(text)}".`, {
      hint: `It is a whole number from ${least} to ${most}.`,
    });
  }
}

export function missing(name: string, hint: string): ManifoldError {
  return new ManifoldError('missing-input', `The input "${name}" is missing.`, { hint });
}

export function uniqueBy<T>(entries: readonly T[], key: (entry: T) => string): T[] {
  return [...new Map(entries.map(entry => [key(entry), entry])).values()];
}
