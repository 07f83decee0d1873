import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Masks, StepLog } from './workflow-commands.ts';

/** The files by which a step speaks to the runner, made empty before each step. */
export interface CommandFiles {
  readonly GITHUB_OUTPUT: string;
  readonly GITHUB_STATE: string;
  readonly GITHUB_ENV: string;
  readonly GITHUB_PATH: string;
  readonly GITHUB_STEP_SUMMARY: string;
}

const summaryLimit = 1024 * 1024;

export async function makeCommandFiles(directory: string, step: string): Promise<CommandFiles> {
  const make = async (name: string): Promise<string> => {
    const path = join(directory, `${name}_${step}`);
    await writeFile(path, '');
    return path;
  };
  return {
    GITHUB_OUTPUT: await make('set_output'),
    GITHUB_STATE: await make('save_state'),
    GITHUB_ENV: await make('set_env'),
    GITHUB_PATH: await make('add_path'),
    GITHUB_STEP_SUMMARY: await make('step_summary'),
  };
}

/** `NAME=value` lines and `NAME<<DELIMITER` blocks; what is neither is an error, as for the runner. */
export async function readPairs(path: string): Promise<Record<string, string>> {
  const lines = (await readFile(path, 'utf8')).split(/\r?\n/);
  const pairs: Record<string, string> = {};
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    if (line === '') continue;
    const equals = line.indexOf('=');
    const heredoc = line.indexOf('<<');
    if (heredoc > 0 && (equals < 0 || heredoc < equals)) {
      const end = lines.indexOf(line.slice(heredoc + 2), at + 1);
      if (end < 0)
        throw new Error(`Invalid value. Matching delimiter not found '${line.slice(heredoc + 2)}'`);
      pairs[line.slice(0, heredoc)] = lines.slice(at + 1, end).join('\n');
      at = end;
    } else if (equals > 0) {
      pairs[line.slice(0, equals)] = line.slice(equals + 1);
    } else {
      throw new Error(`Invalid format '${line}'`);
    }
  }
  return pairs;
}

/** The summary as it is uploaded: masked; dropped with an error, but without failing the step, over 1 MiB. */
export async function readSummary(path: string, masks: Masks, log: StepLog): Promise<string> {
  const { size } = await stat(path);
  if (size > summaryLimit) {
    const found = `${Math.ceil(size / 1024)}k`;
    log.annotate(
      'error',
      `$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of 1024k, got ${found}.`,
    );
    return '';
  }
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .map(line => masks.apply(line))
    .join('\n');
}
