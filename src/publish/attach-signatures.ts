import { ManifoldError } from '../errors.ts';
import type { RetryPolicy } from '../http/retry.ts';
import { type UploadedBundle, uploadBundle } from '../sign/bundle.ts';
import type { Finding } from '../sign/finding.ts';
import { attachLegacy, type LegacyLayer } from '../sign/legacy.ts';
import { eventually } from './eventually.ts';
import type { Made } from './make-signatures.ts';
import { isWanted, type Place, type SignatureKind, search, type Wanted } from './signing-places.ts';

/** What was made for one place. */
export interface Batch {
  readonly place: Place;
  readonly made: readonly Made[];
}

/** A batch of which nobody sees anything yet, although the bytes are in the registry. */
export interface Uploaded extends Batch {
  readonly bundles: readonly UploadedBundle[];
  readonly layers: readonly LegacyLayer[];
}

/** What a place must show before a tag may move. */
export interface Shown {
  readonly place: Place;
  readonly wanted: readonly Wanted[];
  /** Those of them that were attached now, which are read at once. */
  readonly bundles: readonly UploadedBundle[];
  readonly attachAgain: () => Promise<void>;
}

/** What must be seen of what was attached now. */
export function shownBy(uploaded: Uploaded): Shown {
  const { place, made, bundles } = uploaded;
  return { place, wanted: made, bundles, attachAgain: () => attach(uploaded) };
}

/** Brings everything to the registries that makes no difference to anybody there. */
export function upload(batches: readonly Batch[]): Promise<Uploaded[]> {
  return Promise.all(
    batches.map(async ({ place, made }) => {
      const { repository, manifest } = place;
      const layers = made.flatMap(signature => (signature.format === 'legacy' ? [signature.layer] : []));
      const bundles = await Promise.all(
        made.flatMap(signature =>
          signature.format === 'bundle' ? [uploadBundle(repository, manifest, signature.bundle)] : [],
        ),
      );
      return { place, made, bundles, layers };
    }),
  );
}

/**
 * Attaches signatures to what they are of: in each repository the children of an image come first, and then its root.
 * @throws ManifoldError `registry-…`
 */
export async function attachAll(uploaded: readonly Uploaded[]): Promise<void> {
  const images = Map.groupBy(
    uploaded,
    ({ place: { subject, repository } }) => `${subject.component} ${repository.name}`,
  );
  const isRoot = ({ place }: Batch): boolean => place.manifest === place.subject.root;
  await Promise.all(
    [...images.values()].map(async image => {
      await Promise.all(image.filter(batch => !isRoot(batch)).map(attach));
      await Promise.all(image.filter(isRoot).map(attach));
    }),
  );
}

async function attach({ place: { repository, manifest }, bundles, layers }: Uploaded): Promise<void> {
  await Promise.all([
    ...bundles.map(bundle => bundle.attach()),
    layers.length === 0 ? undefined : attachLegacy(repository, manifest.digest, layers),
  ]);
}

/** So often a registry may show a list without our signature before that counts as lost. */
const PATIENT_LOOKS = 3;

/**
 * Asks the registry, as a consumer would, until it shows every signature, and verifies each. One that was listed may be lost
 * again, where somebody else wrote the list at the same time: what does not show is attached once more.
 * @throws ManifoldError `signature-unverified`, `registry-…`
 */
export async function readBack(
  { place, wanted, bundles, attachAgain }: Shown,
  kind: SignatureKind,
  retry: RetryPolicy,
): Promise<void> {
  let findings: readonly Finding[] = [];
  const expected = bundles.map(({ referrer, blob }) => ({ referrer, blob }));
  let looks = 0;
  const shown = await eventually(retry, async () => {
    if (++looks > PATIENT_LOOKS) await attachAgain();
    findings = await search(place, kind, expected);
    const isShown = (want: Wanted): boolean =>
      findings.some(finding => isWanted(finding, want, kind.annotations));
    return wanted.every(isShown) ? true : undefined;
  });
  if (shown === true) return;
  const faulty = findings.find(({ fault }) => fault !== undefined);
  const reason =
    faulty === undefined
      ? 'The registry took the signature but does not list it.'
      : `A signature is not valid: ${faulty.reason}.`;
  throw new ManifoldError(
    'signature-unverified',
    `${place.repository.name}@${place.manifest.digest} is not signed as it should be. ${reason}`,
    { hint: 'No tag was moved. Re-run this job: what is signed already stays.' },
  );
}
