import type { RetryPolicy } from '../http/retry.ts';
import type { Finding } from '../sign/finding.ts';
import type { Signatory } from '../sign/identity.ts';
import type { SignatureMaker } from '../sign/maker.ts';
import { attachAll, readBack, type Shown, shownBy, upload } from './attach-signatures.ts';
import { type Made, type MadeBundles, makeSignatures } from './make-signatures.ts';
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
 * @param rootsPushed when the roots are there: some registries list no referrers of what they do not hold (Quay). The
 * children are there already, and are not kept waiting
 * @throws ManifoldError `no-id-token`, `signing-failed`, `signature-unverified`, `registry-…`
 */
export async function prepareSignatures(
  subjects: readonly SigningSubject[],
  options: SignOptions,
  rootsPushed: Promise<unknown> = Promise.resolve(),
): Promise<PreparedSignatures> {
  const places = placesOf(subjects);
  const searched = performance.now();
  const workers = options.hands.map(hand => new HandWorker(hand, options));
  const complete = async (some: readonly Place[]): Promise<void> => {
    const found = await Promise.all(
      some.map(async place => ({ place, findings: await search(place, options) })),
    );
    await Promise.all(workers.map(worker => worker.complete(found)));
  };
  const isRoot = ({ manifest, subject }: Place): boolean => manifest === subject.root;
  await Promise.all([
    complete(places.filter(place => !isRoot(place))),
    rootsPushed.then(() => complete(places.filter(isRoot))),
  ]);
  const work = workers.map(worker => worker.work);
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

/** Makes what the registries lack of one hand, which is opened once, and only where something is lacking. */
class HandWorker {
  readonly #hand: Hand;
  readonly #options: SignOptions;
  readonly #bundles: MadeBundles = new Map();
  #maker: Promise<SignatureMaker> | undefined;
  #signatory: Signatory | undefined;
  readonly #kept: Wanted[] = [];
  readonly #made: Made[] = [];

  constructor(hand: Hand, options: SignOptions) {
    this.#hand = hand;
    this.#options = options;
    this.#signatory = hand.expected;
  }

  get work(): HandWork {
    if (this.#signatory === undefined) throw new Error('nobody has signed anything');
    return { signatory: this.#signatory, kept: this.#kept, made: this.#made };
  }

  async complete(found: readonly Found[]): Promise<void> {
    if (found.length === 0) return;
    const { expected } = this.#hand;
    const guess = expected && compare(expected, found, this.#options);
    if (guess?.lacking.length === 0) {
      this.#kept.push(...guess.kept);
      return;
    }
    this.#maker ??= this.#hand.open();
    const maker = await this.#maker;
    // What was expected is only a guess; the certificate decides.
    const { kept, lacking } = compare(maker.signatory, found, this.#options);
    this.#signatory = maker.signatory;
    this.#kept.push(...kept);
    this.#made.push(...(await makeSignatures(lacking, maker, this.#options.verifier, this.#bundles)));
  }
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
