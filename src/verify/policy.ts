import { oneLine } from '../errors.ts';
import { type CertifiedSignatory, nameOf, type Signatory } from '../sign/identity.ts';
import type { Pattern } from './pattern.ts';

/**
 * What a text must be: exactly this, or what an expression describes as a whole. One that the user did not write says what
 * it stands for: `a workflow of https://github.com/acme/app`.
 */
export type TextRule = { readonly exact: string } | { readonly pattern: Pattern; readonly meaning?: string };

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

/** In what a signatory is not whom a policy takes. */
export interface Mismatch {
  /** `kind`: a key, where an identity is asked for, or an identity where a key is. */
  readonly part: 'kind' | 'key' | 'identity' | 'issuer' | 'source-repository';
  /** A sentence without its full stop. */
  readonly words: string;
}

/**
 * Why a policy does not take a signature that is valid in itself.
 * @returns a sentence without its full stop; undefined: it takes it
 * @throws ManifoldError `invalid-input` when an expression takes too long
 */
export function objectionTo(signatory: Signatory, policy: Policy): string | undefined {
  return mismatchOf(signatory, policy)?.words;
}

/**
 * Holds who has made a valid signature against a policy.
 * @returns undefined: the policy takes him
 * @throws ManifoldError `invalid-input` when an expression takes too long
 */
export function mismatchOf(signatory: Signatory, policy: Policy): Mismatch | undefined {
  if (policy.kind === 'key') {
    if (signatory.kind !== 'key')
      return { part: 'kind', words: `it was made by ${oneLine(nameOf(signatory))}, and not with the key` };
    if (signatory.fingerprint === policy.fingerprint) return undefined;
    const words = `it was made with another key, whose fingerprint is ${signatory.fingerprint}`;
    return { part: 'key', words };
  }
  if (signatory.kind === 'key')
    return { part: 'kind', words: 'it was made with a key, and not by an identity that a certificate names' };
  return mismatchOfIdentity(signatory, policy);
}

function mismatchOfIdentity(
  { identity, claims }: CertifiedSignatory,
  policy: CertificatePolicy,
): Mismatch | undefined {
  if (!obeys(identity.name, policy.identity))
    return { part: 'identity', words: `its identity is ${comparison(identity.name, policy.identity)}` };
  if (!obeys(identity.issuer, policy.issuer))
    return { part: 'issuer', words: `its issuer is ${comparison(identity.issuer, policy.issuer)}` };
  const { sourceRepository: wanted } = policy;
  const source = claims?.sourceRepository;
  if (wanted === undefined || source === wanted) return undefined;
  const words =
    source === undefined
      ? `its certificate names no source repository, and ${oneLine(wanted)} is wanted`
      : `its source repository is ${comparison(source, { exact: wanted })}`;
  return { part: 'source-repository', words };
}

function obeys(text: string, rule: TextRule): boolean {
  return 'exact' in rule ? text === rule.exact : rule.pattern.matches(text);
}

/** What came, and what was wanted. */
function comparison(text: string, rule: TextRule): string {
  const came = oneLine(text);
  if ('exact' in rule) return `${came}, and ${oneLine(rule.exact)} is wanted`;
  const { pattern, meaning } = rule;
  if (meaning !== undefined) return `${came}, and ${meaning} is wanted`;
  const wanted = oneLine(pattern.source);
  return pattern.matchesPart(text)
    ? `${came}, of which the expression matches a part only, and the whole must match ${wanted}`
    : `${came}, and one that matches ${wanted} is wanted`;
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
