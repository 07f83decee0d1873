import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { type Platform, parsePlatform } from '../../src/oci/platform.ts';
import {
  formatTagEntry,
  keepTagOf,
  matchesPattern,
  parseTagEntry,
  parseTagPattern,
  platformTags,
  refuseEqualSuffixes,
  suffixOf,
  uniqueTagEntries,
} from '../../src/oci/tags.ts';
import { anyText } from '../servers/arbitraries.ts';
import { failureOf } from '../servers/clients.ts';

const HEX = '0123456789abcdef'.repeat(4);
const DIGEST: Digest = `sha256:${HEX}`;
const platforms = (...texts: string[]): Platform[] => texts.map(parsePlatform);
const images = (...texts: string[]) => platforms(...texts).map(platform => ({ platform }));

describe('an entry of a list of tags', () => {
  it.each([
    ['1.2.3', '1.2.3', undefined],
    [' latest ', 'latest', undefined],
    ['ghcr.io/acme/app:1.2.3', '1.2.3', 'ghcr.io/acme/app'],
    ['localhost:5000/app:1', '1', 'localhost:5000/app'],
    ['alpine:3', '3', 'docker.io/library/alpine'],
    ['GHCR.io/acme/app:V1', 'V1', 'ghcr.io/acme/app'],
    ['localhost', 'localhost', undefined],
  ])('%j is the tag %s', (text, tag, name) => {
    const entry = parseTagEntry(text);
    expect(entry.tag).toBe(tag);
    expect(formatTagEntry(entry)).toBe(name === undefined ? tag : `${name}:${tag}`);
  });

  it.each([
    ['', 'begins with'],
    ['-x', 'begins with'],
    ['a b', 'it holds'],
    ['a'.repeat(129), 'longer than 128'],
    [`ghcr.io/acme/app@${DIGEST}`, 'a digest cannot be moved'],
    [`ghcr.io/acme/app:1@${DIGEST}`, 'a digest cannot be moved'],
    ['ghcr.io/acme/app', 'names an image and no tag'],
    ['localhost:5000/app', 'names an image and no tag'],
    ['ghcr.io/acme/app:', 'is no tag'],
    [`ghcr.io/acme/app:${'a'.repeat(129)}`, 'longer than 128'],
    ['ghcr.io/Acme/app:1', 'capital letters'],
    [`sha256-${HEX}`, 'what refers to an image'],
    [`sha256-${HEX}.sig`, 'what refers to an image'],
    [`ghcr.io/acme/app:sha256-${HEX}`, 'what refers to an image'],
  ])('%j is refused with the rule that it breaks', async (text, rule) => {
    const error = await failureOf(() => parseTagEntry(text));
    expect(error.code).toBe('invalid-reference');
    expect(error.message).toContain(rule);
    expect(error.hint).toBeTruthy();
  });

  it.each([
    ['refs/tags/v1.2.3', 'full name of a Git reference', '"v1.2.3", is in github.ref_name'],
    ['refs/heads/main', 'full name of a Git reference', 'github.ref_name'],
    ['ghcr.io/acme/app:refs/tags/v1', 'full name of a Git reference', '"v1", is in github.ref_name'],
    ['{{version}}', 'tags know no placeholders', 'docker/metadata-action'],
    ['ghcr.io/acme/app:{{ sha }}', 'tags know no placeholders', 'docker/metadata-action'],
    ['https://ghcr.io/acme/app:1', 'it is an address', 'Leave out https://.'],
  ])('%j is what stands elsewhere, and the hint says what stands here', async (text, rule, hint) => {
    const error = await failureOf(() => parseTagEntry(text));
    expect(error.code).toBe('invalid-reference');
    expect(error.message).toContain(rule);
    expect(error.hint).toContain(hint);
  });

  it('comes out as it went in, or is refused with a ManifoldError, and lists of them have no doubles', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'ab1A.:/@-_ \n'), maxLength: 20 });
    const entry = fc.oneof(nearly, fc.string(), anyText, fc.constantFrom('1', 'ghcr.io/a/b:1', 'sha-1'));
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), texts => {
        const entries = texts.flatMap(text => {
          try {
            return [parseTagEntry(text)];
          } catch (error) {
            expect(error).toBeInstanceOf(ManifoldError);
            return [];
          }
        });
        for (const one of entries) expect(parseTagEntry(formatTagEntry(one))).toEqual(one);
        const names = uniqueTagEntries([...entries, ...entries]).map(formatTagEntry);
        expect(names).toEqual([...new Set(entries.map(formatTagEntry))]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the suffix of a platform', () => {
  it.each([
    ['-{{arch}}', 'linux/amd64', '-amd64'],
    ['-{{arch}}', 'linux/amd64/v3', '-amd64v3'],
    ['-{{arch}}', 'linux/arm64', '-arm64'],
    ['-{{arch}}', 'linux/arm64/v9', '-arm64v9'],
    ['-{{arch}}', 'linux/arm/v7', '-armv7'],
    ['-{{arch}}', 'linux/arm/v6', '-armv6'],
    ['-{{arch}}', 'linux/386', '-386'],
    ['-{{ os }}_{{arch}}', 'windows/amd64', '-windows_amd64'],
    ['.{{platform}}', 'linux/arm/v7', '.linux-arm-v7'],
    ['.{{platform}}', 'linux/aarch64', '.linux-arm64'],
    ['-plain', 'linux/arm64', '-plain'],
  ])('%j gives for %s %s', (template, platform, suffix) => {
    expect(suffixOf(template, parsePlatform(platform))).toBe(suffix);
  });

  it.each([
    ['-{{variant}}', '{{variant}}, which is no placeholder'],
    ['-{{ .Arch }}', '{{.Arch}}, which is no placeholder'],
    ['-{{constructor}}', '{{constructor}}, which is no placeholder'],
    ['-{{}}', '{{}}, which is no placeholder'],
    ['-{{digest}}', '{{digest}}, which is no placeholder'],
    ['-{{arch}', '"-{{arch}" for linux/amd64'],
    ['/{{arch}}', '"/amd64" for linux/amd64'],
    ['', '"" for linux/amd64'],
    ['+{{arch}}', '"+amd64" for linux/amd64'],
  ])('is refused where no tag could end so: %j', async (template, reason) => {
    const error = await failureOf(() => suffixOf(template, parsePlatform('linux/amd64')));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(reason);
    expect(error.hint).toContain('{{arch}}');
  });

  it('of two platforms may not be the same', async () => {
    const error = await failureOf(() =>
      refuseEqualSuffixes('-{{os}}', platforms('linux/amd64', 'windows/amd64', 'linux/arm64')),
    );
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('"-linux" for both linux/amd64 and linux/arm64');
    refuseEqualSuffixes('-{{arch}}', platforms('linux/arm/v6', 'linux/arm/v7', 'linux/arm64'));
  });

  it('makes a tag of each platform beside each tag', () => {
    const tags = platformTags(['1.2.3', 'latest'], '-{{arch}}', images('linux/amd64', 'linux/arm/v7'));
    expect(tags.map(({ tag }) => tag)).toEqual([
      '1.2.3-amd64',
      '1.2.3-armv7',
      'latest-amd64',
      'latest-armv7',
    ]);
    expect(tags[1]?.image.platform).toEqual({ os: 'linux', architecture: 'arm', variant: 'v7' });
  });

  it.each([
    ['equal suffixes', ['1'], '-x', 'for both linux/amd64 and own/xamd64'],
    ['a tag that was asked for itself', ['1', '1-amd64'], '-{{arch}}', '"1-amd64" of linux/amd64'],
    ['a tag of another platform', ['1', '1x'], '{{arch}}', '"1xamd64" of linux/amd64'],
    ['a tag that is too long', ['a'.repeat(125)], '-{{arch}}', 'longer than 128'],
  ])('makes no such tags with %s', async (_, tags, template, reason) => {
    const error = await failureOf(() => platformTags(tags, template, images('linux/amd64', 'own/xamd64')));
    expect(error.message).toContain(reason);
  });
});

