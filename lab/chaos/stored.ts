import type { Contents, StoredManifest } from '../../__tests__/servers/registry.ts';

/** What is read of a manifest that a registry holds. */
export interface StoredDocument {
  readonly artifactType?: string;
  readonly config?: { readonly mediaType: string };
  readonly layers?: readonly Layer[];
  readonly subject?: { readonly digest: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Layer {
  readonly mediaType: string;
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Bytes that are stored never change, and every look at a repository reads all of its manifests. */
const parsed = new WeakMap<StoredManifest, StoredDocument>();

export function parse(contents: Contents, digest: string): StoredDocument | undefined {
  const held = contents.manifests.get(digest);
  if (held === undefined) return undefined;
  const known = parsed.get(held) ?? (JSON.parse(held.bytes.toString()) as StoredDocument);
  parsed.set(held, known);
  return known;
}

/** All manifests that name this one as their subject, whether anybody lists them or not. */
export function referrers(contents: Contents, digest: string): string[] {
  return [...contents.manifests.keys()].filter(key => parse(contents, key)?.subject?.digest === digest);
}
