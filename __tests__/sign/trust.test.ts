import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSigningConfig, loadTrustedRoot } from '../../src/sign/trust.ts';
import { failureOf, temporaryFolder } from '../servers/clients.ts';

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
        const { chooseAuthority } = await import('../../src/sign/services.ts');
        return chooseAuthority(loaded as never, new Date());
      });
      expect(error.code).toBe('signing-config');
    },
  );
});

it('a trusted root that trusts nobody is an error', async () => {
  const error = await failureOf(() => load['trusted-root'](file('{"mediaType":"x"}')));
  expect(error.code).toBe('signing-config');
  expect(error.hint).toContain('trusted-root');
});
