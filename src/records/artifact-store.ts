import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import { digestOf } from '../oci/digest.ts';
import type { RecordStore, StoredFile } from './store.ts';

type ArtifactClient = import('@actions/artifact').ArtifactClient;

/** The artifact service of GitHub: one artifact, uncompressed, for each record. */
export class ArtifactStore implements RecordStore {
  readonly #client: ArtifactClient;
  readonly #retentionDays: number;

  private constructor(client: ArtifactClient, retentionDays: number) {
    this.#client = client;
    this.#retentionDays = retentionDays;
  }

  /**
   * Loads the client, which is the heaviest part of every mode, only when it is needed.
   * @throws ManifoldError `record-store` where the client would refuse to work
   */
  static async open(retentionDays: number): Promise<ArtifactStore> {
    requireService(process.env);
    const { DefaultArtifactClient } = await import('@actions/artifact');
    return new ArtifactStore(new DefaultArtifactClient(), retentionDays);
  }

  async save(name: string, bytes: Uint8Array): Promise<void> {
    await withTemporaryFolder(async folder => {
      const file = path.join(folder, name);
      await writeFile(file, bytes);
      // An artifact that is not archived takes the name of its file.
      const options = { skipArchive: true, retentionDays: this.#retentionDays };
      const saved = await this.#client.uploadArtifact(name, [file], folder, options).catch(error => {
        throw storeFailed(`Saving the artifact "${name}"`, error);
      });
      const expected = digestOf(bytes);
      if (saved.digest !== undefined && `sha256:${saved.digest}` !== expected) {
        throw new ManifoldError(
          'record-store',
          `The artifact "${name}" was stored as sha256:${saved.digest}, but ${expected} was sent.`,
        );
      }
    });
  }

  async list(): Promise<StoredFile[]> {
    const { artifacts } = await this.#client.listArtifacts({ latest: true }).catch(error => {
      throw storeFailed('Listing the artifacts of this run', error);
    });
    return artifacts.map(artifact => ({
      name: artifact.name,
      read: () => this.#read(artifact.id, artifact.name, artifact.digest),
    }));
  }

  #read(id: number, name: string, digest: string | undefined): Promise<Uint8Array> {
    return withTemporaryFolder(async folder => {
      const options = { path: folder, ...(digest === undefined ? {} : { expectedHash: digest }) };
      const { digestMismatch } = await this.#client.downloadArtifact(id, options).catch(error => {
        throw storeFailed(`Reading the artifact "${name}"`, error);
      });
      if (digestMismatch === true) {
        throw new ManifoldError(
          'tampered-record',
          `The artifact "${name}" is not what was stored: its digest is not ${digest}.`,
          {
            hint: 'Something changed it on the way. Re-run the build job that wrote it.',
          },
        );
      }
      const [file, ...others] = await readdir(folder, { recursive: true });
      if (file === undefined || others.length > 0) {
        throw new ManifoldError(
          'invalid-record',
          `The artifact "${name}" holds ${others.length + 1} files instead of one.`,
        );
      }
      return readFile(path.join(folder, file));
    });
  }
}

const THE_OTHER_WAY =
  'Say "records: FOLDER" in all steps, and carry the folder from the build jobs to the merge by what this server has.';

/** The service is known to be absent before anything is built or read: the client's own words come late. */
function requireService(env: NodeJS.ProcessEnv): void {
  const { host, hostname } = new URL(env.GITHUB_SERVER_URL || 'https://github.com');
  // The client's own rule (@actions/artifact, config.ts): every other server counts as GitHub Enterprise Server.
  const isGitHub =
    hostname === 'github.com' || hostname.endsWith('.ghe.com') || hostname.endsWith('.localhost');
  if (!isGitHub) {
    throw new ManifoldError(
      'record-store',
      `${host} (GitHub Enterprise Server, Gitea, Forgejo or another forge) has no artifact service as GitHub.com has it.`,
      {
        hint: THE_OTHER_WAY,
      },
    );
  }
  const missing = ['ACTIONS_RESULTS_URL', 'ACTIONS_RUNTIME_TOKEN'].filter(name => !env[name]);
  if (missing.length === 0) return;
  throw new ManifoldError(
    'record-store',
    `The runner gave no ${missing.join(' and no ')}, by which the artifact service is reached.`,
    {
      hint: `Run Manifold as an action ("uses:"), not from a "run:" step. Where the runner has no such service: ${THE_OTHER_WAY}`,
    },
  );
}

async function withTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  // The artifact client reads the process's environment as well; handing in another would only seem to isolate it.
  const parent = process.env.RUNNER_TEMP || tmpdir();
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(path.join(parent, 'manifold-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function storeFailed(doing: string, error: unknown): ManifoldError {
  if (error instanceof ManifoldError) return error;
  const message = oneLine(messageOf(error), 400);
  return new ManifoldError('record-store', `${doing} failed: ${message}.`, {
    hint: remedy(message),
    cause: error,
  });
}

function remedy(message: string): string {
  if (/already exists|409/i.test(message)) {
    return 'Two jobs of this run build the same component and platform: give each its own "component".';
  }
  return 'The artifact service of this run did not do it. Re-run the job.';
}
