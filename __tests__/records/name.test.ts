import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { parseRepository } from '../../src/oci/reference.ts';
import { formatRecordName, isRecordName, parseComponent, parseRecordName } from '../../src/records/name.ts';
import { failureOf } from '../servers/clients.ts';

const component = fc
  .oneof(
    fc.stringMatching(/^[a-z0-9]+(([._]|__|-+)[a-z0-9]+){0,3}$/),
    // What makes a name look like another one.
    fc.constantFrom(
      'app',
      'app-api',
      'app.api',
      'app.linux-arm64',
      'app.linux-arm64.1',
      'linux-amd64',
      'manifold-build.app',
      '1',
      'a.1',
    ),
  )
  .filter(text => text.length <= 100);
const platform = fc
  .oneof(
    fc.constantFrom(
      'linux/amd64',
      'linux/arm64',
      'linux/arm/v7',
      'linux/arm/v6',
      'linux/amd64/v3',
      'windows/amd64',
      'darwin/arm64',
      'linux/x86-64',
    ),
    fc
      .tuple(fc.stringMatching(/^[a-z0-9_]{1,6}$/), fc.stringMatching(/^[a-z0-9_]{1,6}$/))
      .map(parts => parts.join('/')),
  )
  .map(text => {
    try {
      return parsePlatform(text);
    } catch {
      return parsePlatform('linux/amd64');
    }
  });
const attempt = fc.integer({ min: 1, max: 999_999_999 });
const name = fc.record({ component, platform, attempt });

