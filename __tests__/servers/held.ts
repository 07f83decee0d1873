import type { Endpoint } from '../../lab/parts/http.ts';
import type { SeenRequest, TestRegistry } from './registry.ts';

/** Requests that have come and get no answer yet. */
export interface Held {
  /** The first of them is here. */
  readonly came: Promise<void>;
  /** From now on they are answered as usual. */
  letGo(): void;
}

/** Has a registry leave requests of one kind unanswered until the test lets them go. */
export function hold(registry: TestRegistry, isHeld: (request: SeenRequest) => boolean): Held {
  const [first, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  registry.on({
    answer: async request => {
      if (!isHeld(request)) return;
      first.resolve();
      await end.promise;
    },
  });
  return { came: first.promise, letGo: () => end.resolve() };
}

/** What is sent to a server one after the other, while everybody else in this process may send as much. */
const ROUNDS = 50;

/**
 * Gives everything in this process the turns that it needs to send what it has to send: whoever has sent nothing
 * afterwards is waiting for something.
 */
async function othersHaveSent({ url }: Endpoint): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) await (await fetch(`${url}/v2/`)).arrayBuffer();
}

/**
 * Lets several go, one after the other, and looks before each what has come that should not come before the last.
 * @param work what sends; where it fails, so does this
 */
export async function cameEarly(
  held: readonly Held[],
  work: Promise<unknown>,
  { server, look }: { server: Endpoint; look: () => readonly SeenRequest[] },
): Promise<string[]> {
  const early: string[] = [];
  for (const next of held) {
    await Promise.race([next.came, work]);
    await othersHaveSent(server);
    early.push(...look().map(({ method, path }) => `${method} ${path}`));
    next.letGo();
  }
  return early;
}