describe('the tag that keeps a child', () => {
  it.each([
    ['keep-{{digest}}', undefined, `keep-${HEX}`],
    ['keep-{{short}}', undefined, 'keep-0123456789ab'],
    ['{{short}}-{{arch}}', 'linux/arm/v7', '0123456789ab-armv7'],
    ['{{platform}}.{{ short }}', 'linux/arm/v7', 'linux-arm-v7.0123456789ab'],
    ['{{platform}}-{{short}}', undefined, 'unknown-unknown-0123456789ab'],
  ])('%j on platform %s is %s', (template, platform, tag) => {
    expect(keepTagOf(template, DIGEST, platform === undefined ? undefined : parsePlatform(platform))).toBe(
      tag,
    );
  });

  it.each([
    ['keep-{{arch}}', 'invalid-input', 'names no digest'],
    ['keep', 'invalid-input', 'names no digest'],
    ['{{sha}}', 'invalid-input', '{{sha}}, which is no placeholder'],
    ['keep/{{short}}', 'invalid-reference', 'it holds "/"'],
    ['-{{short}}', 'invalid-reference', 'begins with'],
    ['{{digest}}{{digest}}x', 'invalid-reference', 'longer than 128'],
    ['sha256-{{digest}}', 'invalid-reference', 'what refers to an image'],
    ['sha256-{{digest}}.sig', 'invalid-reference', 'what refers to an image'],
  ])('%j is refused', async (template, code, reason) => {
    const error = await failureOf(() => keepTagOf(template, DIGEST));
    expect(error.code).toBe(code);
    expect(error.message).toContain(reason);
  });
});