describe('the name of a record', () => {
  it('gives back exactly what went in, for every component, platform and attempt', () => {
    fc.assert(
      fc.property(name, read => {
        const written = formatRecordName(read);
        expect(isRecordName(written)).toBe(true);
        expect(parseRecordName(written)).toEqual(read);
        // Characters that an artifact's name may not have.
        expect(written).not.toMatch(/[":<>|*?\r\n\\/]/);
      }),
      { numRuns: 500 },
    );
  });

  it('is different for whatever is different', () => {
    fc.assert(
      fc.property(name, name, (one, other) => {
        fc.pre(JSON.stringify(one) !== JSON.stringify(other));
        expect(formatRecordName(one)).not.toBe(formatRecordName(other));
      }),
      { numRuns: 500 },
    );
  });

  it('keeps apart components of which one begins like another', () => {
    const names = ['app', 'app-api', 'app.api', 'app.linux-amd64.1'].map(text =>
      formatRecordName({ component: text, platform: parsePlatform('linux/amd64'), attempt: 1 }),
    );
    expect(names.map(text => parseRecordName(text).component)).toEqual([
      'app',
      'app-api',
      'app.api',
      'app.linux-amd64.1',
    ]);
  });

  it('looks as the documentation says', () => {
    const written = formatRecordName({
      component: 'app',
      platform: parsePlatform('linux/arm/v7'),
      attempt: 2,
    });
    expect(written).toBe('manifold-build.app.linux-arm-v7.2');
  });

  it.each([
    'digests-linux-amd64',
    'manifold-build',
    'manifold-plan.app.1',
    'MANIFOLD-BUILD.app.linux-amd64.1',
    'x-manifold-build.a.linux-amd64.1',
  ])('%j is none of ours', text => {
    expect(isRecordName(text)).toBe(false);
  });

  it.each([
    'manifold-build.',
    'manifold-build.app',
    'manifold-build.app.linux-amd64',
    'manifold-build.app.linux-amd64.0',
    'manifold-build.app.linux-amd64.01',
    'manifold-build.app.linux-amd64.-1',
    'manifold-build.app.linux-amd64.1.json',
    'manifold-build.app.linux.1',
    'manifold-build.app.linux-aarch64.1',
    'manifold-build.app.linux-arm64-v8.1',
    'manifold-build.app.linux-amd64-v1-x.1',
    'manifold-build..linux-amd64.1',
    'manifold-build.App.linux-amd64.1',
    'manifold-build.app-.linux-amd64.1',
    'manifold-build.app.linux-amd64.1\n',
    'manifold-build.app.linux-amd64.1234567890',
  ])('%j begins like ours and is refused', async text => {
    const error = await failureOf(() => parseRecordName(text));
    expect(error.code).toBe('invalid-record');
  });

  it('is parsed or refused with a ManifoldError, and never normalised on the way', () => {
    const nearly = fc
      .string({ unit: fc.constantFrom(...'ab1.-_/A'), maxLength: 20 })
      .map(text => `manifold-build.${text}`);
    const swapped = fc.tuple(
      component,
      fc.constantFrom('linux-arm', 'arm64', 'linux-x86_64', 'amd64-linux', 'linux-8'),
      attempt,
    );
    const looksLike = swapped.map(parts => `manifold-build.${parts.join('.')}`);
    fc.assert(
      fc.property(fc.oneof(nearly, looksLike), text => {
        try {
          expect(formatRecordName(parseRecordName(text))).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(ManifoldError);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('that is illegible names the artifact, also where its platform is what is wrong', async () => {
    for (const text of ['manifold-build.app.amd64-linux.1', 'manifold-build.x.1']) {
      const error = await failureOf(() => parseRecordName(text));
      expect(error.code).toBe('invalid-record');
      expect(error.message).toContain(text);
    }
  });
});

describe('the artifact service', () => {
  /** Legal platforms of every length that a name has room for. */
  const long = fc
    .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 66 }))
    .map(([os, architecture]) => parsePlatform(`${'o'.repeat(os)}/${'a'.repeat(architecture)}`));
  const longest = fc.record({
    component: fc.oneof(
      component,
      fc.integer({ min: 90, max: 100 }).map(length => 'c'.repeat(length)),
    ),
    platform: fc.oneof(platform, long),
    attempt: fc.oneof(attempt, fc.constantFrom(1, 999_999_999)),
  });

  it('can name an artifact by every name: its characters, and 256 bytes at most', () => {
    fc.assert(
      fc.property(longest, read => {
        const written = formatRecordName(read);
        expect(written).toMatch(/^[a-z0-9._-]+$/);
        expect(Buffer.byteLength(written)).toBeLessThanOrEqual(256);
        expect(parseRecordName(written)).toEqual(read);
      }),
      { numRuns: 500 },
    );
  });

  it('is asked for 256 bytes and never for one more', async () => {
    const fixed = 'manifold-build.'.length + 100 + '.l/'.length + '.999999999'.length;
    const of = (length: number) => ({
      component: 'c'.repeat(100),
      platform: parsePlatform(`l/${'a'.repeat(length - fixed)}`),
      attempt: 999_999_999,
    });
    expect(formatRecordName(of(256))).toHaveLength(256);
    expect(parseRecordName(formatRecordName(of(256)))).toEqual(of(256));
    const error = await failureOf(() => formatRecordName(of(257)));
    expect(error.code).toBe('invalid-platform');
    expect(error.message).toContain('has 257 characters');
    const longer = formatRecordName(of(256)).replace('-aaa', '-aaaa');
    expect((await failureOf(() => parseRecordName(longer))).code).toBe('invalid-record');
  });

  it('may hold names of anybody, and none of them is taken for one of ours', () => {
    const foreign = fc.oneof(
      fc.string(),
      fc
        .constantFrom('digests-', 'acme~app~', 'manifold', 'manifold-', 'manifold_build.', ' manifold-build.')
        .chain(start => fc.string().map(rest => start + rest)),
      name.map(read => formatRecordName(read).replace('manifold-build', 'manifold-builds')),
      name.map(read => `backup-${formatRecordName(read)}`),
    );
    fc.assert(
      fc.property(foreign, text => {
        fc.pre(!text.startsWith('manifold-build.'));
        expect(isRecordName(text)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the name of a component', () => {
  it.each(['app', 'my-app', 'my.app', 'my_app', 'a__b', '0', 'a'.repeat(100)])('%j is legal', text => {
    expect(parseComponent(text)).toBe(text);
  });

  it.each(['', 'App', 'a/b', '.a', 'a.', '-a', 'a b', 'ä', 'a\n', 'a'.repeat(101)])(
    '%j is refused, and the input is named',
    async text => {
      const error = await failureOf(() => parseComponent(text));
      expect(error.code).toBe('invalid-input');
      expect(error.message).toContain('the input "component"');
    },
  );

  it('is legal just where it can be a part of the name of an image', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ab1._-/A'), minLength: 1, maxLength: 8 });
    const isTaken = (parse: () => unknown): boolean => {
      try {
        parse();
        return true;
      } catch {
        return false;
      }
    };
    fc.assert(
      fc.property(fc.oneof(text, fc.constantFrom('a..b', 'a___b', 'a.-b', 'a--b', 'a__b')), candidate => {
        const isPart =
          !candidate.includes('/') && isTaken(() => parseRepository(`ghcr.io/acme/${candidate}`));
        expect(isTaken(() => parseComponent(candidate))).toBe(isPart);
      }),
      { numRuns: 500 },
    );
  });
});
