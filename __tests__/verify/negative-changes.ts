import type { Json } from '../servers/signatures.ts';
import { type Bench, type Legacy, MAKING } from './negative.ts';

/* Ways to change a signature after it was made. */

export const base64 = (text: string): string => Buffer.from(text).toString('base64');

export const SIGNATURE = 'dev.cosignproject.cosign/signature';
export const CERTIFICATE = 'dev.sigstore.cosign/certificate';
export const LOG_ENTRY = 'dev.sigstore.cosign/bundle';
export const TIMESTAMP = 'dev.sigstore.cosign/rfc3161timestamp';

export const entryOf = ({ verificationMaterial }: Json): Json => verificationMaterial.tlogEntries[0];
export const materialOf = ({ verificationMaterial }: Json): Json => verificationMaterial;

/** A layer of the older format with other annotations; undefined takes one away. */
export function annotated(legacy: Legacy, changes: Record<string, string | undefined>): Legacy {
  const annotations = Object.entries({ ...legacy.annotations, ...changes });
  const kept = annotations.filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...legacy, annotations: Object.fromEntries(kept) };
}

/** Takes annotations from another signature. */
export const borrowed = (from: Legacy, ...names: string[]): Record<string, string | undefined> =>
  Object.fromEntries(names.map(name => [name, from.annotations[name]]));

/** The log entry of a layer, with something changed. */
export function entryChanged(legacy: Legacy, change: (entry: Json) => void): Legacy {
  const entry = JSON.parse(legacy.annotations[LOG_ENTRY] ?? '');
  change(entry);
  return annotated(legacy, { [LOG_ENTRY]: JSON.stringify(entry) });
}

export const another = ({ foundry, arm64, by }: Bench, making = {}) => ({
  bundle: foundry.bundle(arm64, { ...MAKING[by], ...making }),
  legacy: foundry.legacy(arm64, { ...MAKING[by], ...making }),
});
