import { createHash } from 'node:crypto';
import { pipeline, type Readable, Transform } from 'node:stream';
import { ManifoldError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { BlobDescriptor } from '../oci/manifest.ts';
import type { Connection } from './connection.ts';

/**
 * The bytes of a blob as they come. They end in `digest-mismatch` when they are not those of its descriptor: before their
 * end where there are too many.
 * @param connection to the repository that they come from
 */
export function checkedStream(
  bytes: Readable,
  { digest, size }: BlobDescriptor,
  connection: Connection,
): Readable {
  const hash = createHash('sha256');
  let length = 0;
  const checked = new Transform({
    transform(chunk: Uint8Array, _, done) {
      hash.update(chunk);
      length += chunk.byteLength;
      if (length > size) done(wrongSize(connection.at(digest), size, 'more'));
      else done(null, chunk);
    },
    flush(done) {
      const actual: Digest = `sha256:${hash.digest('hex')}`;
      if (actual !== digest) done(connection.mismatch(digest, actual));
      else done(length < size ? wrongSize(connection.at(digest), size, 'less') : null);
    },
  });
  pipeline(bytes, checked, () => {}); // a failure of one ends the other, and whoever reads hears of it
  return checked;
}

function wrongSize(blob: string, size: number, found: 'more' | 'less'): ManifoldError {
  return new ManifoldError(
    'digest-mismatch',
    `The blob ${blob} has ${found} than the ${size} bytes that its descriptor says.`,
    { hint: 'The manifest that names it, or something on the way, changes content.' },
  );
}
