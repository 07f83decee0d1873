import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import {
  formatReference,
  formatRepository,
  parseImageEntry,
  parseReference,
  parseRepository,
  parseTag,
  splitImageLine,
} from '../../src/oci/reference.ts';
import { endpointOf } from '../../src/registry/endpoint.ts';
import { anyText } from '../servers/arbitraries.ts';
import { failureOf } from '../servers/clients.ts';

const DIGEST = `sha256:${'0f'.repeat(32)}`;

const letters = 'abcdefghijklmnopqrstuvwxyz';
const word = fc.string({ unit: fc.constantFrom(...letters, ...'0123456789'), minLength: 1, maxLength: 8 });
const component = fc
  .tuple(word, fc.array(fc.tuple(fc.constantFrom('.', '_', '__', '-', '---'), word), { maxLength: 2 }))
  .map(([first, rest]) => first + rest.map(([separator, more]) => separator + more).join(''));
const path = fc.array(component, { minLength: 2, maxLength: 4 }).map(parts => parts.join('/'));
const label = fc.string({ unit: fc.constantFrom(...letters), minLength: 1, maxLength: 8 });
const port = fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined });
const host = fc
  .tuple(
    fc.oneof(
      fc.constant('localhost'),
      fc.tuple(word, label).map(parts => parts.join('.')),
    ),
    port,
  )
  .map(([name, number]) => (number === undefined ? name : `${name}:${number}`));
const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/);

describe('an image reference', () => {
  it('comes out as it went in: host, path, tag and digest', () => {
    const digest = fc.option(fc.constant(DIGEST), { nil: undefined });
    fc.assert(
      fc.property(
        host,
        path,
        fc.option(tag, { nil: undefined }),
        digest,
        (registry, name, tagged, pinned) => {
          const text = `${registry}/${name}${tagged === undefined ? '' : `:${tagged}`}${pinned === undefined ? '' : `@${pinned}`}`;
          const reference = parseReference(text);
          expect(reference.repository).toEqual({ registry, path: name });
          expect(reference.tag).toBe(tagged);
          expect(reference.digest).toBe(pinned);
          expect(formatReference(reference)).toBe(text);
        },
      ),
    );
  });

  it('is parsed or refused with a ManifoldError, whatever it is', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'ab1A.:/@-_[]# \n'), maxLength: 30 });
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearly, anyText), text => {
        try {
          const parsed = parseReference(text);
          expect(parseReference(formatReference(parsed))).toEqual(parsed);
        } catch (error) {
          expect(error).toBeInstanceOf(ManifoldError);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('of any length is refused at once, in one short line', () => {
    const units = ['a', 'a-', 'a__', 'a.', '-', '.', '/', ':', '@', 'A', '[', '\u0000', '\ud800', 'a/'];
    for (const unit of units) {
      for (const end of ['', '!', ':1', '/x', `@${DIGEST}`]) {
        const long = `${unit.repeat(100_000)}${end}`;
        for (const parse of [parseReference, parseRepository, parseTag, parseImageEntry]) {
          let thrown: unknown;
          try {
            parse(long);
          } catch (error) {
            thrown = error;
          }
          expect(thrown).toBeInstanceOf(ManifoldError);
          const { message, hint } = thrown as ManifoldError;
          expect(`${message}${hint}`.length).toBeLessThan(1000);
          expect(`${message}${hint}`).not.toMatch(/\p{Cc}/u);
        }
      }
    }
  });

  it('never implies a tag', () => {
    expect(parseReference('ghcr.io/acme/app')).toEqual({
      repository: { registry: 'ghcr.io', path: 'acme/app' },
    });
  });

  it.each([
    ['alpine', 'docker.io/library/alpine'],
    ['acme/app', 'docker.io/acme/app'],
    ['docker.io/alpine', 'docker.io/library/alpine'],
    ['index.docker.io/acme/app', 'docker.io/acme/app'],
    ['registry-1.docker.io/library/alpine', 'docker.io/library/alpine'],
    ['localhost/app', 'localhost/app'],
    ['localhost:5000/app', 'localhost:5000/app'],
    ['127.0.0.1:5000/a/b/c', '127.0.0.1:5000/a/b/c'],
    ['[::1]:5000/app', '[::1]:5000/app'],
    ['evildocker.io/app', 'evildocker.io/app'],
    ['GHCR.io/acme/app', 'ghcr.io/acme/app'],
    ['Docker.IO/alpine', 'docker.io/library/alpine'],
    ['  ghcr.io/acme/app  ', 'ghcr.io/acme/app'],
  ])('%j is the repository %s', (text, full) => {
    expect(formatRepository(parseRepository(text))).toBe(full);
  });

  it.each([
    ['', 'is not a repository name'],
    ['ghcr.io/', 'is not a repository name'],
    ['ghcr.io/Acme/app', 'capital letters'],
    ['ghcr.io//app', 'is not a repository name'],
    ['ghcr.io/acme/app/', 'is not a repository name'],
    ['ghcr.io/acme/-app', 'is not a repository name'],
    ['ghcr.io/acme/app..x', 'is not a repository name'],
    ['https://ghcr.io/acme/app', 'it is an address'],
    ['-ghcr.io/acme/app', 'is not a registry host'],
    [`ghcr.io/${'a'.repeat(260)}`, 'longer than 255'],
    ['ghcr.io/acme/app:1.0', 'without tag and digest'],
    [`ghcr.io/acme/app@${DIGEST}`, 'without tag and digest'],
  ])('%j is refused as a name, and the message says why', async (text, reason) => {
    const error = await failureOf(() => parseRepository(text));
    expect(error.code).toBe('invalid-reference');
    expect(error.message).toContain(reason);
    expect(error.hint).toBeTruthy();
  });

  it('with capital letters is refused with the spelling that works', async () => {
    const error = await failureOf(() => parseRepository('ghcr.io/Acme/App'));
    expect(error.hint).toContain('ghcr.io/acme/app');
    // A tag may have them.
    const tagged = await failureOf(() => parseReference('ghcr.io/Acme/App:V1'));
    expect(tagged.hint).toContain('ghcr.io/acme/app:V1');
  });

  it.each(['', '.x', '-x', 'a b', 'ä', `a${'b'.repeat(128)}`, 'a/b', 'a:b', 'v1\n'])(
    '%j is no tag',
    async text => {
      expect((await failureOf(() => parseTag(text))).code).toBe('invalid-reference');
    },
  );

  it.each(['1.2.3', 'latest', '_x', 'A-b.c_D', 'a'.repeat(128)])('%j is a tag', text => {
    expect(parseTag(text)).toBe(text);
  });

  it('that is accepted has an address: what cannot be one is refused as a reference', () => {
    const odd = fc.constantFrom(
      'h:99999',
      '1.2.3.4.5',
      '256.256.256.256',
      '[:::]',
      'a.b.1',
      'xn--a.io',
      '0x.1',
    );
    fc.assert(
      fc.property(fc.oneof(odd, host), registry => {
        let parsed: ReturnType<typeof parseRepository>;
        try {
          parsed = parseRepository(`${registry}/acme/app`);
        } catch (error) {
          expect((error as ManifoldError).code).toBe('invalid-reference');
          return;
        }
        expect(endpointOf(parsed.registry, { DOCKER_CONFIG: 'missing' }).url.pathname).toBe('/v2/');
      }),
    );
  });
});

