import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseChallenges } from '../../src/registry/challenge.ts';

/** Challenges in a form that can be compared. */
const read = (header: string) =>
  parseChallenges(header).map(({ scheme, parameters }) => ({
    scheme,
    parameters: Object.fromEntries(parameters),
  }));

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/);
const quotedValue = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map(code => String.fromCharCode(code)),
  maxLength: 15,
});
const space = fc.constantFrom('', ' ', '  ', '\t');

interface Written {
  readonly scheme: string;
  readonly parameters: Record<string, string>;
  readonly text: string;
}

const parameter = fc.record({
  name: token,
  value: fc.oneof(token, quotedValue),
  quote: fc.boolean(),
  before: space,
  after: space,
});
const challenge: fc.Arbitrary<Written> = fc
  .tuple(
    token,
    fc.uniqueArray(parameter, { minLength: 1, maxLength: 4, selector: ({ name }) => name.toLowerCase() }),
    fc.constantFrom(',', ', ', ' ,', ' , ', ', ,'),
  )
  .map(([scheme, parameters, separator]) => {
    const written = parameters.map(({ name, value, quote, before, after }) => {
      const bare = !quote && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value);
      const escaped = value.replace(/["\\]/g, '\\$&');
      return `${name}${before}=${after}${bare ? value : `"${escaped}"`}`;
    });
    return {
      scheme: scheme.toLowerCase(),
      parameters: Object.fromEntries(parameters.map(({ name, value }) => [name.toLowerCase(), value])),
      text: `${scheme} ${written.join(separator)}`,
    };
  });

describe('a WWW-Authenticate header', () => {
  it('gives back all challenges that RFC 9110 allows, in order', () => {
    fc.assert(
      fc.property(
        fc.array(challenge, { maxLength: 3 }),
        fc.constantFrom(', ', ',', ' ,  '),
        (challenges, separator) => {
          const header = challenges.map(({ text }) => text).join(separator);
          expect(read(header)).toEqual(challenges.map(({ scheme, parameters }) => ({ scheme, parameters })));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('never makes an error nor an endless loop, whatever it says', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'aB1="\\, \t~/+'), maxLength: 60 });
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearly), header => {
        for (const { scheme } of parseChallenges(header)) expect(scheme).not.toBe('');
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    [
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:acme/app:pull,push"',
      [
        {
          scheme: 'bearer',
          parameters: {
            realm: 'https://auth.docker.io/token',
            service: 'registry.docker.io',
            scope: 'repository:acme/app:pull,push',
          },
        },
      ],
    ],
    ['Basic realm="Registry Realm"', [{ scheme: 'basic', parameters: { realm: 'Registry Realm' } }]],
    ['BEARER Realm=x', [{ scheme: 'bearer', parameters: { realm: 'x' } }]],
    ['Negotiate', [{ scheme: 'negotiate', parameters: {} }]],
    [
      'Negotiate YWJjZA==, Basic realm="r"',
      [
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'basic', parameters: { realm: 'r' } },
      ],
    ],
    [
      'Negotiate, Bearer realm="r"',
      [
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'bearer', parameters: { realm: 'r' } },
      ],
    ],
    [
      'Basic realm="a \\"quoted\\" word, and=more"',
      [{ scheme: 'basic', parameters: { realm: 'a "quoted" word, and=more' } }],
    ],
    ['Bearer realm="first", realm="second"', [{ scheme: 'bearer', parameters: { realm: 'first' } }]],
    ['Bearer realm="never closed', [{ scheme: 'bearer', parameters: {} }]],
    ['', []],
    [' , ,', []],
  ])('%j is read', (header, expected) => {
    expect(read(header)).toEqual(expected);
  });
});
