import type { TestSigstore } from '../../__tests__/servers/sigstore.ts';
import type { Fault } from './fault.ts';
import { type Signing, USUAL_LIFETIME } from './signing.ts';

/** How many certificates have been asked for. */
export const certificatesOf = ({ log }: TestSigstore): number =>
  log.filter(path => path === '/api/v2/signingCert').length;

/** Whether a certificate may run out while a merge is under way. */
export const isShortLived = (signing: Signing | undefined): boolean =>
  signing !== undefined && signing.lifetime < USUAL_LIFETIME;

/**
 * One certificate is enough for all that a merge signs, while it is good; it is asked for again where the answer was lost.
 * @param count so many were asked for
 * @param met by the merge
 */
export function certificatesTooMany(
  signing: Signing | undefined,
  count: number,
  met: readonly Fault[],
): string[] {
  const most = signing?.hands.includes('keyless') ? 1 : 0;
  const isExcused = isShortLived(signing) || met.some(({ service }) => service === 'fulcio');
  return count > most && !isExcused ? [`it asked for ${count} certificates`] : [];
}

/** A log that is down for as long as a certificate is good leaves no time for any signature. */
export function codesOfTime(signing: Signing | undefined, met: readonly Fault[]): readonly string[] {
  const isLate = met.some(({ service }) => service === 'rekor' || service === 'tsa');
  return isShortLived(signing) && isLate ? ['signature-unverified'] : [];
}
