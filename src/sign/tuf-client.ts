import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Updater } from 'tuf-js';
import * as v from 'valibot';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import { TufFetcher } from './tuf-fetcher.ts';

/** Texts by their path within the folder that the library works in. */
type Files = Readonly<Record<string, string>>;

export interface TufRepository {
  /** Where the metadata is; the targets are below it. Without a slash at the end. */
  readonly mirror: string;
  /** The `root.json` that is believed from the start; those that follow it are fetched. */
  readonly root: string;
  /** A folder of this job, where the next step finds what was fetched; absent: nothing is kept. */
  readonly folder: string | undefined;
}

/** Where the library is told to put targets. */
const TARGETS = 'targets';

const keptFiles = v.record(v.string(), v.string());

/**
 * A client of The Update Framework (TUF 1.0, section 5). The library keeps its state in a folder, which two at a time would
 * write to; so it gets a folder of its own each time, and what is kept is one file, replaced as a whole.
 */
export class TufClient {
  readonly #repository: TufRepository;
  readonly #transport: Transport;
  /** Metadata and targets, as they were last verified. */
  #files: Files;

  private constructor(repository: TufRepository, transport: Transport, files: Files) {
    this.#repository = repository;
    this.#transport = transport;
    this.#files = files;
  }

  /**
   * Brings the metadata up to date. What an earlier step fetched serves until it expires.
   * @throws ManifoldError `service-unreachable`; `signing-config` for metadata that is expired or not signed as it must be
   */
  static async open(repository: TufRepository, transport: Transport): Promise<TufClient> {
    const kept = await readKept(repository);
    const client = new TufClient(repository, transport, kept ?? { 'root.json': repository.root });
    if (kept === undefined || !(await client.#isUpToDate())) await client.#run('mirror', async () => {});
    return client;
  }

  /**
   * The content of a target.
   * @throws ManifoldError `service-unreachable`; `signing-config` where it is not listed, or is not as it is listed
   */
  target(name: string): Promise<string> {
    return this.#run('kept', async (updater, folder) => {
      const info = await updater.getTargetInfo(name);
      if (info === undefined) throw new Error('the repository does not list it');
      const file = path.join(folder, TARGETS, encodeURIComponent(name));
      const found = await updater.findCachedTarget(info, file);
      return readFile(found ?? (await updater.downloadTarget(info, file)), 'utf8');
    });
  }

  async #isUpToDate(): Promise<boolean> {
    try {
      await this.#run('kept', async () => {});
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Has the library do something with the metadata, and keeps what it leaves.
   * @param from where the metadata comes from. When the library is allowed to use what is kept, and that has expired, it
   * fetches the rest and leaves the root as it is: keys that were taken back would still count. So it must not fetch then.
   */
  async #run<T>(from: 'kept' | 'mirror', work: (updater: Updater, folder: string) => Promise<T>): Promise<T> {
    const { mirror, folder: parent = tmpdir() } = this.#repository;
    mkdirSync(parent, { recursive: true });
    const folder = mkdtempSync(path.join(parent, 'manifold-tuf-'));
    const fetcher = new TufFetcher(this.#transport, folder);
    try {
      write(folder, this.#files);
      const places = { metadataDir: folder, metadataBaseUrl: mirror, targetBaseUrl: `${mirror}/targets` };
      const updater = new Updater({ ...places, fetcher, forceCache: from === 'kept' });
      fetcher.isClosed = from === 'kept';
      await updater.refresh();
      fetcher.isClosed = false;
      const result = await work(updater, folder);
      // Another target may have been added meanwhile.
      this.#files = { ...this.#files, ...read(folder) };
      await this.#keep();
      return result;
    } catch (error) {
      throw fetcher.failure ?? refusal(error);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Without it the next step fetches again: no reason to fail. */
  async #keep(): Promise<void> {
    const file = keptFile(this.#repository);
    if (file === undefined) return;
    const draft = `${file}.${randomUUID()}`;
    try {
      await writeFile(draft, JSON.stringify(this.#files));
      await rename(draft, file);
    } catch {
      await rm(draft, { force: true });
    }
  }
}

/** For each mirror, and for each root that it is believed by. */
function keptFile({ folder, mirror, root }: TufRepository): string | undefined {
  const name = createHash('sha256')
    .update(JSON.stringify([mirror, root]))
    .digest('hex')
    .slice(0, 16);
  return folder === undefined ? undefined : path.join(folder, `manifold-tuf-${name}.json`);
}

async function readKept(repository: TufRepository): Promise<Files | undefined> {
  const file = keptFile(repository);
  if (file === undefined) return undefined;
  try {
    return v.parse(keptFiles, JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}

function write(folder: string, files: Files): void {
  mkdirSync(path.join(folder, TARGETS));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
}

function read(folder: string): Files {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = names.filter(name => name.endsWith('.json') && statSync(path.join(folder, name)).isFile());
  return Object.fromEntries(files.map(name => [name, readFileSync(path.join(folder, name), 'utf8')]));
}

/** The library puts an error's text behind one of its own, once for each level. */
const WRAPPING = /^(?:Unable to load \w+(?: metadata)? error )?(?:\w*Error: )?/;

function refusal(error: unknown): ManifoldError {
  const why = oneLine(messageOf(error).replace(WRAPPING, ''));
  return new ManifoldError('signing-config', `${why}.`, { cause: error });
}
