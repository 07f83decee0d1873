import { createHash } from 'node:crypto';

/** `algorithm:encoded` (OCI image-spec, descriptor.md, "Digests"). */
const GRAMMAR = /^([a-z0-9]+(?:[+._-][a-z0-9]+)*):[A-Za-z0-9=_-]+$/;
const CHECKED = new Set(['sha256', 'sha512']);

/**
 * Holds a digest that a registry states against the bytes, by its own algorithm: a registry may have its own favourite,
 * whatever it was asked by (distribution-spec, "Pulling manifests"). One of an algorithm that is not checked says nothing
 * and passes, as the image specification wants it: what we keep bytes by is their sha256, and never what is stated.
 * @returns the digest of the bytes where it is another one
 */
export function contradiction(stated: string, bytes: Uint8Array): string | undefined {
  const algorithm = GRAMMAR.exec(stated)?.[1];
  if (algorithm !== undefined && !CHECKED.has(algorithm)) return undefined;
  // What is no digest at all is none of these bytes either.
  const own = algorithm ?? 'sha256';
  const actual = `${own}:${createHash(own).update(bytes).digest('hex')}`;
  return actual === stated ? undefined : actual;
}
