import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { ManifoldError, messageOf } from '../errors.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { parseDocument } from '../oci/document.ts';

const metadata = v.looseObject({
  'containerimage.digest': v.custom<Digest>(
    value => typeof value === 'string' && isDigest(value),
    'sha256 digest',
  ),
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
  const document = parseDocument(metadata, bytes, "buildx's metadata file", 'build-failed');
  return { digest: document['containerimage.digest'], json: JSON.stringify(document, null, 2) };
}
