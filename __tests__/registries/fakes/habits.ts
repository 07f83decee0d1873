import type { ServerResponse } from 'node:http';
import type { Right } from '../../../lab/parts/token-service.ts';
import { type Asked, type Contents, refuse, sha256 } from '../../servers/registry.ts';
import { covers } from './fake.ts';
import type { Storage } from './storage.ts';

/** One habit: answers what it is about, and leaves the rest. */
export type Habit = (asked: Asked, response: ServerResponse) => void;

/** The first of several habits that answers. */
export function inTurn(...habits: readonly (Habit | undefined)[]): Habit {
  return (asked, response) => {
    for (const habit of habits) {
      habit?.(asked, response);
      if (response.headersSent || response.destroyed) return;
    }
  };
}

export const saying =
  (status: number, code: string, message: string | ((asked: Asked) => string)): Habit =>
  (asked, response) =>
    refuse(response, status, code, typeof message === 'string' ? message : message(asked));

/** A tag or digest that names something new is unknown for so many looks. */
export function lagging(looks: number): Habit {
  const left = new WeakMap<Contents, Map<string, number>>();
  return ({ contents, kind, seen, reference }, response) => {
    const names = contents.tags.get(reference) ?? reference;
    if (kind !== 'manifests' || seen.method === 'PUT' || !contents.manifests.has(names)) return;
    const counts = left.get(contents) ?? new Map<string, number>();
    left.set(contents, counts);
    const key = `${reference} ${names}`;
    const more = counts.get(key) ?? looks;
    counts.set(key, more - 1);
    if (more > 0) refuse(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown');
  };
}

/** @param evenTheSame refuses a tag also when it would stay where it is */
export function immutableTags(pattern: RegExp | undefined, refusal: Habit, evenTheSame = false): Habit {
  return (asked, response) => {
    const { contents, kind, seen, reference } = asked;
    const old = contents.tags.get(reference);
    if (kind !== 'manifests' || seen.method !== 'PUT' || old === undefined || !pattern?.test(reference))
      return;
    if (evenTheSame || old !== sha256(seen.body)) refusal(asked, response);
  };
}

/** Sends who fetches a blob to the storage. */
export function storedIn(storage: Storage, status: 302 | 307): Habit {
  return ({ contents, kind, seen, reference }, response) => {
    const bytes = contents.blobs.get(reference);
    if (kind !== 'blobs' || seen.method !== 'GET' || bytes === undefined) return;
    response.writeHead(status, { location: storage.keep(reference, bytes) }).end();
  };
}

/** Refuses what is about a repository that is none of these; without a list there is every one. */
export function onlyThere(repositories: readonly string[] | undefined, refusal: Habit): Habit {
  return (asked, response) => {
    if (repositories?.includes(asked.name) === false) refusal(asked, response);
  };
}

/** For a registry whose login says nothing of rights: they are looked up with every request. */
export function within(rights: readonly Right[], refusal: Habit): Habit {
  return (asked, response) => {
    const { method } = asked.seen;
    const action = method === 'GET' || method === 'HEAD' ? 'pull' : 'push';
    if (!covers(rights, asked.name, action)) refusal(asked, response);
  };
}
