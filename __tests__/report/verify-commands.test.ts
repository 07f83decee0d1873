import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { type SignedAs, verifyCommands } from '../../src/report/verify-commands.ts';
import type { Signatory } from '../../src/sign/identity.ts';

const IDENTITY = {
  name: 'https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1',
  issuer: 'https://token.actions.githubusercontent.com',
};
const JOB: Signatory = { kind: 'certificate', identity: IDENTITY };
const KEY: Signatory = { kind: 'key', fingerprint: 'abc=' };

const SIGNED: SignedAs = {
  signatories: [JOB],
  formats: ['bundle'],
  trustedRoot: undefined,
  hasTimestampsOnly: false,
  isKeyLogged: false,
};

describe('the command that checks', () => {
  it('reads as people write it', () => {
    expect(verifyCommands('ghcr.io/acme/app@sha256:0', SIGNED)).toEqual([
      {
        title: 'cosign 2.6 or newer',
        command: [
          'cosign verify \\',
          `  --certificate-identity ${IDENTITY.name} \\`,
          `  --certificate-oidc-issuer ${IDENTITY.issuer} \\`,
          '  ghcr.io/acme/app@sha256:0',
        ].join('\n'),
      },
    ]);
  });

  it('is another one for cosign 2.6 where only a time stamp tells the time of a bundle', () => {
    const timeless = { ...SIGNED, trustedRoot: 'root.json', hasTimestampsOnly: true };
    const [newer, older] = verifyCommands('image', timeless);
    expect(newer?.title).toBe('cosign 3');
    expect(newer?.command).toContain('--trusted-root root.json');
    expect(newer?.command).not.toContain('--use-signed-timestamps');
    expect(older?.title).toBe('cosign 2.6');
    expect(older?.command).toContain('--trusted-root root.json');
    expect(older?.command).toContain('--use-signed-timestamps');
    // A legacy signature has its time from a log.
    expect(verifyCommands('image', { ...timeless, formats: ['legacy'] })).toHaveLength(1);
  });

  it('names a key where one has signed, and that it is in no log', () => {
    const [check] = verifyCommands('image', { ...SIGNED, signatories: [KEY] });
    expect(check?.title).toBe(
      'cosign 3 (cosign 2.6 asks the public Sigstore besides), with your public key in cosign.pub',
    );
    expect(check?.command).toBe(
      'cosign verify \\\n  --insecure-ignore-tlog \\\n  --key cosign.pub \\\n  image',
    );
    const own = { ...SIGNED, signatories: [KEY], trustedRoot: 'root.json', isKeyLogged: true };
    expect(verifyCommands('image', own).map(({ command }) => command)).toEqual([
      'cosign verify \\\n  --trusted-root root.json \\\n  --key cosign.pub \\\n  image',
    ]);
  });

  it.each([
    [['legacy'], undefined, 'cosign 2 or newer'],
    [['bundle', 'legacy'], undefined, 'cosign 2 or newer'],
    // Older ones know no trusted root.
    [['legacy'], 'root.json', 'cosign 2.6 or newer'],
    [['bundle', 'legacy'], 'root.json', 'cosign 2.6 or newer'],
  ] as const)('says who understands it: %j with the root %s', (formats, trustedRoot, title) => {
    expect(verifyCommands('image', { ...SIGNED, formats, trustedRoot })[0]?.title).toBe(title);
  });

  it('names the caller of a reusable workflow, which has one name for all who call it', () => {
    const called = (sourceRepository: string): string | undefined =>
      verifyCommands('image', {
        ...SIGNED,
        signatories: [{ kind: 'certificate', identity: IDENTITY, claims: { sourceRepository } }],
      })[0]?.command;
    expect(called('https://github.com/other/repo')).toContain(
      '--certificate-github-workflow-repository other/repo \\\n',
    );
    expect(called('https://github.com/acme/app')).not.toContain('workflow-repository');
    expect(called('https://github.com/acme/ap')).toContain(
      '--certificate-github-workflow-repository acme/ap ',
    );
  });

  it('is one for each who signed', () => {
    const checks = verifyCommands('image', { ...SIGNED, signatories: [JOB, KEY] });
    expect(checks.map(({ command }) => /--(certificate-identity|key) /.exec(command)?.[1])).toEqual([
      'certificate-identity',
      'key',
    ]);
  });

  it.each([
    "it's",
    '$(touch x)',
    '`id`',
    'a b',
    '"',
    '\\',
    '*',
    '!',
    '~',
    '#',
    '&;|<>',
    '$HOME',
    '',
    'ä',
    "''",
  ])('hands a shell exactly the identity %j', name => {
    const signatories: Signatory[] = [{ kind: 'certificate', identity: { name, issuer: `${name}i` } }];
    const [check] = verifyCommands('image', { ...SIGNED, signatories, trustedRoot: `${name}r` });
    const command = check?.command.replace('cosign verify', `printf '%s\\n' cosign`) ?? '';
    const { stdout } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
    const args = ['--trusted-root', `${name}r`, '--certificate-identity', name];
    expect(stdout).toBe(['cosign', ...args, '--certificate-oidc-issuer', `${name}i`, 'image', ''].join('\n'));
  });
});
