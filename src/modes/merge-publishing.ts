import { oneLine } from '../errors.ts';
import type { RetryPolicy } from '../http/retry.ts';
import type { MergeInputs } from '../inputs.ts';
import { moveTags, type TagReport } from '../publish/move-tags.ts';
import type { Publication, Target } from '../publish/publication.ts';
import { bringChildren, confirmIndex, keepChildren, pushIndex } from '../publish/push.ts';
import type { Connect } from '../publish/read-builds.ts';
import type { SigningReport } from '../publish/sign.ts';
import { tagsToMove } from '../publish/tag-decisions.ts';
import {
  listTags,
  readTags,
  refuseImmutable,
  type TagOptions,
  type TagStates,
  type TagTarget,
  uselessPatterns,
} from '../publish/tags.ts';
import type { SignedAs } from '../report/verify-commands.ts';
import type { Runner } from '../runner/actions.ts';
import type { Signing } from './merge-signing.ts';

/** What publishing takes of the merge. */
export interface PublishingContext {
  readonly inputs: MergeInputs;
  readonly runner: Runner;
  readonly retry: RetryPolicy;
  readonly connect: Connect;
}

/** What was signed, where it was to be, and what became of the tags. */
export interface Published {
  readonly signing: (SigningReport & SignedAs) | undefined;
  readonly tags: TagReport;
}

/** A look at the tags that is older than this is taken anew before they move. Milliseconds. */
const FRESH = 1000;

/** What the tags point at, as far as that was seen a moment ago. */
class Look {
  readonly #read: () => Promise<TagStates>;
  #taken: { readonly states: TagStates; readonly at: number } | undefined;

  constructor(read: () => Promise<TagStates>) {
    this.#read = read;
  }

  async take(): Promise<TagStates> {
    const at = performance.now();
    const states = await this.#read();
    this.#taken = { states, at };
    return states;
  }

  /** The last look where it is fresh, else a new one. */
  async fresh(): Promise<TagStates> {
    if (this.#taken !== undefined && performance.now() - this.#taken.at < FRESH) return this.#taken.states;
    return this.take();
  }
}

/** One image in one of its repositories. */
interface Place {
  readonly publication: Publication;
  readonly target: Target;
}

/**
 * Publishes images that are assembled, in the order that makes it safe: everywhere by digest, everywhere signed and
 * verified, and only then the first tag.
 * @param signing undefined: nothing is signed
 */
export async function pushSignAndTag(
  context: PublishingContext,
  publications: readonly Publication[],
  signing: Signing | undefined,
): Promise<Published> {
  const { inputs, runner, retry } = context;
  const options = {
    policy: inputs.tagPolicy,
    immutable: inputs.immutableTags,
    platformSuffix: inputs.platformTagSuffix,
    retry,
  };
  const tags = listTags(publications, options);
  tellUseless(uselessPatterns(tags, options), runner);
  tellUntagged(publications, runner);
  const isSigned = signing !== undefined;
  // What must not move ends the merge before anything is pushed; and where a tag shows the image, it is there.
  const before: TagStates = isSigned || options.immutable.length > 0 ? await readTags(tags) : new Map();
  refuseImmutable(tags, before, options);

  const places = publications.flatMap(publication =>
    publication.targets.map(target => ({ publication, target })),
  );
  const [hands = []] = await Promise.all([signing?.identify(), bringAll(places, context)]);
  // Where nothing comes between the index and its tags, they are looked at while it is pushed; else with the last look at
  // the signatures.
  const look = new Look(() => readTags(tags));
  const mayLook = inputs.keepTags === undefined;
  const pushing = pushAll(places, before, runner);
  const [, , signatures] = await Promise.all([
    isSigned || !mayLook ? undefined : look.take(),
    pushing,
    // Signatures are made of digests: the children's need not wait for the index.
    signing?.prepare(publications, hands, pushing),
  ]);
  const attached = await signatures?.attach();
  await Promise.all([
    isSigned && mayLook ? look.take() : undefined,
    attached?.confirm(),
    isSigned ? confirmAll(places, before) : undefined,
  ]);
  const signed = signatures && signing?.tell(signatures);
  await keepAll(places, context);

  // Whatever came before took its time: another run may have moved a tag meanwhile.
  const now = await look.fresh();
  refuseImmutable(tags, now, options);
  if (!isSigned) await confirmAll(untold(places, tags, now, options), now);
  return { signing: signed, tags: await moveTags(tags, now, options) };
}

function tellUseless(patterns: readonly string[], { notice }: Runner): void {
  if (patterns.length === 0) return;
  const names = patterns.map(pattern => `"${oneLine(pattern)}"`).join(', ');
  notice(
    `No tag of this merge matches ${names} of "immutable-tags". A pattern stands for the whole tag, without the name of the image: v*.*.* matches v1.2.3, and not 1.2.3.`,
  );
}

/** Whoever names a registry and forgets its tags would otherwise not hear of it. */
function tellUntagged(publications: readonly Publication[], { warning }: Runner): void {
  for (const { component, targets } of publications) {
    if (targets.every(({ tags }) => tags.length === 0)) continue;
    for (const { client, tags } of targets) {
      if (tags.length === 0)
        warning(`${component}: no tag is for ${client.name}, which gets the image by its digest only.`);
    }
  }
}

async function bringAll(places: readonly Place[], { connect, runner }: PublishingContext): Promise<void> {
  const bringing = { connect, onProgress: runner.info };
  await Promise.all(places.map(({ publication, target }) => bringChildren(publication, target, bringing)));
}

async function pushAll(places: readonly Place[], shown: TagStates, { info }: Runner): Promise<void> {
  await Promise.all(places.map(({ publication, target }) => pushIndex(publication, target, shown)));
  const names = places.map(({ target }) => target.client.name);
  info(`Pushed by digest to ${[...new Set(names)].join(', ')}.`);
}

async function confirmAll(places: readonly Place[], shown: TagStates): Promise<void> {
  await Promise.all(places.map(({ publication, target }) => confirmIndex(publication, target, shown)));
}

async function keepAll(
  places: readonly Place[],
  { inputs, retry, runner }: PublishingContext,
): Promise<void> {
  const { keepTags: template } = inputs;
  if (template === undefined) return;
  const keeping = { template, retry };
  await Promise.all(places.map(({ publication, target }) => keepChildren(publication, target, keeping)));
  runner.info(`Gave every manifest a tag of its own, by "keep-tags": ${oneLine(template)}.`);
}

/** A tag that moves is given the bytes of the index once more, and is read back: where none does, nothing tells of them. */
function untold(
  places: readonly Place[],
  tags: readonly TagTarget[],
  states: TagStates,
  options: TagOptions,
): readonly Place[] {
  const moving = tagsToMove(tags, states, options);
  return places.filter(({ target }) => !moving.some(({ client }) => client === target.client));
}
