import { readFile } from 'node:fs/promises';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';

/**
 * The text of a file that an input names.
 * @throws ManifoldError `invalid-input`
 */
export async function readInputFile(input: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ManifoldError(
      'invalid-input',
      `The input "${input}" names a file that cannot be read: ${oneLine(messageOf(error))}.`,
      {
        hint: 'The path is relative to the workspace: is the file in the repository, and did actions/checkout run in this job?',
        cause: error,
      },
    );
  }
}
