/** A file by which jobs tell each other something. */
export interface StoredFile {
  readonly name: string;
  read(): Promise<Uint8Array>;
}

/** Where records cross from job to job. */
export interface RecordStore {
  save(name: string, bytes: Uint8Array): Promise<void>;
  /** All files of this run, of us and of others. */
  list(): Promise<StoredFile[]>;
}
