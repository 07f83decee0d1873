import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapePattern, Pattern } from '../../src/verify/pattern.ts';
import { anyText } from '../servers/arbitraries.ts';
import { failureOf } from '../servers/clients.ts';

const pattern = (expression: string) => new Pattern(expression, 'certificate-identity-regexp');

describe('an expression', () => {
  it.each([
    ['acme/app', 'acme/app', true],
    ['acme/app', 'acme/app2', false],
    ['acme/app', 'evil/acme/app', false],
    ['a|b', 'b', true],
    ['a|b', 'ab', false],
    ['a|b', 'xb', false],
    ['^acme/.*$', 'acme/app', true],
    ['acme/.*', 'acme/app\nevil', false],
    ['acme', 'acme\n', false],
    ['acme', 'ACME', false],
    ['', '', true],
    ['', 'a', false],
  ])('%j matches the whole of a text: %j is %s', (expression, text, expected) => {
    expect(pattern(expression).matches(text)).toBe(expected);
  });

  it.each(['(', 'a)|(?:b', '[', '\\A', '(?i)acme', '[[:alpha:]]+', 'a{2,1}', '\\-'])(
    '%j is none',
    async expression => {
      const error = await failureOf(() => pattern(expression));
      expect(error).toMatchObject({ code: 'invalid-input' });
      expect(error.message).toContain('certificate-identity-regexp');
      expect(error.hint).toContain('JavaScript');
    },
  );

  it('that would take for ever is given up, and accepts nothing', async () => {
    const endless = pattern('(a+)+b');
    const text = `${'a'.repeat(60)}c`;
    const error = await failureOf(() => endless.matches(text));
    expect(error).toMatchObject({
      code: 'invalid-input',
      hint: expect.stringContaining('Nothing was accepted'),
    });
    // For a message alone nobody waits in vain twice, and nothing is thrown.
    expect(endless.matchesPart(text)).toBe(false);
  });

  it('is held against texts of the length of a name only', () => {
    expect(pattern('a*').matches('a'.repeat(2048))).toBe(true);
    expect(pattern('a*').matches('a'.repeat(2049))).toBe(false);
  });

  it('knows what would match a part', () => {
    expect(pattern('acme').matchesPart('https://acme.example')).toBe(true);
    expect(pattern('acme').matchesPart('https://example')).toBe(false);
  });

  it('may be as long as any name', async () => {
    expect((await failureOf(() => pattern('a'.repeat(3000)))).code).toBe('invalid-input');
  });
});

it('any text can be written as an expression that matches it alone', () => {
  const printable = anyText.filter(text => text.length < 100 && text.isWellFormed());
  fc.assert(
    fc.property(printable, printable, (text, other) => {
      const exact = pattern(escapePattern(text));
      expect(exact.matches(text)).toBe(true);
      expect(exact.matches(other)).toBe(other === text);
      expect(exact.matches(`${text}\n`)).toBe(false);
    }),
    { numRuns: 300 },
  );
});
