import { setTimeout as sleep } from 'node:timers/promises';
import { forLag, nextDelay, type RetryPolicy } from '../http/retry.ts';

/**
 * Looks until something is there, as registries show what they took with a delay: an answer that is not undefined, or
 * undefined once the budget is used up, or as much of it as what lags is waited for.
 */
export async function eventually<T>(
  policy: RetryPolicy,
  look: () => Promise<T | undefined>,
): Promise<T | undefined> {
  const patience = forLag(policy);
  const start = performance.now();
  for (let failures = 1; ; failures++) {
    const found = await look();
    if (found !== undefined) return found;
    const delay = nextDelay(patience, failures, performance.now() - start, undefined);
    if (delay === undefined) return undefined;
    await sleep(delay);
  }
}
