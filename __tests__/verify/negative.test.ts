import { describe } from 'vitest';
import { claim } from '../servers/certification.ts';
import { ISSUER, NAME, newFoundry } from '../servers/signatures.ts';
import { newKeys } from '../servers/x509.ts';
import { type By, KEYS, proveRows, type Row, WANTED } from './negative.ts';

/*
 * What `mode: verify` does not take, and what it says of it. Who has signed: here. What was changed: negative-content and
 * negative-witnesses. What of an image is signed: negative-images. What registries list: negative-listings, and what
 * strangers attach: negative-referrers. What a registry does to our own signatures before the tags move: guards/attached.
 */

const stranger = newFoundry();
/** Whole seconds, as certificates and logs tell them. */
const ago = (seconds: number): Date => new Date(Math.floor(Date.now() / 1000 - seconds) * 1000);
const told = (time: Date): string => time.toISOString().replace('.000Z', 'Z');

const WORKFLOW = '.github/workflows/release.yml@refs/tags/v1';
const nameIn = (repository: string): string => `https://github.com/${repository}/${WORKFLOW}`;

/** Signed by somebody whose certificate names him so, where another one is wanted. */
const named = (name: string, inputs: Row['inputs'] = {}, wanted: string = WANTED): Row => ({
  outcome: 'wrong-identity',
  by: ['identity'],
  making: { certified: { name } },
  inputs,
  says: `its identity is ${name}, and ${wanted} is wanted`,
});
const partly = (name: string, expression: string): Row => ({
  ...named(name, { 'certificate-identity-regexp': expression }),
  says: `its identity is ${name}, of which the expression matches a part only, and the whole must match ^(?:${expression})$`,
});

describe('a signature by the wrong identity', () => {
  const exactly = { 'certificate-identity': NAME };
  proveRows({
    'of another repository': named(nameIn('evil/app')),
    'of another repository with the same ending': named(nameIn('evil-acme/app')),
    'of another repository with the same beginning': named(nameIn('acme/app-evil')),
    'of another owner, whose repository holds our name': named(nameIn('evil/acme/app')),
    'that holds ours behind something': named(`https://evil.example/${NAME}`),
    'that holds ours before a line of its own': named(`${NAME} https://evil.example`),
    'that is the named one with a prefix': named(`x${NAME}`, exactly, NAME),
    'that is the named one with a suffix': named(`${NAME}0`, exactly, NAME),
    'that has another sign where the named one has a dot': named(
      NAME.replace('github.com', 'githubxcom'),
      exactly,
      NAME,
    ),
    'that has another sign where our server has a dot': named(NAME.replace('github.com', 'githubxcom')),
    'that would obey the name of our repository if that were an expression': {
      ...named(nameIn('acme/app'), {}, WANTED.replace('app', 'a.p')),
      env: { GITHUB_REPOSITORY: 'acme/a.p' },
      others: { certified: { name: nameIn('acme/a.p') } },
    },
    'that is no expression, although it is named as one': {
      ...named(NAME, { 'certificate-identity': '.+' }, '.+'),
      others: { certified: { name: '.+' } },
    },
    'with a prefix before what the expression describes': partly(
      `https://evil.example/${NAME}`,
      'https://github\\.com/acme/app/.*',
    ),
    'with a suffix behind what the expression describes': partly(
      `${NAME}.evil`,
      'https://github\\.com/acme/.*@refs/tags/v1',
    ),
    // Anchors bind closer than "|": "^a|b$" is whatever begins with a, or ends with b.
    'with a prefix before one of two that the expression describes': partly(
      `https://evil.example/${NAME}`,
      'https://other\\.example/x|https://github\\.com/acme/app/.*',
    ),
    'of a workflow of ours in a run of another repository': {
      outcome: 'wrong-identity',
      by: ['identity'],
      making: { certified: { extensions: [claim(12, 'https://github.com/acme/app-evil')] } },
      others: { certified: { extensions: [claim(12, 'https://github.com/acme/app')] } },
      inputs: { 'source-repository': 'acme/app' },
      says: 'its source repository is https://github.com/acme/app-evil, and https://github.com/acme/app is wanted',
    },
    'whose certificate names no repository, where one is asked for': {
      outcome: 'wrong-identity',
      by: ['identity'],
      others: { certified: { extensions: [claim(12, 'https://github.com/acme/app')] } },
      inputs: { 'source-repository': 'acme/app' },
      says: 'its certificate names no source repository, and https://github.com/acme/app is wanted',
    },
    'where a key is asked for': {
      outcome: 'wrong-identity',
      by: ['key'],
      making: { keys: undefined },
      says: `it was made by ${NAME}, and not with the key`,
    },
  });
});

describe('a signature by a key', () => {
  proveRows({
    'that is another one': {
      outcome: 'untrusted',
      by: ['key'],
      making: { keys: newKeys() },
      says: 'none of the keys that were given made it over this content',
    },
    'where an identity is asked for': {
      outcome: 'untrusted',
      by: ['identity'],
      making: { keys: KEYS },
      says: 'it is made with a key, and no key was given to check it by',
    },
  });
});

describe('a signature by the wrong issuer', () => {
  const issued = (issuer: string, inputs: Row['inputs'] = {}): Row => ({
    outcome: 'wrong-identity',
    by: ['identity'],
    making: { certified: { issuer } },
    inputs,
    says: `its issuer is ${issuer}, and ${ISSUER} is wanted`,
  });
  proveRows({
    'of another server': issued('https://token.actions.evil.example'),
    'that is ours with a prefix': issued(`x${ISSUER}`),
    'that is ours with a suffix': issued(`${ISSUER}/evil`),
    'that has another sign where ours has a dot': issued(ISSUER.replace('.com', 'xcom')),
    'of which the expression describes a part': {
      ...issued(`${ISSUER}.evil.example`, { 'certificate-oidc-issuer-regexp': 'https://.*\\.com' }),
      says: `its issuer is ${ISSUER}.evil.example, of which the expression matches a part only, and the whole must match ^(?:https://.*\\.com)$`,
    },
  });
});

describe('a certificate', () => {
  const by: readonly By[] = ['identity'];
  const [notBefore, notAfter] = [ago(1800), ago(1200)];
  const outside = (at: Date): Row => ({
    outcome: 'outside-validity',
    by,
    making: { certified: { notBefore, notAfter }, loggedAt: at },
    says: `its certificate was valid from ${told(notBefore)} until ${told(notAfter)}, and it was made at ${told(at)}`,
  });
  proveRows({
    'that had run out when it was used, as the log tells': outside(ago(1199)),
    'that was not valid yet when it was used, as the log tells': outside(ago(1801)),
    'that had run out when it was used, as the clock tells': {
      ...outside(ago(600)),
      formats: ['bundle'],
      making: { certified: { notBefore, notAfter }, logVersion: 2, stampedAt: ago(600) },
    },
    'of another root': {
      outcome: 'untrusted',
      by,
      foundry: stranger,
      says: 'no certificate authority of the trusted root vouches for its certificate',
    },
    'that no certificate log has seen': {
      outcome: 'untrusted',
      by,
      making: { certified: { unlogged: true } },
      says: 'no certificate log of the trusted root has seen its certificate',
    },
    'that names nobody': {
      outcome: 'untrusted',
      by,
      making: { certified: { name: undefined } },
      says: 'its certificate names no identity or no issuer',
    },
  });
});
