import { ManifoldError } from '../errors.ts';
import type { Visibility } from '../runner/run.ts';

/** What the user says of signing. */
export interface SigningWish {
  /** Undefined: nothing. */
  readonly sign: 'keyless' | 'none' | undefined;
  /** A Sigstore of the user's own is described, whose log is as private as that. */
  readonly hasOwnSigstore: boolean;
}

/**
 * Decides whether to sign where the user does not say. A public repository has nothing to hide. What the public Sigstore
 * logs of another one can never be taken back, so that nobody is led there by a default.
 * @param visibility undefined: the runner does not tell, and it counts as private
 * @throws ManifoldError `missing-input`
 */
export function decideSigning(
  { sign, hasOwnSigstore }: SigningWish,
  visibility: Visibility | undefined,
): 'keyless' | 'none' {
  if (sign !== undefined) return sign;
  if (hasOwnSigstore || visibility === 'public') return 'keyless';
  const why =
    visibility === undefined
      ? 'The runner does not tell whether this repository is public'
      : `This repository is ${visibility}`;
  throw new ManifoldError(
    'missing-input',
    `${why}, and the input "sign" is missing. A keyless signature makes the names of the repository and the workflow, and the commit, public for ever in Sigstore's transparency log.`,
    {
      hint: 'Say "sign: keyless" to accept that, or "sign: none"; or describe a Sigstore of your own by "trusted-root" and "signing-config". Nothing was pushed.',
    },
  );
}
