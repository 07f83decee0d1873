import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestOf, hexOf, isDigest, parseDigest, shortDigest } from '../../src/oci/digest.ts';
import { failureOf } from '../servers/clients.ts';

const HEX = 'a1'.repeat(32);

describe('a digest', () => {
  it('is computed over exactly the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        const expected = createHash('sha256').update(bytes).digest('hex');
        expect(digestOf(bytes)).toBe(`sha256:${expected}`);
        expect(hexOf(digestOf(bytes))).toBe(expected);
        expect(parseDigest(digestOf(bytes))).toBe(digestOf(bytes));
      }),
    );
  });

  it('of nothing is the well-known one', () => {
    const empty = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
    expect(digestOf(Buffer.alloc(0))).toBe(empty);
    expect(shortDigest(digestOf(Buffer.alloc(0)))).toBe('sha256:e3b0c44298fc');
  });

  it.each([
    '',
    'sha256:',
    HEX,
    `sha256:${HEX.slice(1)}`,
    `sha256:${HEX}0`,
    `sha256:${HEX.toUpperCase()}`,
    `SHA256:${HEX}`,
    `sha512:${HEX}${HEX}`,
    ` sha256:${HEX}`,
    `sha256:${HEX}\n`,
    `sha256:${'g'.repeat(64)}`,
  ])('is refused when it is not sha256 and 64 lower-case digits: %j', async text => {
    expect(isDigest(text)).toBe(false);
    const error = await failureOf(() => parseDigest(text));
    expect(error.code).toBe('invalid-digest');
    expect(error.hint).toContain('64');
  });
});
