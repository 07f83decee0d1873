import { randomBytes } from 'node:crypto';

/** What the service holds of one artifact. */
export interface StoredArtifact {
  readonly id: number;
  /** The run's number, equal in all of its attempts. */
  readonly run: string;
  readonly attempt: number;
  readonly job: string;
  readonly name: string;
  readonly mimeType: string;
  readonly version: number;
  readonly createdAt: string;
  readonly expiresAt: string | undefined;
  /** Whether FinalizeArtifact came; before that nobody sees it. */
  finalized: boolean;
  /** Its time is over: the REST API lists it still, and its bytes are gone. */
  expired: boolean;
  /** As the client stated them, whatever the bytes are. */
  size: number;
  hash: string | undefined;
  bytes: Buffer;
}

/** A run's attempt and job, as the `scp` claim of the runtime token names them. */
export interface BackendIds {
  readonly run: string;
  readonly attempt: number;
  readonly job: string;
}

interface Blob {
  readonly artifact: StoredArtifact;
  readonly blocks: Map<string, Buffer>;
  readonly uploadSignature: string;
  readonly downloadSignature: string;
}

/**
 * The run's backend id: on GitHub an opaque id that a new attempt gets anew, here `RUN` and then `RUN.ATTEMPT`, so
 * that one can be read in a log.
 */
export function runBackendId(run: string, attempt: number): string {
  return attempt === 1 ? run : `${run}.${attempt}`;
}

export function parseRunBackendId(id: string): { run: string; attempt: number } {
  const [run = '', attempt = '1'] = id.split('.');
  return { run, attempt: Number(attempt) };
}

/** Artifacts of all runs, and the rules of who sees what. */
export class ArtifactStore {
  readonly #blobs = new Map<number, Blob>();
  readonly #oldest = new Map<string, number>();
  #nextId = 1_000_001;

  /** Undefined when the name is taken in this attempt of the run. */
  create(
    ids: BackendIds,
    name: string,
    details: { mimeType: string; version: number; expiresAt: string | undefined },
  ): StoredArtifact | undefined {
    // An earlier attempt may hold the name: re-run jobs upload it again, and the newest wins.
    if (this.all().some(a => a.run === ids.run && a.attempt === ids.attempt && a.name === name))
      return undefined;
    const artifact: StoredArtifact = {
      id: this.#nextId++,
      ...ids,
      name,
      ...details,
      createdAt: new Date().toISOString(),
      finalized: false,
      expired: false,
      size: 0,
      hash: undefined,
      bytes: Buffer.alloc(0),
    };
    this.#blobs.set(artifact.id, {
      artifact,
      blocks: new Map(),
      uploadSignature: randomBytes(16).toString('hex'),
      downloadSignature: randomBytes(16).toString('hex'),
    });
    return artifact;
  }

  all(): StoredArtifact[] {
    return [...this.#blobs.values()].map(blob => blob.artifact);
  }

  /** A re-run of failed jobs sees what earlier attempts left; other runs see nothing of it. */
  visibleTo(ids: { run: string; attempt: number }): StoredArtifact[] {
    const oldest = this.#oldest.get(runBackendId(ids.run, ids.attempt)) ?? 1;
    return this.all().filter(
      a => a.finalized && !a.expired && a.run === ids.run && a.attempt <= ids.attempt && a.attempt >= oldest,
    );
  }

  /** "Re-run all jobs": this attempt starts with none of the earlier artifacts. */
  startAfresh(run: string, attempt: number): void {
    this.#oldest.set(runBackendId(run, attempt), attempt);
  }

  /** The artifact of exactly this attempt. */
  find(run: string, attempt: number, name: string): StoredArtifact | undefined {
    return this.all().find(a => a.run === run && a.attempt === attempt && a.name === name);
  }

  delete(artifact: StoredArtifact): void {
    this.#blobs.delete(artifact.id);
  }

  signature(artifact: StoredArtifact, kind: 'upload' | 'download'): string {
    const blob = this.#blobs.get(artifact.id);
    return (kind === 'upload' ? blob?.uploadSignature : blob?.downloadSignature) ?? '';
  }

  /** The artifact behind a signed URL, or undefined when the URL is not one of ours. */
  signed(id: number, kind: 'upload' | 'download', signature: string | null): StoredArtifact | undefined {
    const blob = this.#blobs.get(id);
    return blob && signature === this.signature(blob.artifact, kind) ? blob.artifact : undefined;
  }

  putBlock(artifact: StoredArtifact, blockId: string, bytes: Buffer): void {
    this.#blobs.get(artifact.id)?.blocks.set(blockId, bytes);
  }

  /** Azure's Put Block List: the blob becomes the named blocks in that order; false when one never came. */
  commit(artifact: StoredArtifact, blockIds: readonly string[]): boolean {
    const blocks = blockIds.map(id => this.#blobs.get(artifact.id)?.blocks.get(id));
    if (!blocks.every(block => block !== undefined)) return false;
    artifact.bytes = Buffer.concat(blocks);
    return true;
  }
}
