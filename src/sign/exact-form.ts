import { BUNDLE_V03_MEDIA_TYPE, bundleFromJSON, bundleToJSON } from '@sigstore/bundle';

/**
 * Tells whether a bundle is written so that every verifier reads the same in it: of version 0.3, with nothing unknown, nothing
 * twice, and strict Base64. cosign refuses what differs; our own reading takes more, as the signature is what counts.
 */
export function isExactBundle(bytes: Uint8Array): boolean {
  try {
    const text = Buffer.from(bytes).toString('utf8');
    const json: unknown = JSON.parse(text);
    // Of a field that stands there twice, the first one is lost.
    if (withoutBlanks(text) !== JSON.stringify(json)) return false;
    const bundle = bundleFromJSON(json);
    return bundle.mediaType === BUNDLE_V03_MEDIA_TYPE && isWithin(json, bundleToJSON(bundle));
  } catch {
    return false;
  }
}

/** JSON as it is without what stands between its signs. */
function withoutBlanks(text: string): string {
  return text.replace(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/g, '$1');
}

/** Whether all that a document says stands in another one, in the same words. */
function isWithin(part: unknown, whole: unknown): boolean {
  if (typeof part !== 'object' || part === null || typeof whole !== 'object' || whole === null)
    return part === whole;
  return Object.entries(part).every(
    ([name, value]) =>
      Object.hasOwn(whole, name) && isWithin(value, (whole as Readonly<Record<string, unknown>>)[name]),
  );
}

/** The same for the annotations of a legacy signature, as far as they are Base64. */
export function isExactBase64(text: string | undefined): boolean {
  return text === undefined || Buffer.from(text, 'base64').toString('base64') === text;
}
