import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, ManifoldError } from '../errors.ts';
import type { RetryPolicy } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { eventually } from './eventually.ts';
import { type TagOutcome, tagMoved } from './tag-failure.ts';
import type { TagTarget } from './tags.ts';

export interface MoveOptions {
  /** How long to look for what a registry took but does not show yet. */
  readonly retry: RetryPolicy;
  /** What the tag pointed at before; undefined for a new one. */
  readonly was: Digest | undefined;
  /** Throws where a tag that shows this image must not be moved. */
  readonly requireMovable: (shown: ManifestContent) => void;
  /** Why the tag is to stay at a third image, neither ours nor what it pointed at before; undefined when it is not. */
  readonly whyStay: (shown: ManifestContent) => Promise<string | undefined>;
}

/** What a registry says when it means it; any other end of a request leaves open whether it took effect. */
const REFUSALS: readonly ErrorCode[] = [
  'registry-unauthorized',
  'registry-forbidden',
  'registry-not-found',
  'registry-refused',
  'tag-immutable',
];

/** Points one tag at its image, and reads it back. Never throws: what went wrong is part of the outcome. */
export function moveTag(target: TagTarget, options: MoveOptions): Promise<TagOutcome> {
  return new TagMove(target, options).make();
}

/** Who finds another image at each of so many looks, one after the other, finds no end. */
const MOST_LOOKS = 5;

/** What a look before another try has found: there is nothing more to send. */
class Settled extends Error {
  readonly outcome: TagOutcome;

  constructor(outcome: TagOutcome) {
    super(outcome.state);
    this.outcome = outcome;
  }
}

/** One tag on its way. */
class TagMove {
  readonly #target: TagTarget;
  readonly #options: MoveOptions;
  #was: Digest | undefined;
  #shown: ManifestContent | undefined;
  /** A third image at which the tag would have to stay, seen once: a registry that lags may show what is long gone. */
  #suspect: Digest | undefined;

  constructor(target: TagTarget, options: MoveOptions) {
    this.#target = target;
    this.#options = options;
    this.#was = options.was;
  }

  async make(): Promise<TagOutcome> {
    const { client, content, tag } = this.#target;
    try {
      const beforeRetry = (): Promise<void> => this.#lookAgain();
      await client.putManifest(content, tag, { justPushed: true, beforeRetry });
    } catch (reason) {
      return reason instanceof Settled ? reason.outcome : this.#outcomeOf(reason);
    }
    try {
      return await this.#readTagBack();
    } catch (reason) {
      return { state: 'unconfirmed', reason };
    }
  }

  async #outcomeOf(reason: unknown): Promise<TagOutcome> {
    const { client, content, tag } = this.#target;
    // An earlier try may have moved it, and only its answer was lost: the tag itself knows.
    const shown = await client.findManifest(tag).catch(() => undefined);
    if (shown?.digest === content.digest) return { state: 'moved' };
    const isRefusal = reason instanceof ManifoldError && REFUSALS.includes(reason.code);
    return { state: isRefusal ? 'refused' : 'unconfirmed', reason };
  }

  /**
   * A registry that is ill is asked for minutes, and meanwhile another run may have moved the tag: nothing is sent again on
   * the strength of an old look.
   */
  async #lookAgain(): Promise<void> {
    for (let looks = 1; ; looks++) {
      const outcome = await this.#look();
      if (outcome === undefined) break;
      if (outcome !== 'unsure') throw new Settled(outcome);
      if (looks === MOST_LOOKS) throw this.#elsewhere();
      await sleep(this.#options.retry.base);
    }
    if (this.#shown === undefined) return;
    if (this.#shown.digest !== this.#was) this.#options.requireMovable(this.#shown);
    this.#was = this.#shown.digest;
  }

  /** Looks until the tag shows our image, or one that another run has moved it on to. */
  async #readTagBack(): Promise<TagOutcome> {
    const outcome = await eventually(this.#options.retry, async () => {
      const seen = await this.#look();
      return seen === 'unsure' ? undefined : seen;
    });
    if (outcome !== undefined) return outcome;
    throw this.#elsewhere();
  }

  #elsewhere(): ManifoldError {
    const { name, content } = this.#target;
    return tagMoved(name, content.digest, this.#shown?.digest, CONCURRENT);
  }

  /** What the tag shows now; undefined for what was there before, be it nothing, and for what need not stay. */
  async #look(): Promise<TagOutcome | 'unsure' | undefined> {
    const { client, tag, content } = this.#target;
    const shown = await client.findManifest(tag);
    this.#shown = shown;
    if (shown?.digest === content.digest) return { state: 'moved' };
    if (shown === undefined || shown.digest === this.#was) return undefined;
    const reason = await this.#options.whyStay(shown);
    if (reason === undefined) return undefined;
    if (this.#suspect === shown.digest) return { state: 'overtaken', reason };
    this.#suspect = shown.digest;
    return 'unsure';
  }
}

const CONCURRENT =
  'Another job may have moved it at the same time: let them run one after the other ("concurrency:" in the workflow).';
