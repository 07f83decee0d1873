import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { chooseAuthority } from '../../src/sign/services.ts';
import { loadSigningConfig, loadTrustedRoot } from '../../src/sign/trust.ts';
import { failureOf, opened, temporaryFolder, transport } from '../servers/clients.ts';
import { startTuf } from '../servers/tuf.ts';

function file(text: string): string {
  const name = path.join(temporaryFolder(), 'file.json');
  writeFileSync(name, text);
  return name;
}

const load = {
  'trusted-root': (name: string) => loadTrustedRoot({ trustedRoot: name, signingConfig: undefined, env: {} }),
  'signing-config': (name: string) =>
    loadSigningConfig({ trustedRoot: undefined, signingConfig: name, env: {} }),
};

describe.each(['trusted-root', 'signing-config'] as const)('the file of the input %s', input => {
  it('that is not there is an error that names the input', async () => {
    const error = await failureOf(() => load[input](path.join(temporaryFolder(), 'absent.json')));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(`"${input}"`);
  });

  it.each(['', '{', 'null', '5', '[]', '"text"', '{"mediaType":5,"tlogs":5,"rekorTlogUrls":5}'])(
    'that holds %j is an error',
    async text => {
      const error = await failureOf(async () => {
        const loaded = await load[input](file(text));
        // What can be read although it says nothing names no service.
        return chooseAuthority(loaded as never, new Date());
      });
      expect(error.code).toBe('signing-config');
      expect(error.hint).toContain(`The input "${input}" takes the file that "cosign ${input} create"`);
    },
  );

  it('that holds something else is named, and nothing of it is shown', async () => {
    const name = file('-----BEGIN PRIVATE KEY-----\nsEcReT');
    const { message, cause } = await failureOf(() => load[input](name));
    expect(message).toContain(`"${name}" is no JSON.`);
    expect(`${message} ${String(cause)}`).not.toMatch(/BEGIN|sEcReT/);
  });
});

it.each([
  ['{"mediaType":"x"}', 'certificate authority'],
  ['{"certificateAuthorities":[{}]}', 'transparency log'],
])('a trusted root that trusts nobody is an error: %s', async (text, what) => {
  const name = file(text);
  const error = await failureOf(() => load['trusted-root'](name));
  expect(error.code).toBe('signing-config');
  expect(error.message).toBe(`The trusted root "${name}" names no ${what}.`);
  expect(error.hint).toContain('trusted-root');
});

describe('what comes from a TUF repository', () => {
  const kinds = [
    ['trusted_root.json', loadTrustedRoot, 'The trusted root'],
    ['signing_config.v0.2.json', loadSigningConfig, 'The signing config'],
  ] as const;

  it.each(kinds)('is called by its name, and no input is: %s', async (name, take, what) => {
    const tuf = await opened(startTuf({ [name]: '[1' }));
    const source = { trustedRoot: undefined, signingConfig: undefined, env: tuf.env, transport: transport() };
    const error = await failureOf(() => take(source));
    expect(error.code).toBe('signing-config');
    expect(error.message).toBe(`${what} ${name} of TUF_MIRROR is no JSON.`);
    expect(error.hint).toContain('TUF_MIRROR');
    expect(error.hint).not.toContain('The input');
  });
});

it('a signing config without services says in which file', async () => {
  const name = file('{}');
  const config = await load['signing-config'](name);
  const { message, hint } = await failureOf(() => chooseAuthority(config, new Date()));
  expect(message).toContain(`The signing config "${name}" gives no usable certificate authority`);
  expect(hint).toContain('"cosign signing-config create"');
});
