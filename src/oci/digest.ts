import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { ManifoldError, oneLine } from '../errors.ts';

/**
 * The name of content by its SHA-256 (OCI image-spec, descriptor.md, "Digests"). The specification also registers
 * sha512; no registry serves manifests by it, so that it is refused instead of half supported.
 */
export type Digest = `sha256:${string}`;

const PATTERN = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return PATTERN.test(text);
}

/** @throws ManifoldError `invalid-digest` */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new ManifoldError('invalid-digest', `"${oneLine(text)}" is not a digest.`, {
    hint: 'A digest is sha256: followed by 64 lower-case hexadecimal digits.',
  });
}

/** The digest of exactly these bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The 64 hexadecimal digits of a digest, without the algorithm. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

/** The first twelve digits, as people compare them. */
export function shortDigest(digest: Digest): string {
  return digest.slice(0, 'sha256:'.length + 12);
}

/** The schema of a digest, for the documents that name one. */
export const digestSchema = v.custom<Digest>(
  value => typeof value === 'string' && isDigest(value),
  'sha256 digest',
);
