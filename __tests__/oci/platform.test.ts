import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import {
  comparePlatforms,
  formatPlatform,
  normalisePlatform,
  parsePlatform,
  samePlatform,
} from '../../src/oci/platform.ts';
import { anyText } from '../servers/arbitraries.ts';
import { failureOf } from '../servers/clients.ts';

const part = fc.stringMatching(/^[a-z0-9_]{1,8}$/);
const special = fc.constantFrom(
  'constructor',
  '__proto__',
  'x86-64',
  'x86_64',
  'arm',
  'armhf',
  'linux',
  'v8',
  'v8.0',
  '8',
  '9.0',
  '',
);
const anyPart = fc.oneof(part, special);
const written = fc
  .tuple(anyPart, anyPart, fc.option(anyPart, { nil: undefined }))
  .map(parts => parts.filter(value => value !== undefined).join('/'));

describe('a platform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['linux/x86-64', 'linux/amd64'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
    ['linux/amd64/3', 'linux/amd64/v3'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm64/8', 'linux/arm64'],
    ['linux/arm64/v8.0', 'linux/arm64'],
    ['linux/arm64/v9', 'linux/arm64/v9'],
    ['linux/arm64/9.0', 'linux/arm64/v9'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/arm/v5', 'linux/arm/v5'],
    ['linux/arm/7', 'linux/arm/v7'],
    ['linux/i386', 'linux/386'],
    ['macos/arm64', 'darwin/arm64'],
    ['windows/amd64', 'windows/amd64'],
    ['Linux/ARM64', 'linux/arm64'],
    [' linux/s390x ', 'linux/s390x'],
    ['arm64', 'linux/arm64'],
    ['aarch64', 'linux/arm64'],
    ['x86-64', 'linux/amd64'],
  ])('written as %j is %s', (text, expected) => {
    expect(formatPlatform(parsePlatform(text))).toBe(expected);
  });

  it.each([
    '',
    'linux',
    'sparc',
    'linux/',
    '/amd64',
    'linux/amd64/',
    'linux/arm/',
    'linux/arm/v7.0',
    'linux//v7',
    'x86-64/amd64',
    'linux/amd64/v1/x',
    'amd64/linux',
    'linux amd64',
    'li-nux/amd64',
    'linux/a.b',
    'linux,amd64',
  ])('%j is refused', async text => {
    const error = await failureOf(() => parsePlatform(text));
    expect(error.code).toBe('invalid-platform');
    expect(error.hint).toContain('linux/arm/v7');
  });

  it.each([
    ['linux/amd46', 'amd64'],
    ['linux/arm46', 'arm64'],
    ['linux/aarh64', 'aarch64'],
    ['windows/amd6', 'amd64'],
    ['macos/arn64', 'arm64'],
    ['linux/ppc64el', 'ppc64le'],
    ['amd46', 'amd64'],
  ])('%j has an architecture that nobody knows, and the nearest one is named', async (text, nearest) => {
    const error = await failureOf(() => parsePlatform(text));
    expect(error.code).toBe('invalid-platform');
    expect(error.message).toContain(`is no known architecture (did you mean ${nearest}?)`);
  });

  it.each(['linux/quantum', 'linux/constructor', 'linux/x', `linux/${'a'.repeat(1000)}`])(
    '%j has an architecture that is near to none',
    async text => {
      const error = await failureOf(() => parsePlatform(text));
      expect(error.message).toContain('is no known architecture.');
    },
  );

  it.each(['linux/sparc64', 'aix/ppc64', 'linux/riscv', 'zos/s390x', 'wasip1/wasm', 'wasi/wasm', 'own/chip'])(
    '%j stays, as Go knows its architecture, or does not know its system',
    text => {
      expect(formatPlatform(parsePlatform(text))).toBe(text);
    },
  );

  it.each([
    ['arm/v7', 'Write linux/arm/v7.'],
    ['arm64/v8', 'Write linux/arm64/v8.'],
    ['arm/6', 'Write linux/arm/6.'],
  ])('%j lacks its system, which the hint adds', async (text, hint) => {
    expect((await failureOf(() => parsePlatform(text))).hint).toBe(hint);
  });

  it('has one way to be written, and reads back from it', () => {
    fc.assert(
      fc.property(written, text => {
        let platform: ReturnType<typeof parsePlatform>;
        try {
          platform = parsePlatform(text);
        } catch (error) {
          expect((error as ManifoldError).code).toBe('invalid-platform');
          return;
        }
        expect(parsePlatform(formatPlatform(platform))).toEqual(platform);
        expect(normalisePlatform(platform)).toEqual(platform);
        // Letters, digits and underscores: record names separate the parts by hyphens.
        expect(formatPlatform(platform)).toMatch(/^[a-z0-9_]+\/[a-z0-9_]+(\/[a-z0-9_]+)?$/);
      }),
      { numRuns: 1000 },
    );
  });

  it('is parsed or refused with a ManifoldError in one short line, whatever it is', () => {
    const long = fc
      .constantFrom('a', '/', 'linux/', '\u0000', '\ud800', '::error::\n')
      .map(unit => unit.repeat(20_000));
    const inside = fc.tuple(fc.constantFrom('', 'linux/', 'linux/arm/'), fc.oneof(anyText, long));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          inside.map(parts => parts.join('')),
        ),
        text => {
          try {
            expect(formatPlatform(parsePlatform(text))).toMatch(/^[a-z0-9_/]+$/);
          } catch (error) {
            expect(error).toBeInstanceOf(ManifoldError);
            const { message } = error as ManifoldError;
            expect(message.length).toBeLessThan(600);
            expect(message).not.toMatch(/\p{Cc}/u);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is the same for arm64 and arm64/v8, and another for each variant of arm', () => {
    const same = (a: string, b: string) => samePlatform(parsePlatform(a), parsePlatform(b));
    expect(same('linux/arm64', 'linux/arm64/v8')).toBe(true);
    expect(same('linux/arm64', 'linux/arm64/v9')).toBe(false);
    expect(same('linux/arm/v7', 'linux/arm/v6')).toBe(false);
    expect(same('linux/amd64', 'linux/amd64/v2')).toBe(false);
    expect(same('linux/amd64', 'windows/amd64')).toBe(false);
  });

  it.each(['constructor/amd64', '__proto__/amd64', 'other/constructor'])('%j is only a name', text => {
    expect(formatPlatform(parsePlatform(text))).toBe(text);
  });

  it('of a config is the same as that of a label written differently', () => {
    const config = { os: 'linux', architecture: 'arm64', variant: 'v8' };
    expect(samePlatform(normalisePlatform(config), parsePlatform('linux/aarch64'))).toBe(true);
    expect(samePlatform(normalisePlatform(config), parsePlatform('linux/arm'))).toBe(false);
    expect(normalisePlatform({ os: 'linux', architecture: 'amd64', variant: '' })).toEqual(
      parsePlatform('amd64'),
    );
  });

  it('has its place in one order, the two that nearly everybody runs first', () => {
    const texts = ['linux/s390x', 'linux/arm/v7', 'linux/arm64', 'darwin/arm64', 'linux/amd64', 'linux/386'];
    const sorted = texts.map(parsePlatform).sort(comparePlatforms).map(formatPlatform);
    const rest = ['darwin/arm64', 'linux/386', 'linux/arm/v7', 'linux/s390x'];
    expect(sorted).toEqual(['linux/amd64', 'linux/arm64', ...rest]);
  });
});
