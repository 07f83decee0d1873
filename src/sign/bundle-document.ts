import {
  assertBundle,
  BUNDLE_V01_MEDIA_TYPE,
  BUNDLE_V02_MEDIA_TYPE,
  BUNDLE_V03_LEGACY_MEDIA_TYPE,
  BUNDLE_V03_MEDIA_TYPE,
  type Bundle,
  ValidationError,
} from '@sigstore/bundle';
import { Bundle as BundleMessage } from '@sigstore/protobuf-specs';
import { oneLine } from '../errors.ts';
import { Flaw, saidBy } from './flaw.ts';

/** The media types of a Sigstore bundle (sigstore/protobuf-specs, sigstore_bundle.proto). */
const BUNDLE_TYPES: readonly string[] = [
  BUNDLE_V03_MEDIA_TYPE,
  BUNDLE_V03_LEGACY_MEDIA_TYPE,
  BUNDLE_V02_MEDIA_TYPE,
  BUNDLE_V01_MEDIA_TYPE,
];

export function isBundleType(mediaType: string | undefined): boolean {
  return mediaType !== undefined && BUNDLE_TYPES.includes(mediaType);
}

/** The logs of a signature and its time stamps: more than this nobody needs, and each costs time to verify. */
const MOST_WITNESSES = 32;

/**
 * Reads a bundle of any version. The library's own reading refuses with one word what is told apart here.
 * @throws Flaw `illegible`
 */
export function readBundle(bytes: Uint8Array): Bundle {
  const bundle = parse(bytes);
  const { mediaType, verificationMaterial: material } = bundle;
  if (!isBundleType(mediaType)) {
    throw new Flaw('illegible', `it is no bundle of a version that is known here, but ${oneLine(mediaType)}`);
  }
  const stamps = material.timestampVerificationData?.rfc3161Timestamps ?? [];
  const most = Math.max(material.tlogEntries.length, stamps.length);
  if (most > MOST_WITNESSES)
    throw new Flaw('illegible', `it has ${most} witnesses; at most ${MOST_WITNESSES} are read`);
  return bundle;
}

/**
 * Log entries come with a proof; only in the first version of bundles a promise was enough.
 * @throws Flaw `bad-log-entry`
 */
export function requireProofs({ mediaType, verificationMaterial: { tlogEntries } }: Bundle): void {
  const isUnproved = tlogEntries.some(({ inclusionProof }) => inclusionProof === undefined);
  if (mediaType !== BUNDLE_V01_MEDIA_TYPE && isUnproved)
    throw new Flaw('bad-log-entry', 'its log entry comes without the proof that the log holds it');
}

function parse(bytes: Uint8Array): Bundle {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    const bundle = BundleMessage.fromJSON(json);
    assertBundle(bundle);
    return bundle;
  } catch (error) {
    const isIncomplete = error instanceof ValidationError;
    const what = isIncomplete ? `wrong or missing are ${error.fields.join(', ')}` : saidBy(error);
    throw new Flaw('illegible', `it is no Sigstore bundle: ${what}`, error);
  }
}
