import { ManifoldError, oneLine } from '../errors.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { isAttestation, REFERENCE_DIGEST } from '../oci/index.ts';
import {
  type Descriptor,
  descriptorOf,
  isIndexType,
  isManifestType,
  type ManifestContent,
  parseIndex,
} from '../oci/manifest.ts';
import { normalisePlatform, type Platform } from '../oci/platform.ts';
import type { RepositoryClient } from '../registry/client.ts';
import type { Role } from './report.ts';

/** A manifest of an image as the index above it names it. */
export interface Entry {
  readonly descriptor: Descriptor;
  readonly role: Role;
  /** What the index says; undefined where it says nothing, or there is no index. */
  readonly platform: Platform | undefined;
  /** For an attestation manifest, the image that it is about. */
  readonly about: Digest | undefined;
}

/** More than any image has; what is checked for each takes several requests. */
const MOST_MANIFESTS = 1000;

/** An index may name others; one that goes deeper is made to be endless. */
const DEEPEST = 4;

/**
 * The manifests that an image consists of: itself, and what its index names, and an index within it.
 * @throws ManifoldError `registry-…`; `invalid-document` for what is no image, or too large a one
 */
export async function readEntries(
  client: RepositoryClient,
  root: ManifestContent,
  depth = 1,
): Promise<Entry[]> {
  const where = `${client.name}@${root.digest}`;
  const [self, ...children] = entriesOf(root, where) as [Entry, ...Entry[]];
  const entries = [self];
  for (const child of children) {
    const nested = child.role === 'index' ? await client.findManifest(child.descriptor.digest) : undefined;
    if (nested !== undefined && depth === DEEPEST)
      throw new ManifoldError('invalid-document', `${where} lies in more than ${DEEPEST} indexes.`);
    entries.push(...(nested === undefined ? [child] : await readEntries(client, nested, depth + 1)));
    if (entries.length > MOST_MANIFESTS)
      throw new ManifoldError('invalid-document', `${where} names more than ${MOST_MANIFESTS} manifests.`);
  }
  return entries;
}

function entriesOf(root: ManifestContent, where: string): Entry[] {
  const self = descriptorOf(root);
  if (isManifestType(root.mediaType)) return [entry(self, 'image')];
  if (!isIndexType(root.mediaType)) {
    throw new ManifoldError(
      'invalid-document',
      `${where} is neither an image nor an index: ${oneLine(root.mediaType)}.`,
    );
  }
  const { manifests } = parseIndex(root, where);
  return [entry(self, 'index'), ...manifests.map(childEntry)];
}

function entry(descriptor: Descriptor, role: Role): Entry {
  return { descriptor, role, platform: undefined, about: undefined };
}

function childEntry(descriptor: Descriptor): Entry {
  const platform = platformOf(descriptor);
  // What clients would run is an image, whatever else is written on it: also one of which the index names no platform.
  if (isAttestation(descriptor) && descriptor.platform !== undefined && platform === undefined) {
    const about = descriptor.annotations?.[REFERENCE_DIGEST];
    return {
      ...entry(descriptor, 'attestation'),
      about: about !== undefined && isDigest(about) ? about : undefined,
    };
  }
  if (isIndexType(descriptor.mediaType)) return entry(descriptor, 'index');
  return { ...entry(descriptor, isManifestType(descriptor.mediaType) ? 'image' : 'artifact'), platform };
}

function platformOf({ platform }: Descriptor): Platform | undefined {
  if (platform === undefined || platform.os === 'unknown' || platform.architecture === 'unknown')
    return undefined;
  return normalisePlatform(platform);
}
