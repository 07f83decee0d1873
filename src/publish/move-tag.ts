import { type ErrorCode, ManifoldError } from '../errors.ts';
import type { RetryPolicy } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { eventually } from './eventually.ts';
import { type Outcome, tagMoved } from './tag-failure.ts';
import type { TagTarget } from './tags.ts';

export interface MoveOptions {
  /** How long to look for what a registry took but does not show yet. */
  readonly retry: RetryPolicy;
  /** What the tag pointed at before; undefined for a new one. */
  readonly was: Digest | undefined;
  /** Why the tag is to stay at a third image, neither ours nor what it pointed at before; undefined when it is not. */
  readonly whyLeave: (shown: ManifestContent) => Promise<string | undefined>;
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
export async function moveTag(target: TagTarget, options: MoveOptions): Promise<Outcome> {
  try {
    await target.client.putManifest(target.content, target.tag, { justPushed: true });
  } catch (reason) {
    // An earlier try may have moved it, and only its answer was lost: the tag itself knows.
    const shown = await target.client.findManifest(target.tag).catch(() => undefined);
    if (shown?.digest === target.content.digest) return { state: 'moved' };
    const isRefusal = reason instanceof ManifoldError && REFUSALS.includes(reason.code);
    return { state: isRefusal ? 'refused' : 'unconfirmed', reason };
  }
  try {
    return await readBack(target, options);
  } catch (reason) {
    return { state: 'unconfirmed', reason };
  }
}

/** Looks until the tag shows our image, or one that another run has moved it on to. */
async function readBack(target: TagTarget, { retry, was, whyLeave }: MoveOptions): Promise<Outcome> {
  const { client, tag, name, content } = target;
  let shown: ManifestContent | undefined;
  const outcome = await eventually(retry, async (): Promise<Outcome | undefined> => {
    shown = await client.findManifest(tag);
    if (shown?.digest === content.digest) return { state: 'moved' };
    // A registry that lags shows what was there before, be it nothing.
    if (shown === undefined || shown.digest === was) return undefined;
    const reason = await whyLeave(shown);
    return reason === undefined ? undefined : { state: 'overtaken', reason };
  });
  if (outcome !== undefined) return outcome;
  throw tagMoved(name, content.digest, shown?.digest, CONCURRENT);
}

const CONCURRENT =
  'Another job may have moved it at the same time: let them run one after the other ("concurrency:" in the workflow).';
