import { type ErrorCode, ManifoldError } from '../errors.ts';
import { LAG_BUDGET, type RetryPolicy } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { eventually } from './eventually.ts';
import { type Outcome, tagsFailed } from './tag-failure.ts';
import { decideMove, type MoveDecision, type Origin, originOf, type TagRank } from './tag-rules.ts';
import {
  annotationsOf,
  readTags,
  refuseImmutable,
  type TagOptions,
  type TagStates,
  type TagTarget,
} from './tags.ts';

/** A tag by its full name, and the component that asked for it. */
export type NamedTag = Pick<TagTarget, 'component' | 'name'>;

/** What became of the tags. */
export interface TagReport {
  /** They point at the image now. `was`: what they pointed at before; undefined for a new tag. */
  readonly set: readonly (NamedTag & {
    readonly was: Digest | undefined;
    readonly content: ManifestContent;
  })[];
  /** They stay where they were. */
  readonly kept: readonly (NamedTag & { readonly reason: string })[];
}

/** The order in which tags move, everywhere: who follows the last of them finds the others set. */
const RANKS: readonly TagRank[] = ['fixed', 'floating', 'latest'];

/**
 * Points tags at images that every registry holds already, and reads each back.
 * @param states what the tags point at now
 * @throws ManifoldError that names what was moved, what may have been, and what was not
 */
export async function moveTags(
  tags: readonly TagTarget[],
  states: TagStates,
  options: TagOptions,
): Promise<TagReport> {
  const report: { set: TagReport['set'][number][]; kept: TagReport['kept'][number][] } = {
    set: [],
    kept: [],
  };
  const outcomes = new Map<string, Outcome>();
  for (const [position, rank] of RANKS.entries()) {
    const ranked = tags.filter(tag => tag.rank === rank);
    const later = tags.filter(
      tag => RANKS.indexOf(tag.rank) > position && decide(tag, tags, states, options).move,
    );
    const failed = (): ManifoldError => {
      const wanted = tags.filter(tag => outcomes.has(tag.name) || later.includes(tag));
      return tagsFailed(
        wanted.map(({ name }) => name),
        outcomes,
      );
    };
    let current = states;
    // What went before took its time: somebody else may have moved these meanwhile.
    if (outcomes.size > 0 && ranked.length > 0) {
      try {
        current = await readTags(ranked);
        refuseImmutable(ranked, current, options);
      } catch (reason) {
        for (const { name } of ranked) outcomes.set(name, { state: 'refused', reason });
        throw failed();
      }
    }
    const moves: TagTarget[] = [];
    for (const tag of ranked) {
      const decision = decide(tag, tags, current, options);
      const isKept = !decision.move && decision.outcome === 'kept';
      if (isKept) report.kept.push({ component: tag.component, name: tag.name, reason: decision.reason });
      else {
        const { component, name, content } = tag;
        report.set.push({ component, name, content, was: current.get(name)?.digest });
      }
      if (decision.move) moves.push(tag);
    }
    await Promise.all(moves.map(async tag => outcomes.set(tag.name, await moveTag(tag, options.retry))));
    if ([...outcomes.values()].some(({ state }) => state !== 'moved')) throw failed();
  }
  const inOrder = (a: NamedTag, b: NamedTag): number => names.indexOf(a.name) - names.indexOf(b.name);
  const names = tags.map(({ name }) => name);
  return { set: report.set.sort(inOrder), kept: report.kept.sort(inOrder) };
}

/** A tag of a single platform stays where that of the whole image stays. */
function decide(
  target: TagTarget,
  all: readonly TagTarget[],
  states: TagStates,
  { policy }: TagOptions,
): MoveDecision {
  const leader = all.find(({ name }) => name === target.leader) ?? target;
  const decision = decideMove(policy, leader.origin, currentOrigin(states.get(leader.name)));
  if (leader === target || (!decision.move && decision.outcome === 'kept')) return decision;
  const ours = { ...target.origin, digest: target.content.digest };
  const rule = policy === 'never-move' ? policy : 'overwrite';
  return decideMove(rule, ours, currentOrigin(states.get(target.name)));
}

function currentOrigin(current: ManifestContent | undefined): Origin | 'absent' {
  return current === undefined ? 'absent' : originOf(annotationsOf(current), current.digest);
}

/** What a registry says when it means it; any other end of a request leaves open whether it took effect. */
const REFUSALS: readonly ErrorCode[] = [
  'registry-unauthorized',
  'registry-forbidden',
  'registry-not-found',
  'registry-refused',
  'tag-immutable',
];

async function moveTag(target: TagTarget, retry: RetryPolicy): Promise<Outcome> {
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
    await readBack(target, retry);
    return { state: 'moved' };
  } catch (reason) {
    return { state: 'unconfirmed', reason };
  }
}

async function readBack({ client, tag, name, content }: TagTarget, retry: RetryPolicy): Promise<void> {
  let shown: string | undefined;
  const patience = { ...retry, budget: Math.min(retry.budget, LAG_BUDGET) };
  const agrees = await eventually(patience, async () => {
    shown = (await client.findManifest(tag))?.digest;
    return shown === content.digest ? true : undefined;
  });
  if (agrees === true) return;
  const found = shown === undefined ? 'does not exist' : `points at ${shown}`;
  throw new ManifoldError(
    'tag-moved',
    `The registry took the tag for ${content.digest}, but ${name} ${found}.`,
    {
      hint: 'Another job may have moved it at the same time: let them run one after the other ("concurrency:" in the workflow).',
    },
  );
}