describe('templates', () => {
  it('make a legal tag or a ManifoldError, whatever they are', () => {
    const nearly = fc
      .array(
        fc.constantFrom('{{', '}}', 'arch', 'short', 'digest', '-', '{', ' ', '__proto__', '\n', '{{short}}'),
      )
      .map(parts => parts.join(''));
    const hostile = fc.constantFrom('__proto__', 'constructor', 'a/b', '\u0000', '').map(architecture => ({
      os: 'linux',
      architecture,
    }));
    fc.assert(
      fc.property(fc.oneof(nearly, anyText), hostile, (template, platform) => {
        for (const make of [
          () => platformTags(['x'], template, [{ platform }])[0]?.tag,
          () => keepTagOf(template, DIGEST, platform),
        ]) {
          try {
            expect(make()).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/);
          } catch (error) {
            expect(error).toBeInstanceOf(ManifoldError);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a pattern', () => {
  it.each([
    ['1.2.3', '1.2.3', true],
    ['1.2.3', '1x2.3', false],
    ['1x2x3', '1.2.3', false],
    ['1.2.3', '*', true],
    ['', '*', true],
    ['', '', true],
    ['', '?', false],
    ['v1.2.3', 'v*.*.*', true],
    ['v1.2', 'v*.*.*', false],
    ['v1.2.3', '*.3', true],
    ['v1.2.33', '*.3', false],
    ['xv1', 'v*', false],
    ['v1x', 'v?', false],
    ['v1', 'v?', true],
    ['abab', '*ab', true],
    ['aabab', 'a*ab', true],
    ['a', 'a*', true],
    ['a', 'a**', true],
    ['a', 'a*?', false],
    ['ab', '?', false],
    ['latest', 'LATEST', false],
  ])('matches the whole tag or not: %j, %j: %s', (tag, pattern, expected) => {
    expect(matchesPattern(tag, pattern)).toBe(expected);
  });

  it('means what the expression means that is written by its rules', () => {
    const few = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 10 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 7 });
    fc.assert(
      fc.property(few, pattern, (tag, text) => {
        const expression = text.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.');
        expect(matchesPattern(tag, text)).toBe(new RegExp(`^${expression}$`).test(tag));
      }),
      { numRuns: 3000 },
    );
  });

  it('with many stars takes no more steps than both lengths allow', () => {
    // An expression that goes back to every star would not end before the sun does.
    expect(matchesPattern('a'.repeat(128), `${'a*'.repeat(5000)}b`)).toBe(false);
    expect(matchesPattern('a'.repeat(128), `${'*a'.repeat(100)}b`)).toBe(false);
  });

  it.each(['v*.*.*', '1.2.3', '*-alpine', '?', 'a_b'])('%j is one', text => {
    expect(parseTagPattern(text)).toBe(text);
  });

  it.each(['', 'v[0-9]+', '^v1$', 'v1 ', 'a/b', 'v1|v2', 'ä', 'v1\n'])(
    '%j is none, and would guard nothing',
    async text => {
      const error = await failureOf(() => parseTagPattern(text));
      expect(error.code).toBe('invalid-input');
      expect(error.hint).toContain('* stands for any characters');
    },
  );
});
