import { oneLine } from '../errors.ts';
import { type CertifiedSignatory, nameOf, type Signatory } from '../sign/identity.ts';
import type { Pattern } from './pattern.ts';

/** What a text must be: exactly this, or what an expression describes as a whole. */
export type TextRule = { readonly exact: string } | { readonly pattern: Pattern };

/** Whose signatures count: somebody's whom a certificate names so. */
export interface CertificatePolicy {
  readonly kind: 'certificate';
  readonly identity: TextRule;
  readonly issuer: TextRule;
  /** The repository whose run it must have been, `https://github.com/acme/app`: of a reusable workflow, the caller's. */
  readonly sourceRepository: string | undefined;
}

/** Whose signatures count: whoever holds this key. */
export interface KeyPolicy {
  readonly kind: 'key';
  /** As in `KeySignatory`. */
  readonly fingerprint: string;
  /** How the user named it. */
  readonly name: string;
}

export type Policy = CertificatePolicy | KeyPolicy;

/**
 * Why a policy does not take a signature that is valid in itself.
 * @returns a sentence without its full stop; undefined: it takes it
 * @throws ManifoldError `invalid-input` when an expression takes too long
 */
export function objectionTo(signatory: Signatory, policy: Policy): string | undefined {
  if (policy.kind === 'key') {
    if (signatory.kind !== 'key') return `it was made by ${oneLine(nameOf(signatory))}, and not with the key`;
    if (signatory.fingerprint === policy.fingerprint) return undefined;
    return `it was made with another key, whose fingerprint is ${signatory.fingerprint}`;
  }
  if (signatory.kind === 'key')
    return 'it was made with a key, and not by an identity that a certificate names';
  return objectionToIdentity(signatory, policy);
}

function objectionToIdentity(
  { identity, claims }: CertifiedSignatory,
  policy: CertificatePolicy,
): string | undefined {
  if (!obeys(identity.name, policy.identity))
    return `its identity is ${oneLine(identity.name)}${forgotten(identity.name, policy.identity)}`;
  if (!obeys(identity.issuer, policy.issuer))
    return `its issuer is ${oneLine(identity.issuer)}${forgotten(identity.issuer, policy.issuer)}`;
  const { sourceRepository } = policy;
  if (sourceRepository === undefined || claims?.sourceRepository === sourceRepository) return undefined;
  return claims?.sourceRepository === undefined
    ? 'its certificate names no source repository'
    : `its source repository is ${oneLine(claims.sourceRepository)}`;
}

function obeys(text: string, rule: TextRule): boolean {
  return 'exact' in rule ? text === rule.exact : rule.pattern.matches(text);
}

function forgotten(text: string, rule: TextRule): string {
  if ('exact' in rule || !rule.pattern.matchesPart(text)) return '';
  return ', of which the expression matches a part only, and the whole is wanted';
}

/** A policy in words, each as a name and what it is. */
export function describePolicy(policy: Policy): [name: string, value: string][] {
  if (policy.kind === 'key') return [['key', `${policy.name} (SHA-256 ${policy.fingerprint})`]];
  const { identity, issuer, sourceRepository } = policy;
  return [
    ['identity', describeRule(identity)],
    ['issuer', describeRule(issuer)],
    ...(sourceRepository === undefined ? [] : [['source repository', sourceRepository] as [string, string]]),
  ];
}

/** An expression is shown with the anchors that were put around it. */
function describeRule(rule: TextRule): string {
  return 'exact' in rule ? rule.exact : `matches ${rule.pattern.source}`;
}
