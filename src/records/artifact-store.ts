import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ManifoldError, oneLine } from '../errors.ts';
import { digestOf } from '../oci/digest.ts';
import { ACTIONS_READ, type ActionsApi, type ListedArtifact } from './actions-api.ts';
import { serviceFailed } from './artifact-service.ts';
import { type Persistence, persist } from './persist.ts';
import { isWithheld, type ResultsApi, type ServiceArtifact } from './results-api.ts';
import type { RecordStore, StoredFile } from './store.ts';
import { requireDigest } from './stored-bytes.ts';

type ArtifactClient = import('@actions/artifact').ArtifactClient;

export interface ArtifactStoreOptions extends Persistence {
  /** Days for which an artifact is kept; undefined: as the repository says. Who tells it is going to save something. */
  readonly retentionDays: number | undefined;
  /** The process's own: the client reads it as well, so that another would only seem to isolate it. */
  readonly env: NodeJS.ProcessEnv;
  /** This run in its own service. */
  readonly results: ResultsApi;
  /** This run in the REST API, for what the service lists and then withholds; undefined without a token. */
  readonly api: ActionsApi | undefined;
}

const DOUBLED =
  'Two jobs of this run, or two such steps of one job, build the same component and platform: give each its own "component".';
/** Nobody sees whether such an upload is still under way. */
const BROKEN_OFF =
  'If none does, the name belongs to an upload that broke off. Re-run this job: the next attempt writes under a name of its own.';

/**
 * The artifact service of GitHub: one artifact, uncompressed, for each record. The client of GitHub saves; listing and
 * reading do without it.
 */
export class ArtifactStore implements RecordStore {
  readonly #options: ArtifactStoreOptions;
  #client: Promise<ArtifactClient> | undefined;
  #listedByApi: Promise<ListedArtifact[]> | undefined;

  constructor(options: ArtifactStoreOptions) {
    this.#options = options;
    // The heaviest part of a build job is loaded while the build runs; who waits for it hears of its failure.
    if (options.retentionDays !== undefined) this.#load().catch(() => {});
  }

  async save(name: string, bytes: Uint8Array): Promise<void> {
    const doing = `Saving the artifact "${name}"`;
    await this.#withTemporaryFolder(async folder => {
      const file = path.join(folder, name);
      await writeFile(file, bytes);
      const { retentionDays } = this.#options;
      // An artifact that is not archived takes the name of its file.
      const options = { skipArchive: true, ...(retentionDays === undefined ? {} : { retentionDays }) };
      const upload = this.#ask(doing, client => client.uploadArtifact(name, [file], folder, options));
      const digest = await upload.then(
        saved => saved.digest,
        (error: ManifoldError) => this.#digestOfEarlier(name, digestOf(bytes), error),
      );
      if (digest === undefined || `sha256:${digest}` === digestOf(bytes)) return;
      throw new ManifoldError(
        'record-store',
        `The artifact "${name}" was stored as sha256:${digest}, but ${digestOf(bytes)} was sent.`,
      );
    });
  }

  async list(): Promise<StoredFile[]> {
    const artifacts = await this.#options.results.artifacts();
    return artifacts.map(artifact => ({ name: artifact.name, read: () => this.#read(artifact) }));
  }

  /**
   * An upload whose answer was lost is repeated, and then the name is taken, by the very same content: that is success.
   * One that broke in the middle takes the name as well, but is never listed.
   */
  async #digestOfEarlier(name: string, expected: string, error: ManifoldError): Promise<string | undefined> {
    if (!/already exists|\(409\)/i.test(error.message)) throw error;
    const stored = (await this.#options.results.artifacts()).find(artifact => artifact.name === name);
    if (stored?.digest === expected) return expected.slice('sha256:'.length);
    throw new ManifoldError('record-store', error.message, {
      hint: stored === undefined ? `${DOUBLED} ${BROKEN_OFF}` : DOUBLED,
      cause: error,
    });
  }

  async #read(artifact: ServiceArtifact): Promise<Uint8Array> {
    try {
      return await this.#options.results.download(artifact);
    } catch (error) {
      if (!isWithheld(error)) throw error;
      return this.#readByApi(artifact, error);
    }
  }

  async #readByApi({ id, name, digest }: ServiceArtifact, error: ManifoldError): Promise<Uint8Array> {
    const { api } = this.#options;
    if (api === undefined) {
      throw new ManifoldError(
        'record-store',
        `${error.message} It is listed, but of an earlier attempt of the run.`,
        {
          hint: `It can be read by a token. ${ACTIONS_READ}`,
          cause: error,
        },
      );
    }
    this.#listedByApi ??= api.artifacts();
    const listed = (await this.#listedByApi).find(artifact => artifact.id === id);
    if (listed === undefined) throw error;
    if (digest !== undefined && listed.digest)
      requireDigest(`The artifact "${oneLine(name)}"`, digest, listed.digest);
    return api.download(listed);
  }

  #load(): Promise<ArtifactClient> {
    this.#client ??= import('@actions/artifact').then(module => new module.DefaultArtifactClient());
    return this.#client;
  }

  async #ask<T>(doing: string, work: (client: ArtifactClient) => Promise<T>): Promise<T> {
    try {
      const client = await this.#load();
      return await persist(doing, this.#options, () => work(client));
    } catch (error) {
      throw serviceFailed(doing, error, this.#options.env);
    }
  }

  async #withTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
    const parent = this.#options.env.RUNNER_TEMP || tmpdir();
    await mkdir(parent, { recursive: true });
    const folder = await mkdtemp(path.join(parent, 'manifold-'));
    try {
      return await work(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}
