import type { RetryPolicy } from '../http/retry.ts';
import type { Finding } from '../sign/finding.ts';
import type { Signatory } from '../sign/identity.ts';
import type { SignatureMaker } from '../sign/maker.ts';
import { attachAll, readBack, type Shown, shownBy, upload } from './attach-signatures.ts';
import { type Made, makeSignatures } from './make-signatures.ts';
import {
  isWanted,
  type Place,
  placesOf,
  type SignatureKind,
  type SigningSubject,
  search,
  type Wanted,
} from './signing-places.ts';

/** One who signs, before anything of his is used up. */
export interface Hand {
  /** Whom the signatures will be of, as far as that can be told before a certificate is asked for. */
  readonly expected: Signatory | undefined;
  /** Gets ready to sign. @throws ManifoldError `signing-failed`, `service-unreachable` */
  readonly open: () => Promise<SignatureMaker>;
}

export interface SignOptions extends SignatureKind {
  /** All of them sign. */
  readonly hands: readonly Hand[];
  /** How long to look for a signature that a registry took but does not list yet. */
  readonly retry: RetryPolicy;
}

/** What was signed where, and by whom. */
export interface SigningReport {
  readonly signatories: readonly Signatory[];
  /** By their components. */
  readonly subjects: ReadonlyMap<string, SubjectReport>;
}

export interface SubjectReport {
  /** Manifests of the image: platforms, attestation manifests and the index itself. */
  readonly manifests: number;
  /** Signatures that these have now, over all repositories. */
  readonly signatures: number;
  /** Those of them that were attached now; the others were there from before. */
  readonly attached: number;
}

/** What a registry shows at a place. */
interface Found {
  readonly place: Place;
  readonly findings: readonly Finding[];
}

/** What was seen longer ago is looked at once more before a tag moves. Milliseconds. */
const FRESH = 1000;

/** Signatures that are made, and of which no registry knows yet. */
export interface PreparedSignatures {
  /** What the images will have once they are attached. */
  readonly report: SigningReport;
  /** Attaches them: children first and the index last. */
  attach(): Promise<AttachedSignatures>;
}

/** Signatures that registries took. */
export interface AttachedSignatures {
  /** Reads each back and verifies it. */
  confirm(): Promise<void>;
}

/**
 * Makes the signatures that manifests of images lack in repositories. What a hand has signed already is left as it is: where
 * nothing is left to sign, it is not even opened, and nothing is written.
 * @throws ManifoldError `no-id-token`, `signing-failed`, `signature-unverified`, `registry-…`
 */
export async function prepareSignatures(
  subjects: readonly SigningSubject[],
  options: SignOptions,
): Promise<PreparedSignatures> {
  const places = placesOf(subjects);
  const searched = performance.now();
  const found = await Promise.all(
    places.map(async place => ({ place, findings: await search(place, options) })),
  );
  const work = await Promise.all(options.hands.map(hand => makeLacking(hand, found, options)));
  const made = work.flatMap(hand => hand.made);
  const batches = [...Map.groupBy(made, ({ place }) => place)].map(([place, of]) => ({ place, made: of }));
  return {
    report: reportOf(
      work.map(({ signatory }) => signatory),
      subjects,
      made,
      options,
    ),
    attach: async () => {
      const uploaded = await upload(batches);
      await attachAll(uploaded);
      return {
        confirm: async () => {
          const isFresh = performance.now() - searched < FRESH;
          const shown = [...uploaded.map(shownBy), ...(isFresh ? [] : shownBefore(work))];
          await Promise.all(shown.map(place => readBack(place, options, options.retry)));
        },
      };
    },
  };
}

function reportOf(
  signatories: readonly Signatory[],
  subjects: readonly SigningSubject[],
  made: readonly Made[],
  { hands, formats }: SignOptions,
): SigningReport {
  const reports = subjects.map(subject => {
    const manifests = subject.children.length + 1;
    const signatures = manifests * subject.repositories.length * hands.length * formats.length;
    const attached = made.filter(({ place }) => place.subject === subject).length;
    return [subject.component, { manifests, signatures, attached }] as const;
  });
  return { signatories, subjects: new Map(reports) };
}

/** What became of one hand. */
interface HandWork {
  readonly signatory: Signatory;
  /** What the registries showed of it before. */
  readonly kept: readonly Wanted[];
  readonly made: readonly Made[];
}

/** Makes what the registries lack of one hand. */
async function makeLacking(hand: Hand, found: readonly Found[], options: SignOptions): Promise<HandWork> {
  const { expected } = hand;
  if (expected !== undefined) {
    const { kept, lacking } = compare(expected, found, options);
    if (lacking.length === 0) return { signatory: expected, kept, made: [] };
  }
  const maker = await hand.open();
  const { signatory } = maker;
  // What was expected is only a guess; the certificate decides.
  const { kept, lacking } = compare(signatory, found, options);
  return { signatory, kept, made: await makeSignatures(lacking, maker, options.verifier) };
}

/** What there is already of a hand's signatures, and what is lacking. */
function compare(
  signatory: Signatory,
  found: readonly Found[],
  options: SignOptions,
): Record<'kept' | 'lacking', Wanted[]> {
  const all = found.flatMap(({ place, findings }) =>
    options.formats.map(format => ({ wanted: { place, format, signatory }, findings })),
  );
  const { kept = [], lacking = [] } = Object.groupBy(all, ({ wanted, findings }) =>
    findings.some(finding => isWanted(finding, wanted, options.annotations)) ? 'kept' : 'lacking',
  );
  return { kept: kept.map(({ wanted }) => wanted), lacking: lacking.map(({ wanted }) => wanted) };
}

/** What was there before may have gone meanwhile: it is looked for once more, and there is nothing to attach again. */
function shownBefore(work: readonly HandWork[]): Shown[] {
  const kept = Map.groupBy(
    work.flatMap(hand => hand.kept),
    ({ place }) => place,
  );
  return [...kept].map(([place, wanted]) => ({ place, wanted, bundles: [], attachAgain: async () => {} }));
}
