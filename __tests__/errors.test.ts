import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError, messageOf, oneLine } from '../src/errors.ts';
import { anyText } from './servers/arbitraries.ts';

describe('an error', () => {
  it('carries code, hint and cause', () => {
    const cause = new Error('underneath');
    const error = new ManifoldError('build-failed', 'it failed', { hint: 'mend it', cause });
    expect(error).toMatchObject({ name: 'ManifoldError', code: 'build-failed', hint: 'mend it', cause });
    expect(error).toBeInstanceOf(Error);
  });

  it('without cause has none', () => {
    expect('cause' in new ManifoldError('build-failed', 'it failed')).toBe(false);
  });

  it('gives the message of whatever was thrown', () => {
    expect(messageOf(new Error('text'))).toBe('text');
    expect(messageOf('text')).toBe('text');
    expect(messageOf(undefined)).toBe('undefined');
  });

  it('quotes foreign text as one line that can start no workflow command and no escape sequence', () => {
    expect(oneLine('a\n::set-output name=x::y\r\u001b[31mred')).toBe('a ::set-output name=x::y [31mred');
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 50 }), (text, limit) => {
        const quoted = oneLine(text, limit);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        expect(quoted).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
        expect(quoted.length).toBeLessThanOrEqual(limit + 1);
      }),
    );
  });
});
