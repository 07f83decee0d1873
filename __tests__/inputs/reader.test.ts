import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { BUILD_ONLY, MERGE_ONLY } from '../../src/inputs/foreign.ts';
import { InputReader } from '../../src/inputs/reader.ts';
import { readInputs, readMode } from '../../src/inputs.ts';
import { anyText } from '../servers/arbitraries.ts';
import { failureOf } from '../servers/clients.ts';
import { BUILD, MERGE, step } from './step.ts';

const lines = (text: string): string[] => new InputReader(step({ text })).lines('text', line => line);
const list = (text: string): string[] => new InputReader(step({ text })).list('text', entry => entry);

describe('a list by lines', () => {
  it.each([
    ['', []],
    ['a', ['a']],
    ['a, b\nc', ['a, b', 'c']],
    ['  a  \r\n\r\n\tb\t', ['a', 'b']],
    ['# a\nb # c\n  # d', ['b # c']],
    ['"a, b"', ['a, b']],
    ['"a\nb"\nc', ['a\nb', 'c']],
    ['"a\r\nb"\r\nc', ['a\r\nb', 'c']],
    ['  "a"  \nb', ['a', 'b']],
    ['"say ""hi"""', ['say "hi"']],
    ['"# a"', ['# a']],
    ['" a "', [' a ']],
    ['""\na', ['a']],
    // Quotes that do not stand around the whole entry are part of it.
    ['"a" b\nc', ['"a" b', 'c']],
    ['k="v"', ['k="v"']],
    ['J={"a":"b"}', ['J={"a":"b"}']],
    ['"a\nb', ['"a', 'b']],
    ['"', ['"']],
  ])('%j is %j', (text, entries) => {
    expect(lines(text)).toEqual(entries);
  });

  it('gives back every text that stands in quotes', () => {
    const texts = fc.array(fc.string({ unit: fc.constantFrom('"', '\n', '#', ',', ' ', 'a', '\r') }), {
      minLength: 1,
    });
    fc.assert(
      fc.property(texts, all => {
        const text = all.map(entry => `"${entry.replaceAll('"', '""')}"`).join('\n');
        expect(lines(text)).toEqual(all.filter(entry => entry !== ''));
      }),
    );
  });

  it('ends for every text', () => {
    fc.assert(
      fc.property(anyText, text => {
        expect(lines(text)).toBeInstanceOf(Array);
      }),
    );
  });
});

it('a list by lines and commas is without comments and blanks', () => {
  expect(list('# a\nb, c,,\n\n , d\r\n  # e, f')).toEqual(['b', 'c', 'd']);
});

describe('an input of another mode', () => {
  it.each([
    ['build', 'platforms', 'give it as "platform"'],
    ['build', 'tags', 'Tags move in the merge'],
    ['build', 'trusted-root', 'mode: merge'],
    ['merge', 'platform', '"platforms"'],
    ['merge', 'labels', '"annotations"'],
    ['merge', 'build-args', 'mode: build'],
  ])('is refused with what to do: %s with %s', async (mode, name, remedy) => {
    const error = await failureOf(() =>
      readInputs(step({ ...{ BUILD, MERGE }[mode.toUpperCase()], [name]: 'x' })),
    );
    expect(error.message).toContain(`"${name}" means nothing in "mode: ${mode}"`);
    expect(error.hint).toContain(remedy);
  });

  it.each([
    ...MERGE_ONLY.map(name => [BUILD, name] as const),
    ...BUILD_ONLY.map(name => [MERGE, name] as const),
  ])('is refused, not ignored: %j with %s', async (base, name) => {
    const error = await failureOf(() => readInputs(step({ ...base, [name]: 'x' })));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('means nothing');
  });
});

describe('the mode', () => {
  it('can be read before everything else', async () => {
    expect(readMode(step({ mode: ' merge ' }))).toBe('merge');
    expect((await failureOf(() => readMode({}))).hint).toContain('build or merge');
  });

  it.each([
    [{}, 'missing-input', 'mode'],
    [{ mode: '' }, 'missing-input', 'mode'],
    [{ mode: 'push' }, 'unknown-mode', 'push'],
    [{ mode: 'Build' }, 'unknown-mode', 'Build'],
  ] as const)('%j is %s', async (inputs, code, named) => {
    const error = await failureOf(() => readInputs(step(inputs)));
    expect(error.code).toBe(code);
    expect(error.message).toContain(named);
    expect(error.hint).toBeTruthy();
  });
});

it('an input makes nothing but a ManifoldError, whatever it is', () => {
  const names = ['mode', 'platform', 'images', 'component', 'matrix', 'matrix-size', 'retention-days'];
  const more = ['retry-budget', 'tags', 'platforms', 'sign', 'run-id', 'repository', ...MERGE_ONLY];
  const name = fc.constantFrom(...names, ...more, 'insecure-registries', 'records');
  const value = fc.oneof(fc.string(), fc.json(), anyText);
  fc.assert(
    fc.property(fc.constantFrom(BUILD, MERGE), fc.dictionary(name, value, { maxKeys: 3 }), (valid, wrong) => {
      try {
        readInputs(step({ ...valid, ...wrong }));
      } catch (error) {
        expect(error).toBeInstanceOf(ManifoldError);
      }
    }),
    { numRuns: 500 },
  );
});
