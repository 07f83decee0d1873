import type { Question } from './consumer.ts';
import type { Repository } from './contents.ts';
import { type Exhibit, exhibit } from './exhibits.ts';
import type { Opinion, SignatureJudge, Valid } from './signatures.ts';
import { describe, kindsOf, type SignatureKind, type Signing } from './signing.ts';
import type { Site } from './site.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';

/** Judges what is signed in a repository, by the library, and keeps for a consumer what he is to be asked. */
export class SignedJudge {
  /** One for each signature that a tagged image has to have, as it was when it was looked at. */
  readonly questions: Question[] = [];
  readonly #signing: Signing | undefined;
  readonly #site: Site;
  readonly #signatures: SignatureJudge;

  constructor(site: Site, signatures: SignatureJudge) {
    this.#site = site;
    this.#signing = site.world.signing;
    this.#signatures = signatures;
  }

  /** Whether a manifest has all signatures that it has to have. */
  faultsOf(repository: Repository, digest: string): string[] {
    if (this.#signing === undefined) return [];
    const { annotations } = this.#signing;
    const shown = this.#shown(repository, digest);
    const opinion = this.#signatures.opinion(shown);
    const what = `${repository.name}@${digest}`;
    return kindsOf(this.#signing).flatMap(kind => {
      const isSigned = wanted(opinion, kind, this.#signing).length > 0;
      this.questions.push({ exhibit: shown, kind, annotations, isSigned, what });
      return isSigned ? [] : [`${what} has no ${describe(kind)}${because(opinion)}`];
    });
  }

  /** What is wrong with signatures, whether a tag shows the image or not. */
  faults(repository: Repository): string[] {
    const { name, contents } = repository;
    const stranger = this.#site.services.stranger;
    const lost = stranger
      .lost(contents)
      .map(({ tag, text }) => `${name}:${tag} has lost what somebody else put there: ${text}`);
    const { signing } = this.#site.world;
    if (signing === undefined) return lost;
    return [...lost, ...this.#faultsOfAll(repository)];
  }

  /** @returns indexes that are signed although something in them is not, in a repository that keeps what it takes */
  signedTooEarly(repository: Repository): string[] {
    const { name, contents } = repository;
    const indexes = [...contents.manifests].filter(([, { mediaType }]) => mediaType === INDEX);
    return indexes.flatMap(([digest, { bytes }]) => {
      const { valid } = this.#signatures.opinion(this.#shown(repository, digest));
      if (valid.length === 0) return [];
      const { manifests } = JSON.parse(bytes.toString()) as { manifests: { digest: string }[] };
      return manifests.flatMap(child => {
        const { valid: ofChild } = this.#signatures.opinion(this.#shown(repository, child.digest));
        return valid
          .filter(({ kind }) => !ofChild.some(each => isSame(each.kind, kind)))
          .map(({ kind }) => `${name}@${digest} has a ${describe(kind)}, and ${child.digest} in it has none`);
      });
    });
  }

  #faultsOfAll(repository: Repository): string[] {
    const { name, contents } = repository;
    return [...contents.manifests.keys()].flatMap(digest => {
      const { valid } = this.#signatures.opinion(this.#shown(repository, digest));
      const kinds = Map.groupBy(valid, ({ kind }) => describe(kind));
      const doubled = [...kinds]
        .filter(([, same]) => same.length > 1)
        .map(([kind, same]) => `${name}@${digest} has a ${kind} ${same.length} times`);
      const misnamed = valid
        .filter(each => each.repository !== undefined && each.repository !== name)
        .map(each => `${name}@${digest} has a signature for ${each.repository}`);
      const unasked = valid
        .filter(({ kind }) => !kindsOf(this.#signing as Signing).some(each => isSame(each, kind)))
        .map(({ kind }) => `${name}@${digest} has a ${describe(kind)}, which nobody asked for`);
      return [...doubled, ...misnamed, ...unasked];
    });
  }

  #shown({ contents, listsReferrers }: Repository, digest: string): Exhibit {
    return exhibit(contents, digest, listsReferrers);
  }
}

const isSame = (a: SignatureKind, b: SignatureKind): boolean => a.hand === b.hand && a.format === b.format;

/** What our hands have signed in this way, with all annotations. */
function wanted({ valid }: Opinion, kind: SignatureKind, signing: Signing | undefined): Valid[] {
  const annotations = Object.entries(signing?.annotations ?? {});
  return valid.filter(
    each => isSame(each.kind, kind) && annotations.every(([name, value]) => each.annotations[name] === value),
  );
}

const because = ({ faults }: Opinion): string => faults.map(fault => `; ${fault}`).join('');
