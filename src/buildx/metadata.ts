import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, messageOf } from '../errors.ts';
import { type Digest, digestSchema } from '../oci/digest.ts';

const metadata = v.looseObject({
  'containerimage.digest': digestSchema,
});

/** What buildx writes about a build (docs/reference/buildx_build.md, `--metadata-file`). */
export interface BuildMetadata {
  readonly digest: Digest;
  /** The whole document, as JSON. */
  readonly json: string;
}

/** @throws ManifoldError `build-failed` when buildx left no digest */
export async function readMetadata(file: string): Promise<BuildMetadata> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new ManifoldError('build-failed', `buildx wrote no metadata: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  const document = parseDocument(metadata, bytes, "buildx's metadata file", { code: 'build-failed' });
  return { digest: document['containerimage.digest'], json: JSON.stringify(document, null, 2) };
}
