import { oneLine } from '../errors.ts';
import { nameOf, type Signatory } from '../sign/identity.ts';
import type { Demands } from './demands.ts';
import { mismatchOf, type Policy } from './policy.ts';
import { type AttestationFault, type ManifestReport, type Outcome, signaturesOf } from './report.ts';

/** Whose signatures are asked for, and by whose word. */
export type Believed = Pick<Demands, 'policy' | 'trustedRoot'>;

const MOST_REMEDIES = 3;

/**
 * What to do about a manifest without a signature that counts. Where it has some, the usual reason is that something else
 * was asked for than was done: whoever reads this decides whether it was right, so that each remedy says under which
 * condition it is one.
 * @returns a sentence without its full stop
 */
export function signatureRemedy(manifest: ManifestReport, isRootSigned: boolean, believed: Believed): string {
  const signatures = signaturesOf(manifest);
  const remedies = new Set(signatures.flatMap(signature => remedyFor(signature, believed) ?? []));
  if (remedies.size > 0) return [...remedies].slice(0, MOST_REMEDIES).join('; ');
  if (signatures.length > 0)
    return 'find out who has attached such a signature, and do not use the image before it was signed anew';
  if (isRootSigned)
    return 'sign what the index names, too ("cosign sign --recursive"), or say "scope: index" if its own signature is enough';
  return 'do not use it before it was published with a signature';
}

const GIVE_KEY = 'if it is signed with a key that you trust, give its public half by "key"';
const LEAVE_KEY_OUT =
  'if it is signed by a workflow, and not with a key, leave "key" out: whose signatures count then, the log tells';

/**
 * What to do about one signature, or signed attestation, that does not count.
 * @returns a sentence without its full stop; undefined: nothing that can be asked for would make it count
 */
export function remedyFor(
  { outcome, signatory }: { outcome: Outcome | AttestationFault; signatory: Signatory | undefined },
  { policy, trustedRoot }: Believed,
): string | undefined {
  if (outcome === 'wrong-identity') return signatory && signatoryRemedy(signatory, policy);
  if (outcome === 'untrusted' && policy.kind === 'certificate')
    // In the older format a key has no name. A certificate without one is of no authority that anybody trusts.
    return signatory === undefined || signatory.kind === 'key' ? GIVE_KEY : undefined;
  if (outcome === 'untrusted' && signatory?.kind === 'certificate' && trustedRoot === undefined)
    return LEAVE_KEY_OUT;
  if (outcome === 'no-log-entry' && policy.kind === 'key' && signatory?.kind === 'key')
    return 'leave "trusted-root" out, if signatures with this key are not logged: without it, the key alone counts';
  return undefined;
}

/** What to do where somebody has signed whom the policy does not take. */
function signatoryRemedy(signatory: Signatory, policy: Policy): string | undefined {
  switch (mismatchOf(signatory, policy)?.part) {
    case undefined:
      return undefined;
    case 'kind':
      return policy.kind === 'key' ? LEAVE_KEY_OUT : GIVE_KEY;
    case 'key':
      return 'if it is right that another key signs, give that one by "key"';
    case 'issuer':
      return 'if it is right that this issuer vouches for who signs, name it by "certificate-oidc-issuer"';
    case 'source-repository':
      return sourceRemedy(signatory);
    case 'identity':
      return identityRemedy(signatory, policy);
  }
}

function sourceRemedy(signatory: Signatory): string {
  return sourceOf(signatory) === undefined
    ? 'leave "source-repository" out, and name who may sign by "certificate-identity" and "certificate-oidc-issuer"'
    : 'if it is right that a run of that repository signs, name it by "source-repository"';
}

function identityRemedy(signatory: Signatory, policy: Policy): string {
  const named = 'if it is right that somebody else signs, name whom by "certificate-identity"';
  const source = sourceOf(signatory);
  // With an identity of the user's own, a source repository would only be one condition more.
  const isAssumed = policy.kind === 'certificate' && 'meaning' in policy.identity;
  // A certificate names the workflow that signs, and beside it the repository whose run that was.
  const isCalled = source !== undefined && !nameOf(signatory).startsWith(`${source}/`);
  if (!isAssumed || !isCalled) return named;
  const shown = oneLine(source);
  return `if it is right that a reusable workflow signs for ${shown}, say "source-repository: ${shown}"; ${named}`;
}

function sourceOf(signatory: Signatory): string | undefined {
  return signatory.kind === 'certificate' ? signatory.claims?.sourceRepository : undefined;
}
