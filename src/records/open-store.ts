import { ArtifactStore } from './artifact-store.ts';
import { FolderStore } from './folder-store.ts';
import type { RecordStore } from './store.ts';

export interface StoreOptions {
  /** A folder that the workflow carries from job to job; undefined: the artifact service of the run. */
  readonly folder: string | undefined;
  /** Days for which an artifact is kept. */
  readonly retentionDays: number;
}

/** Opens the store, and finds here that there is none. @throws ManifoldError `record-store` */
export async function openStore({ folder, retentionDays }: StoreOptions): Promise<RecordStore> {
  return folder === undefined ? ArtifactStore.open(retentionDays) : new FolderStore(folder);
}
