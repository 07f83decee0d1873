import { capitalised } from '../document.ts';
import { ManifoldError, oneLine } from '../errors.ts';
import { digestOf } from '../oci/digest.ts';

/**
 * Bytes that a record may have: a merge may hold hundreds of them. Most have a few thousand. What can make one long are the
 * annotations of what was built, and for these there is room for some hundred thousand characters, however JSON escapes them.
 */
export const LONGEST_RECORD = 1024 * 1024;

/** What to do about a record that has more. */
const TOO_LONG =
  'Rename what else this run uploads under such a name. If Manifold wrote it, what was built has annotations that are too long.';

/** What begins every ZIP archive (APPNOTE.TXT, section 4.3.7). */
const ARCHIVE = Buffer.from('PK\u0003\u0004');

/** @throws ManifoldError `invalid-record` for a file that is too long for a record; it need not be read for that */
export function requireSize(what: string, size: number): void {
  if (size <= LONGEST_RECORD) return;
  throw new ManifoldError(
    'invalid-record',
    `${capitalised(what)} has ${size} bytes; a record has ${LONGEST_RECORD} at most.`,
    { hint: TOO_LONG },
  );
}

/**
 * Waits for an answer of which at most `LONGEST_RECORD` bytes are read.
 * @throws ManifoldError `invalid-record` when it is longer, whatever size was stated for it
 */
export async function requireShort<T>(what: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!isTooLong(error)) throw error;
    throw new ManifoldError(
      'invalid-record',
      `${capitalised(what)} is longer than its service says; a record has ${LONGEST_RECORD} bytes at most.`,
      { hint: TOO_LONG, cause: error },
    );
  }
}

/** The one error that the transport has for a body. */
function isTooLong(error: unknown): boolean {
  return error instanceof ManifoldError && error.code === 'invalid-document';
}

/**
 * Holds the bytes of an artifact against what its service says of it.
 * @throws ManifoldError `tampered-record` when they are not what was stored; `invalid-record` for an archive
 */
export function requireBytes(what: string, bytes: Uint8Array, digest: string | null | undefined): void {
  if (digest) requireDigest(what, digest, digestOf(bytes));
  if (ARCHIVE.equals(bytes.subarray(0, ARCHIVE.byteLength))) {
    throw new ManifoldError(
      'invalid-record',
      `${capitalised(what)} is a ZIP archive, but a record is a plain file.`,
      {
        hint: 'Records are uploaded by Manifold itself, not by another action.',
      },
    );
  }
}

/** @throws ManifoldError `tampered-record` naming both */
export function requireDigest(what: string, expected: string, found: string): void {
  if (expected === found) return;
  throw new ManifoldError(
    'tampered-record',
    `${capitalised(what)} is not what was stored: expected the digest ${oneLine(expected)}, found ${oneLine(found)}.`,
    { hint: 'Something changed it on the way. Re-run the build job that wrote it.' },
  );
}
