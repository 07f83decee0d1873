import { ManifoldError } from '../errors.ts';
import type { SigningHand, SigningInputs } from '../inputs.ts';
import type { Visibility } from '../runner/run.ts';

/**
 * Decides whether to sign where the user does not say. A public repository has nothing to hide. What the public Sigstore
 * logs of another one can never be taken back, so that nobody is led there by a default.
 * @param visibility undefined: the runner does not tell, and it counts as private
 * @returns who signs; empty: nobody
 * @throws ManifoldError `missing-input`
 */
export function decideSigning(
  { sign, trustedRoot }: Pick<SigningInputs, 'sign' | 'trustedRoot'>,
  visibility: Visibility | undefined,
): readonly SigningHand[] {
  if (sign !== undefined) return sign;
  // The log of a Sigstore of one's own is as private as that.
  if (trustedRoot !== undefined || visibility === 'public') return ['keyless'];
  const why =
    visibility === undefined
      ? 'The runner does not tell whether this repository is public'
      : `This repository is ${visibility}`;
  throw new ManifoldError(
    'missing-input',
    `${why}, and the input "sign" is missing. A keyless signature makes the names of the repository and the workflow, and the commit, public for ever in Sigstore's transparency log.`,
    {
      hint: [
        'Nothing was pushed. There are four ways on:',
        '  "sign: keyless" accepts that,',
        '  "trusted-root" and "signing-config" describe a Sigstore of your own,',
        '  "sign: key" with "key" signs by a key, and logs nothing,',
        '  "sign: none" does not sign.',
      ].join('\n'),
    },
  );
}
