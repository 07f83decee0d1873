import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boxPath } from '../tools/catalog.ts';

/**
 * Lays out the build context of a test image: its Dockerfile, and the shell of each platform at `PLATFORM/sh`.
 *
 * @param image a folder beside this file, for example `hello`
 * @param directory made when missing; the context's folder, which is returned
 */
export async function prepareContext(
  image: string,
  directory: string,
  platforms: readonly string[] = ['linux/amd64', 'linux/arm64'],
): Promise<string> {
  await mkdir(directory, { recursive: true });
  await copyFile(
    fileURLToPath(new URL(`${image}/Dockerfile`, import.meta.url)),
    join(directory, 'Dockerfile'),
  );
  for (const platform of platforms) {
    const shell = join(directory, platform, 'sh');
    await mkdir(dirname(shell), { recursive: true });
    await copyFile(boxPath(platform), shell);
  }
  return directory;
}