describe('an entry of a list of images', () => {
  it.each([
    ['ghcr.io/acme/app', 'ghcr.io/acme/app'],
    ['name=ghcr.io/acme/app', 'ghcr.io/acme/app'],
    ['name=ghcr.io/acme/app,enable=true', 'ghcr.io/acme/app'],
    ['enable=true, Name = ghcr.io/acme/app ,', 'ghcr.io/acme/app'],
    ['ghcr.io/acme/app,enable=true', 'ghcr.io/acme/app'],
    ['name=ghcr.io/Acme/App', 'ghcr.io/acme/app'],
    ['Acme/App,enable=true', 'docker.io/acme/app'],
    ['name=ghcr.io/acme/app,enable=false', undefined],
    ['ghcr.io/acme/app,enable=false', undefined],
    // Made from a variable that is not there, which is why it is not enabled.
    ['name=/app,enable=false', undefined],
  ])('%j is %s', (text, expected) => {
    const repository = parseImageEntry(text);
    expect(repository === undefined ? undefined : formatRepository(repository)).toBe(expected);
  });

  it.each([
    ['name=ghcr.io/acme/app,tag=1', '"tag" is no attribute'],
    ['name=ghcr.io/acme/app,__proto__=1', '"__proto__" is no attribute'],
    ['name=ghcr.io/acme/app,enable=True', '"enable" is "True"'],
    ['name=ghcr.io/acme/app,enable=', '"enable" is ""'],
    ['enable=true', 'its name is empty'],
    ['name=,enable=false', 'its name is empty'],
    ['name=a,name=b', '"name" is there twice'],
    ['ghcr.io/acme/app,ghcr.io/acme/api', '"name" is there twice'],
  ])('%j is refused with the attributes that there are', async (text, reason) => {
    const error = await failureOf(() => parseImageEntry(text));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(reason);
    expect(error.hint).toContain('name and enable');
  });

  it.each([
    'name=ghcr.io/acme/app:1,enable=true',
    'name=https://ghcr.io/acme/app',
    'ghcr.io/Acme/app',
    'name=a=b',
  ])('%j is refused as a name', async text => {
    expect((await failureOf(() => parseImageEntry(text))).code).toBe('invalid-reference');
  });

  it.each([
    ['ghcr.io/acme/app', ['ghcr.io/acme/app']],
    ['ghcr.io/acme/app, quay.io/acme/app,', ['ghcr.io/acme/app', 'quay.io/acme/app']],
    [' name=ghcr.io/acme/app,enable=false ', ['name=ghcr.io/acme/app,enable=false']],
    ['ghcr.io/acme/app,enable=false', ['ghcr.io/acme/app,enable=false']],
    [' , ', []],
  ])('stands on the line %j as %j', (line, entries) => {
    expect(splitImageLine(line)).toEqual(entries);
  });

  it('is a legal name, none, or a ManifoldError, whatever it is', () => {
    const nearly = fc
      .array(
        fc.constantFrom(
          'name',
          'enable',
          '=',
          ',',
          'true',
          'false',
          'ghcr.io/a',
          '/B',
          ':1',
          ' ',
          '__proto__',
        ),
      )
      .map(parts => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(nearly, anyText), line => {
        for (const entry of splitImageLine(line)) {
          try {
            const repository = parseImageEntry(entry);
            if (repository !== undefined)
              expect(parseRepository(formatRepository(repository))).toEqual(repository);
          } catch (error) {
            expect(error).toBeInstanceOf(ManifoldError);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('an address', () => {
  it.each([
    ['https://ghcr.io/acme/app', 'https://'],
    ['HTTP://registry.internal:5000/app', 'HTTP://'],
    ['docker://ghcr.io/acme/app', 'docker://'],
    ['oci://ghcr.io/acme/app:1', 'oci://'],
  ])('%j is no name of an image: what is too much is named', async (text, scheme) => {
    const error = await failureOf(() => parseReference(text));
    expect(error.code).toBe('invalid-reference');
    expect(error.message).toContain('it is an address');
    expect(error.hint).toBe(`Leave out ${scheme}.`);
  });
});
