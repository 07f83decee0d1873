import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from './clients.ts';

/** The file in which the runner tells of the event. */
export function eventFile(event: string): string {
  const file = path.join(temporaryFolder(), 'event.json');
  writeFileSync(file, event);
  return file;
}
