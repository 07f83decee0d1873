import { formatPlatform } from '../oci/platform.ts';
import { isRecordName, parseRecordName, type RecordName } from './name.ts';
import { type BuildRecord, type Origin, parseRecord } from './record.ts';
import type { RecordStore, StoredFile } from './store.ts';

/**
 * Reads the build records of a run: of each component and platform that of the newest attempt. What is not ours is left
 * alone; what is ours and cannot be read is an error.
 */
export async function collectRecords(store: RecordStore, origin: Origin): Promise<BuildRecord[]> {
  const newest = new Map<string, { file: StoredFile; name: RecordName }>();
  for (const file of await store.list()) {
    if (!isRecordName(file.name)) continue;
    const name = parseRecordName(file.name);
    const key = `${name.component} ${formatPlatform(name.platform)}`;
    const known = newest.get(key);
    if (known === undefined || known.name.attempt < name.attempt) newest.set(key, { file, name });
  }
  return Promise.all(
    [...newest.values()].map(async ({ file, name }) =>
      parseRecord(await file.read(), name, file.name, origin),
    ),
  );
}
