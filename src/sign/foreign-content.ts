import { ManifoldError } from '../errors.ts';
import type { BlobDescriptor, Descriptor, ManifestContent } from '../oci/manifest.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { Flaw, saidBy } from './flaw.ts';

/** Whoever may push writes what sizes there are to be. A bundle has some ten thousand bytes, a payload some hundred. */
const LARGEST_BLOB = 1024 * 1024;
const LARGEST_MANIFEST = 256 * 1024;

/** Faults of what somebody has pushed; all others are the registry's, and then nothing can be said. */
const ABOUT_THE_CONTENT = new Set<string>(['invalid-document', 'digest-mismatch', 'registry-not-found']);

/** Tells an error that says something of the content from one that says that nothing could be told. */
export function isAboutContent(error: unknown): error is ManifoldError {
  return error instanceof ManifoldError && ABOUT_THE_CONTENT.has(error.code);
}

/**
 * Reads the manifest of a referrer that somebody has pushed.
 * @throws Flaw `illegible` where it is gone, or not what the listing says; ManifoldError `registry-…` when the registry failed
 */
export async function readForeignManifest(
  client: RepositoryClient,
  { digest, size }: Descriptor,
): Promise<ManifestContent> {
  refuseLarger(size, LARGEST_MANIFEST);
  return readForeign(() => client.getManifest(digest));
}

/** The same for a blob that a manifest names. */
export async function readForeignBlob(client: RepositoryClient, blob: BlobDescriptor): Promise<Buffer> {
  refuseLarger(blob.size, LARGEST_BLOB);
  return readForeign(() => client.getBlob(blob));
}

function refuseLarger(size: number, largest: number): void {
  if (size > largest)
    throw new Flaw('illegible', `it is said to have ${size} bytes; at most ${largest} are read`);
}

async function readForeign<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read().catch(error => {
      // Bytes that were garbled on the way come whole the next time; those that somebody has garbled do not.
      if (error instanceof ManifoldError && error.code === 'digest-mismatch') return read();
      throw error;
    });
  } catch (error) {
    if (!isAboutContent(error)) throw error;
    throw new Flaw('illegible', `it cannot be read: ${saidBy(error)}`, error);
  }
}
