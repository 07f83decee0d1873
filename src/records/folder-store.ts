import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import { isPlanName, isRecordName } from './name.ts';
import type { RecordStore, StoredFile } from './store.ts';
import { requireBytes, requireSize } from './stored-bytes.ts';

/**
 * Records as files of a folder, which the workflow carries from job to job: for forges without GitHub's artifact service.
 * Reading looks into its subfolders too, as most ways to carry files give each upload a folder of its own.
 */
export class FolderStore implements RecordStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async save(name: string, bytes: Uint8Array): Promise<void> {
    const file = path.join(this.#folder, name);
    try {
      await mkdir(this.#folder, { recursive: true });
      // Under its name it is whole from the first moment.
      await writeFile(`${file}.part`, bytes);
      await rename(`${file}.part`, file);
    } catch (error) {
      throw failed(`The record "${name}" cannot be written to the folder "${this.#folder}"`, error);
    }
  }

  async list(): Promise<StoredFile[]> {
    const entries = await readdir(this.#folder, { recursive: true, withFileTypes: true }).catch(error => {
      throw failed(`The folder "${this.#folder}" of the input "records" cannot be read`, error);
    });
    const files = entries.filter(entry => entry.isFile() && !entry.name.endsWith('.part'));
    const names = files.map(({ name }) => name);
    const doubled = names.find((name, position) => isOurs(name) && names.indexOf(name) !== position);
    if (doubled !== undefined) {
      throw new ManifoldError(
        'invalid-record',
        `The folder "${this.#folder}" holds "${oneLine(doubled)}" twice.`,
        {
          hint: "Begin with an empty folder: nothing tells which of the two is this run's.",
        },
      );
    }
    return files.map(({ name, parentPath }) => ({
      name,
      read: () => this.#read(path.join(parentPath, name)),
    }));
  }

  async #read(file: string): Promise<Uint8Array> {
    const what = `The file "${oneLine(file)}"`;
    try {
      requireSize(what, (await stat(file)).size);
      const bytes = await readFile(file);
      requireBytes(what, bytes, undefined);
      return bytes;
    } catch (error) {
      if (error instanceof ManifoldError)
        throw new ManifoldError(error.code, error.message, { hint: FOREIGN, cause: error });
      throw failed(`${what} cannot be read`, error);
    }
  }
}

const FOREIGN = 'Manifold did not write it so: take it out of the folder, or give it another name.';

/** Whatever else somebody keeps in the folder is no concern of ours, twice or not. */
function isOurs(name: string): boolean {
  return isRecordName(name) || isPlanName(name);
}

function failed(what: string, error: unknown): ManifoldError {
  return new ManifoldError('record-store', `${what}: ${oneLine(messageOf(error))}.`, {
    hint: 'The path is relative to the workspace. In the merge the folder must hold what the build jobs wrote to theirs.',
    cause: error,
  });
}
