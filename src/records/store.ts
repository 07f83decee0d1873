/** A file by which jobs tell each other something. */
export interface StoredFile {
  readonly name: string;
  /** @throws ManifoldError `invalid-record`, `tampered-record` when this file is at fault; `record-store` else */
  read(): Promise<Uint8Array>;
}

/** Where records cross from job to job. */
export interface RecordStore {
  /** How many attempts the run has had, where the store can tell: that of another run does. */
  readonly runAttempt?: number | undefined;
  /** How that run ended, in the words of its server, where the store can tell. */
  readonly conclusion?: string | undefined;
  save(name: string, bytes: Uint8Array): Promise<void>;
  /** All files of this run, of us and of others. */
  list(): Promise<StoredFile[]>;
}
