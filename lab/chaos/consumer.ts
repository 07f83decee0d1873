import { run } from '../parts/command.ts';
import { toolPath } from '../tools/catalog.ts';
import { type Exhibit, type Gallery, nameOf, openGallery } from './exhibits.ts';
import { WORKFLOW } from './signatures.ts';
import { describe, KINDS, type SignatureKind } from './signing.ts';

/** What cosign is told of whom to believe. */
export interface ConsumerOptions {
  /** A file. */
  readonly trustedRoot: string;
  readonly issuer: string;
  /** A file. */
  readonly publicKey: string;
  /** A folder in which cosign may do as it likes. */
  readonly home: string;
}

/** One question: whether somebody who asks for this signature, and for these annotations, gets the manifest. */
export interface Question {
  readonly exhibit: Exhibit;
  readonly kind: SignatureKind;
  readonly annotations: Readonly<Record<string, string>>;
  /** What the other judge says. */
  readonly isSigned: boolean;
  /** For who reads about it. */
  readonly what: string;
}

/** A consumer with the real cosign, who verifies each manifest by its digest and takes nobody's word. */
export class Consumer {
  readonly #options: ConsumerOptions;
  readonly #gallery: Gallery;

  private constructor(options: ConsumerOptions, gallery: Gallery) {
    this.#options = options;
    this.#gallery = gallery;
  }

  /** @throws where cosign accepts what nobody has signed: then it would accept everything */
  static async open(options: ConsumerOptions): Promise<Consumer> {
    const consumer = new Consumer(options, await openGallery());
    const unsigned = KINDS.map(kind => ({ ...UNSIGNED, kind, isSigned: false }));
    const found = await consumer.disagreements(unsigned);
    if (found.length > 0) throw new Error(found.join('\n'));
    return consumer;
  }

  close(): Promise<void> {
    return this.#gallery.close();
  }

  /** @returns where cosign and the other judge disagree, a sentence each; both accepting is the usual case */
  async disagreements(questions: readonly Question[]): Promise<string[]> {
    const different = new Map(questions.map(question => [keyOf(question), question]));
    const groups = Map.groupBy(different.values(), ({ kind, annotations, isSigned }) =>
      JSON.stringify([kind, annotations, isSigned]),
    );
    const found = await Promise.all([...groups.values()].map(group => this.#ask(group)));
    this.#gallery.clear();
    return found.flat();
  }

  /** One process for all that is to be accepted: it ends at the first that is not. What is not to be is asked one by one. */
  async #ask(group: readonly Question[]): Promise<string[]> {
    const [first] = group;
    if (first === undefined) return [];
    if (first.isSigned && (await this.#verify(group)) === undefined) return [];
    const answers = await Promise.all(
      group.map(async question => ({ question, refusal: await this.#verify([question]) })),
    );
    return answers
      .filter(({ question, refusal }) => (refusal === undefined) !== question.isSigned)
      .map(({ question: { what, kind }, refusal }) =>
        refusal === undefined
          ? `cosign accepts a ${describe(kind)} of ${what}, and the library finds none`
          : `cosign accepts no ${describe(kind)} of ${what}, and the library does: ${refusal}`,
      );
  }

  /** @returns what cosign says against it; undefined where it accepts all */
  async #verify(questions: readonly Question[]): Promise<string | undefined> {
    const { trustedRoot, issuer, publicKey, home } = this.#options;
    const { kind, annotations } = questions[0] as Question;
    const signer =
      kind.hand === 'key'
        ? ['--key', publicKey]
        : ['--certificate-identity', WORKFLOW, '--certificate-oidc-issuer', issuer];
    const args = [
      ...['verify', ...signer, '--trusted-root', trustedRoot],
      ...Object.entries(annotations).flatMap(([name, value]) => ['-a', csvField(`${name}=${value}`)]),
      // Else it would look at bundles alone, be they of others, where there is one.
      ...(kind.format === 'legacy' ? ['--new-bundle-format=false'] : []),
      ...questions.map(({ exhibit }) => this.#gallery.hang(exhibit)),
    ];
    const { status, stderr } = await run(toolPath('cosign'), args, { env: { HOME: home } });
    return status === 0 ? undefined : stderr.trim().replaceAll(/\s+/g, ' ').slice(-600);
  }
}

/** Of one run, in which hands and annotations are always the same. */
const keyOf = ({ exhibit, kind, isSigned }: Question): string =>
  `${nameOf(exhibit)} ${describe(kind)} ${isSigned}`;

const UNSIGNED = {
  exhibit: {
    digest: `sha256:${'0'.repeat(64)}`,
    contents: { manifests: new Map(), tags: new Map(), blobs: new Map(), uploads: new Set<string>() },
    tags: new Map<string, string>(),
    listed: [],
  },
  annotations: {},
  what: 'nothing',
};

/** How cosign reads the values of this flag (RFC 4180). */
const csvField = (text: string): string => `"${text.replaceAll('"', '""')}"`;
