import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, oneLine } from '../errors.ts';
import { Patience, type RetryPolicy } from '../http/retry.ts';

/** How an upload whose client gives up early is made to go on. */
export interface Persistence {
  readonly retry: RetryPolicy;
  /** Told of each try that failed and will be repeated, one sentence. */
  readonly onRetry: (message: string) => void;
}

/**
 * Faults that may pass, by the words of @actions/artifact: it keeps the code of a broken connection nowhere but in its
 * message, and its own tries, which see neither a budget nor Retry-After, end with the last of these sentences.
 */
const PASSING = [
  /\b(?:ECONNRESET|ETIMEDOUT|ENOTFOUND|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|EPIPE|ECONNABORTED)\b/,
  /socket hang up|timed? ?out|upload progress stalled/i,
  /failed to make request after \d+ attempts/i,
];

/** Repeats what a client does until it is done, fails for good, or the budget is used up. @param doing for the log */
export async function persist<T>(
  doing: string,
  { retry, onRetry }: Persistence,
  work: () => Promise<T>,
): Promise<T> {
  const patience = new Patience(retry);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const reason = messageOf(error);
      const passes = PASSING.some(pattern => pattern.test(reason));
      const delay = passes ? patience.afterFailure() : undefined;
      if (delay === undefined) throw error;
      onRetry(`${doing}: ${oneLine(reason)}; trying again in ${(delay / 1000).toFixed(1)} s`);
      await sleep(delay);
    }
  }
}
