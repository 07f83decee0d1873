import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkDocument } from '../../src/document.ts';
import { ManifoldError } from '../../src/errors.ts';
import {
  ANNOTATION_LEVELS,
  annotationsSchema,
  parseAnnotation,
  placeAnnotations,
} from '../../src/oci/annotations.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { anyText } from '../servers/arbitraries.ts';
import { failureOf } from '../servers/clients.ts';

const AMD64 = parsePlatform('linux/amd64');
const ARM64 = parsePlatform('linux/arm64');
const PLATFORMS = [AMD64, ARM64];
const place = (...texts: string[]) => placeAnnotations(texts.map(parseAnnotation), PLATFORMS);

describe('an annotation', () => {
  it.each([
    ['a.b/c=d', [{ level: 'manifest' }], 'a.b/c', 'd'],
    ['index:a=b', [{ level: 'index' }], 'a', 'b'],
    ['index,manifest:a=b', [{ level: 'index' }, { level: 'manifest' }], 'a', 'b'],
    [' index, manifest:a=b', [{ level: 'index' }, { level: 'manifest' }], 'a', 'b'],
    ['manifest[linux/amd64]:a=b', [{ level: 'manifest', platform: AMD64 }], 'a', 'b'],
    ['manifest-descriptor[linux/aarch64]:a=b', [{ level: 'manifest-descriptor', platform: ARM64 }], 'a', 'b'],
    ['index-descriptor:a=b', [{ level: 'index-descriptor' }], 'a', 'b'],
    ['index:https://acme.example/key=b', [{ level: 'index' }], 'https://acme.example/key', 'b'],
    ['index:a=', [{ level: 'index' }], 'a', ''],
    ['index:a=b: c = "d",\n{} ü 🐳 ', [{ level: 'index' }], 'a', 'b: c = "d",\n{} ü 🐳 '],
    ['index:__proto__=b', [{ level: 'index' }], '__proto__', 'b'],
  ])('%j is read as buildx reads it', (text, targets, key, value) => {
    expect(parseAnnotation(text)).toEqual({ targets, key, value });
  });

  it.each([
    ['', 'no "="'],
    ['index:a', 'no "="'],
    ['=b', 'key is empty'],
    ['index:=b', 'key is empty'],
    ['indexes:a=b', '"indexes" is no level'],
    ['index,:a=b', '"" is no level'],
    ['constructor:a=b', '"constructor" is no level'],
    ['my:key=b', '"my" is no level'],
    ['manifest[linux/amd64:a=b', '"manifest[linux/amd64" is no level'],
    ['manifest[linux/amd64]x:a=b', 'is no level'],
    ['manifest[linux/amd64,linux/arm64]:a=b', 'is no level'],
    ['manifest[]:a=b', 'is no platform'],
    ['manifest[linux]:a=b', '"linux" is no platform'],
    ['manifest-descriptor[amd64/linux]:a=b', 'operating system comes first'],
    ['index[linux/amd64]:a=b', '"index" is for all platforms'],
    ['index-descriptor[linux/amd64]:a=b', '"index-descriptor" is for all platforms'],
    ['a b=c', 'white space'],
    ['a =c', 'white space'],
    ['index:a\u0000b=c', 'control character'],
    ['a\ud800=c', 'control character'],
    ['a=\ud800', 'half of a Unicode character'],
  ])('%j is refused, and the message says why', async (text, reason) => {
    const error = await failureOf(() => parseAnnotation(text));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(reason);
    expect(error.hint).toContain('manifest, index, manifest-descriptor, index-descriptor');
  });

  it('comes out as it went in, whatever its value', () => {
    const level = fc.constantFrom(...ANNOTATION_LEVELS);
    const unit = fc.oneof(
      fc.constantFrom(' ', '=', ':', ',', '"', "'", '[', ']', '\n', '\r', '\t', '\u0000', '\\', '🐳'),
      fc.integer({ min: 0x20, max: 0xd7ff }).map(point => String.fromCodePoint(point)),
    );
    const key = fc.string({ unit }).map(text => `k${text.replaceAll(/[\s=\p{Cc}]/gu, ':')}`);
    const value = fc.string({ unit });
    fc.assert(
      fc.property(fc.array(level, { minLength: 1, maxLength: 3 }), key, value, (levels, name, content) => {
        const annotation = parseAnnotation(`${levels.join(',')}:${name}=${content}`);
        expect(annotation).toEqual({
          targets: levels.map(one => ({ level: one })),
          key: name,
          value: content,
        });
      }),
      { numRuns: 500 },
    );
  });

  it('is parsed or refused with a ManifoldError, whatever it is, and so are lists of them', () => {
    const nearly = fc
      .array(
        fc.constantFrom(
          'index',
          'manifest',
          '-descriptor',
          '[linux/amd64]',
          ':',
          '=',
          ',',
          '[',
          ']',
          '__proto__',
          ' ',
        ),
        { maxLength: 8 },
      )
      .map(parts => parts.join(''));
    fc.assert(
      fc.property(fc.array(fc.oneof(nearly, fc.string(), anyText), { maxLength: 4 }), texts => {
        try {
          const { index, notices } = place(...texts);
          expect(JSON.parse(JSON.stringify(index))).toEqual(index);
          expect(notices.join('')).not.toMatch(/\p{Cc}/u);
        } catch (error) {
          expect(error).toBeInstanceOf(ManifoldError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('of any length is read at once', () => {
    const long = 'a'.repeat(1_000_000);
    expect(parseAnnotation(`index:${long}=${long}`).key).toBe(long);
    expect(() => parseAnnotation(`${'['.repeat(1_000_000)}:a=b`)).toThrow(ManifoldError);
  });
});

describe('annotations find their place in an image that is built already', () => {
  it('on the index and on descriptors, without a word', () => {
    const { index, descriptors, notices } = place(
      'index:a=1',
      'manifest-descriptor:b=2',
      'manifest-descriptor[linux/arm64]:c=3',
    );
    expect(index).toEqual({ a: '1' });
    expect(descriptors(AMD64)).toEqual({ b: '2' });
    expect(descriptors(ARM64)).toEqual({ b: '2', c: '3' });
    expect(notices).toEqual([]);
  });

  it('meant for the manifest go to the index, with one notice that names them all', () => {
    const { index, descriptors, notices } = place('manifest:a=1', 'b=2', 'index:c=3');
    expect(index).toEqual({ a: '1', b: '2', c: '3' });
    expect(descriptors(AMD64)).toEqual({});
    expect(notices).toHaveLength(1);
    expect(notices[0]).toContain('a, b.');
    expect(notices[0]).toContain('"index:"');
  });

  it('meant for one manifest go to its descriptor, with one notice for all platforms', () => {
    const { index, descriptors, notices } = place(
      'manifest[linux/amd64]:a=1',
      'manifest[linux/aarch64]:b=2',
      'manifest[linux/arm64]:c=3',
    );
    expect(index).toEqual({});
    expect(descriptors(AMD64)).toEqual({ a: '1' });
    expect(descriptors(ARM64)).toEqual({ b: '2', c: '3' });
    expect(notices).toHaveLength(1);
    expect(notices[0]).toContain('linux/amd64: a; linux/arm64: b, c.');
  });

  it('meant for the descriptor of the index are left out, with a notice', () => {
    const { index, notices } = place('index-descriptor:a=1', 'index-descriptor,index:b=2');
    expect(index).toEqual({ b: '2' });
    expect(notices).toHaveLength(1);
    expect(notices[0]).toContain('left out: a, b.');
  });

  it('written for a place win over those moved there, which then need no notice', () => {
    // docker/metadata-action with DOCKER_METADATA_ANNOTATIONS_LEVELS=index,manifest writes each twice.
    const { index, descriptors, notices } = place(
      'index:a=index',
      'manifest:a=manifest',
      'manifest-descriptor[linux/amd64]:b=descriptor',
      'manifest-descriptor:c=all',
      'manifest[linux/amd64]:b=manifest',
      'manifest[linux/amd64]:c=manifest',
    );
    expect(index).toEqual({ a: 'index' });
    expect(descriptors(AMD64)).toEqual({ b: 'descriptor', c: 'all' });
    expect(notices).toEqual([]);
  });

  it('win over earlier ones for the same place, and one for a platform over one for all', () => {
    const { index, descriptors } = place(
      'index:a=1',
      'index:a=2',
      'manifest:b=1',
      'b=2',
      'manifest-descriptor[linux/arm64]:c=own',
      'manifest-descriptor:c=1',
      'manifest-descriptor:c=2',
    );
    expect(index).toEqual({ a: '2', b: '2' });
    expect(descriptors(AMD64)).toEqual({ c: '2' });
    expect(descriptors(ARM64)).toEqual({ c: 'own' });
  });

  it('keep an empty value that somebody wrote', () => {
    expect(place('index:a=').index).toEqual({ a: '' });
  });

  it.each(['manifest', 'manifest-descriptor'])(
    'for a platform that the image does not have are refused with those it has: %s',
    async level => {
      const error = await failureOf(() => place(`${level}[linux/s390x]:a=1`));
      expect(error.code).toBe('invalid-input');
      expect(error.message).toContain(`${level}[linux/s390x]:a`);
      expect(error.message).toContain('It has linux/amd64, linux/arm64.');
    },
  );

  it('may have names that objects of JavaScript have', () => {
    const { index, descriptors } = place(
      'index:__proto__=1',
      'manifest:constructor=2',
      'manifest-descriptor:__proto__=3',
    );
    expect(JSON.stringify(index)).toBe('{"constructor":"2","__proto__":"1"}');
    expect(JSON.stringify(descriptors(AMD64))).toBe('{"__proto__":"3"}');
  });
});

describe('a map of annotations in a document', () => {
  const read = (json: string) => checkDocument(annotationsSchema, JSON.parse(json), 'here');

  it.each(['{}', '{"a":"b","c":""}', '{"__proto__":"a","constructor":"b","prototype":"c"}'])(
    'loses nothing: %s',
    json => {
      expect(JSON.stringify(read(json))).toBe(json);
    },
  );

  it.each([
    ['{"a":"b","c":5}', 'field "c": expected a text, found 5'],
    ['{"__proto__":null}', 'field "__proto__": expected a text, found null'],
    ['[]', 'expected an object, found a list'],
    ['null', 'expected an object, found null'],
    ['"a"', 'expected an object, found "a"'],
  ])('is refused as %s with what is wrong', async (json, reason) => {
    expect((await failureOf(() => read(json))).message).toContain(reason);
  });
});
