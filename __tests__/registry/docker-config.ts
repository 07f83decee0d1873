import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from '../servers/clients.ts';

/** A folder with these logins, `user:password` by the place that each is for. */
export function loggedIn(logins: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder();
  const auths = Object.fromEntries(
    Object.entries(logins).map(([place, pair]) => [place, { auth: Buffer.from(pair).toString('base64') }]),
  );
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ auths }));
  return folder;
}
