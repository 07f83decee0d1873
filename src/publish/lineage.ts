import { ANNOTATION } from '../oci/annotations.ts';
import type { Digest } from '../oci/digest.ts';
import type { ManifestContent } from '../oci/manifest.ts';

/** What an image says of where it comes from, each by the annotation of its name. */
export interface Lineage {
  readonly digest: Digest;
  readonly source?: string | undefined;
  readonly version?: string | undefined;
  readonly revision?: string | undefined;
  readonly created?: string | undefined;
  readonly run?: string | undefined;
}

/** Reads the lineage of an index or manifest from its annotations. An empty value says nothing. */
export function lineageOf(content: ManifestContent): Lineage {
  const annotations = annotationsOf(content);
  const read = (key: string): string | undefined => annotations.get(key)?.trim() || undefined;
  return {
    digest: content.digest,
    source: read(ANNOTATION.source),
    version: read(ANNOTATION.version),
    revision: read(ANNOTATION.revision),
    created: read(ANNOTATION.created),
    run: read(ANNOTATION.run),
  };
}

/** Somebody else's manifest may be of any kind: what cannot be read says nothing. */
function annotationsOf({ bytes }: ManifestContent): ReadonlyMap<string, string> {
  try {
    const { annotations } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { annotations?: object };
    const entries = Object.entries(annotations ?? {}).filter(([, value]) => typeof value === 'string');
    return new Map(entries);
  } catch {
    return new Map();
  }
}
