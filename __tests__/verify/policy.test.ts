import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Signatory } from '../../src/sign/identity.ts';
import { describePolicy, objectionTo, type Policy } from '../../src/verify/policy.ts';
import { certificatePolicy, type Home, type IdentityWish } from '../../src/verify/wish.ts';
import { failureOf } from '../servers/clients.ts';
import { ISSUER } from '../servers/signatures.ts';
import { HOME } from './released.ts';

const NOTHING: IdentityWish = { identity: undefined, issuer: undefined, sourceRepository: undefined };
const policyOf = (wish: Partial<IdentityWish> = {}, home: Partial<Home> = {}): Policy =>
  certificatePolicy({ ...NOTHING, ...wish }, () => ({ ...HOME, ...home }));

const signatory = (name: string, issuer = ISSUER, sourceRepository?: string): Signatory => ({
  kind: 'certificate',
  identity: { name, issuer },
  claims: {
    sourceRepository,
    sourceRevision: undefined,
    sourceRef: undefined,
    buildConfig: undefined,
    run: undefined,
  },
});
const accepts = (policy: Policy, ...of: Parameters<typeof signatory>): boolean =>
  objectionTo(signatory(...of), policy) === undefined;

// Names as GitHub allows them, which hold signs that mean something in expressions.
const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,12}$/);
const repository = fc.tuple(name, name).map(parts => parts.join('/'));
const file = fc.stringMatching(/^[A-Za-z0-9._+() -]{1,12}\.ya?ml$/).map(text => text.replaceAll(' ', '_'));
const ref = fc.stringMatching(/^refs\/(?:heads|tags)\/[A-Za-z0-9._/@+#-]{1,20}$/);
const identityOf = (of: string, path: string, at: string): string =>
  `https://github.com/${of}/.github/workflows/${path}@${at}`;

describe('when nothing is said', () => {
  it('what ran for a pull request is not taken', () => {
    expect(accepts(policyOf({}), identityOf('acme/app', 'release.yml', 'refs/pull/7/merge'))).toBe(false);
  });

  it('every workflow of this repository at every branch and tag may sign', () => {
    fc.assert(
      fc.property(repository, file, ref, (of, path, at) => {
        expect(accepts(policyOf({}, { repository: of }), identityOf(of, path, at))).toBe(true);
      }),
    );
  });

  it('no workflow of another repository may, however alike their names are', () => {
    const alike = fc.tuple(
      repository,
      fc.constantFrom('prefix', 'suffix', 'owner', 'dot', 'case', 'nested', 'any'),
    );
    fc.assert(
      fc.property(alike, repository, file, ref, ([of, how], any, path, at) => {
        const other = {
          prefix: `x${of}`,
          suffix: `${of}x`,
          owner: `${of.split('/')[0]}x/${of.split('/')[1]}`,
          // A dot in a name must be a dot, and no sign that stands for any.
          dot: of.replace(/[.]/, 'x'),
          case: of === of.toUpperCase() ? of.toLowerCase() : of.toUpperCase(),
          nested: `${of}/${of}`,
          any,
        }[how];
        fc.pre(other !== of);
        expect(accepts(policyOf({}, { repository: of }), identityOf(other, path, at))).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  const GOOD = identityOf('acme/app', 'release.yml', 'refs/heads/main');
  it.each([
    [`x${GOOD}`],
    [` ${GOOD}`],
    [`${GOOD}\n`],
    [`${GOOD}\nhttps://evil.example`],
    [`https://evil.example\n${GOOD}`],
    [GOOD.replace('release.yml', 'a\nb.yml')],
    [GOOD.replace('/app/', '/app\n/')],
    [GOOD.replace('https:', 'http:')],
    [GOOD.replace('github.com', 'githubxcom')],
    [GOOD.replace('github.com', 'github.com.evil.example')],
    [GOOD.replace('/.github/', '/xgithub/')],
    [GOOD.replace('workflows/', 'workflows/inner/')],
    [GOOD.replace('@refs/heads/main', '')],
    [GOOD.replace('refs/heads/main', '')],
    ['https://evil.example/?https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main'],
    [''],
  ])('%j may not', text => {
    expect(accepts(policyOf(), GOOD)).toBe(true);
    expect(accepts(policyOf(), text)).toBe(false);
  });

  it.each([
    ['https://github.com', ISSUER],
    ['https://acme.ghe.com', 'https://token.actions.acme.ghe.com'],
    ['https://git.acme.example', 'https://git.acme.example/_services/token'],
    ['https://evilghe.com', 'https://evilghe.com/_services/token'],
    ['https://github.com.evil.example', 'https://github.com.evil.example/_services/token'],
  ])('the issuer is that of the server: %s', (server, issuer) => {
    const policy = policyOf({}, { server });
    const identity = `${server}/acme/app/.github/workflows/release.yml@refs/heads/main`;
    expect(accepts(policy, identity, issuer)).toBe(true);
    for (const other of [
      `${issuer}/acme`,
      `${issuer}/`,
      `${issuer}.evil.example`,
      'https://accounts.google.com',
    ])
      expect(accepts(policy, identity, other), other).toBe(false);
  });

  it('a server that is none of GitHub must be told its issuer', async () => {
    const gitea = { server: 'https://gitea.acme.example', isGitHub: false };
    const error = await failureOf(() => policyOf({}, gitea));
    expect(error).toMatchObject({
      code: 'missing-input',
      message: expect.stringContaining('certificate-oidc-issuer'),
    });
    expect(() => policyOf({ issuer: { exact: 'https://gitea.acme.example' } }, gitea)).not.toThrow();
  });

  it('all that was filled in is told, with its anchors', () => {
    expect(describePolicy(policyOf())).toEqual([
      [
        'identity',
        'matches ^(?:https://github\\.com/acme/app/\\.github/workflows/[^/@\\s]+@(?!refs/pull/)\\S+)$',
      ],
      ['issuer', ISSUER],
    ]);
  });
});

describe('what is said', () => {
  const GOOD = identityOf('acme/app', 'release.yml', 'refs/tags/v1');

  it('exactly is taken exactly', () => {
    fc.assert(
      fc.property(fc.string(), text => {
        const policy = policyOf({ identity: { exact: GOOD } });
        expect(accepts(policy, text)).toBe(text === GOOD);
        expect(accepts(policy, GOOD + text)).toBe(text === '');
        expect(accepts(policy, text + GOOD)).toBe(text === '');
        expect(accepts(policy, GOOD, ISSUER + text)).toBe(text === '');
      }),
    );
    expect(accepts(policyOf({ identity: { exact: 'a.c' } }), 'abc')).toBe(false);
  });

  it('as an expression must match the whole, and whoever forgot that hears of it', () => {
    const forgot = policyOf({ identity: { expression: 'https://github.com/acme/' } });
    expect(objectionTo(signatory(GOOD), forgot)).toContain('of which the expression matches a part only');
    expect(accepts(policyOf({ identity: { expression: 'https://github.com/acme/.*' } }), GOOD)).toBe(true);
    const issuer = policyOf({ identity: { exact: GOOD }, issuer: { expression: 'https://token\\..*' } });
    expect(accepts(issuer, GOOD, 'https://token.example')).toBe(true);
    expect(accepts(issuer, GOOD, 'x https://token.example')).toBe(false);
  });

  it('of a source repository ties any workflow of that server to it', () => {
    const called = identityOf('other/tools', 'publish.yml', 'refs/heads/main');
    for (const sourceRepository of [
      'acme/app',
      'https://github.com/acme/app',
      'https://github.com/acme/app/',
    ]) {
      const policy = policyOf({ sourceRepository });
      expect(accepts(policy, called, ISSUER, 'https://github.com/acme/app')).toBe(true);
      for (const other of [undefined, 'https://github.com/acme/app2', 'https://github.com/acme', 'acme/app'])
        expect(accepts(policy, called, ISSUER, other), other).toBe(false);
      expect(accepts(policy, 'somebody@acme.example', ISSUER, 'https://github.com/acme/app')).toBe(false);
      expect(accepts(policy, called, 'https://evil.example', 'https://github.com/acme/app')).toBe(false);
    }
  });

  it('of a source repository on another server speaks of that server', () => {
    const policy = policyOf({ sourceRepository: 'https://acme.ghe.com/acme/app' });
    const identity = 'https://acme.ghe.com/acme/tools/.github/workflows/publish.yml@refs/heads/main';
    expect(
      accepts(policy, identity, 'https://token.actions.acme.ghe.com', 'https://acme.ghe.com/acme/app'),
    ).toBe(true);
    expect(accepts(policy, identity, ISSUER, 'https://acme.ghe.com/acme/app')).toBe(false);
  });

  it.each([
    'acme',
    'a/b/c',
    'https://user:word@github.com/acme/app',
    'https://github.com',
    'ftp://x/a/b',
    '',
  ])('%j is no source repository', async sourceRepository => {
    expect((await failureOf(() => policyOf({ sourceRepository }))).code).toBe('invalid-input');
  });

  it('never lets a key pass for an identity, or another key for this one', () => {
    const key: Policy = { kind: 'key', fingerprint: 'abc', name: 'cosign.pub' };
    expect(objectionTo({ kind: 'key', fingerprint: 'abc' }, key)).toBeUndefined();
    expect(objectionTo({ kind: 'key', fingerprint: 'abd' }, key)).toContain('another key');
    expect(objectionTo(signatory(GOOD), key)).toContain('not with the key');
    expect(objectionTo({ kind: 'key', fingerprint: 'abc' }, policyOf())).toContain('with a key');
  });
});
