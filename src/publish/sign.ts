import type { RetryPolicy } from '../http/retry.ts';
import type { Finding } from '../sign/finding.ts';
import type { Signatory } from '../sign/identity.ts';
import type { SignatureMaker } from '../sign/maker.ts';
import { attachAll, readBack, type Uploaded, upload } from './attach-signatures.ts';
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

/** Signatures that are made, and of which no registry knows yet. */
export interface PreparedSignatures {
  /** What the images will have once they are attached. */
  readonly report: SigningReport;
  /** Attaches them: children first and the index last. */
  attach(): Promise<void>;
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
  const found = await Promise.all(
    places.map(async place => ({ place, findings: await search(place, options) })),
  );
  const work = await Promise.all(options.hands.map(hand => makeLacking(hand, found, options)));
  const made = work.flatMap(hand => hand.made);
  const batches = [...Map.groupBy(made, ({ place }) => place)].map(([place, of]) => ({ place, made: of }));
  let uploaded: readonly Uploaded[] = [];
  return {
    report: reportOf(
      work.map(({ signatory }) => signatory),
      subjects,
      made,
      options,
    ),
    attach: async () => {
      uploaded = await upload(batches);
      await attachAll(uploaded);
    },
    confirm: async () => {
      await Promise.all(uploaded.map(batch => readBack(batch, options, options.retry)));
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

/** Makes what the registries lack of one hand. */
async function makeLacking(
  hand: Hand,
  found: readonly Found[],
  options: SignOptions,
): Promise<{ signatory: Signatory; made: readonly Made[] }> {
  const { expected } = hand;
  if (expected !== undefined && lackingOf(expected, found, options).length === 0)
    return { signatory: expected, made: [] };
  const maker = await hand.open();
  // What was expected is only a guess; the certificate decides.
  const lacking = lackingOf(maker.signatory, found, options);
  return { signatory: maker.signatory, made: await makeSignatures(lacking, maker, options.verifier) };
}

function lackingOf(signatory: Signatory, found: readonly Found[], options: SignOptions): Wanted[] {
  return found.flatMap(({ place, findings }) =>
    options.formats
      .map(format => ({ place, format, signatory }))
      .filter(wanted => !findings.some(finding => isWanted(finding, wanted, options.annotations))),
  );
}
