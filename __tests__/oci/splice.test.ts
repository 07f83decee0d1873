import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { appendTo, replaceIn } from '../../src/oci/splice.ts';

const strange =
  '{ "a" : 1.0, "n":12345678901234567890,\n"manifests" : [ {"x":"\\u003c]\\"}"} ] , "z": [1,{"manifests":[]}]}';

describe('adding to a list', () => {
  it('leaves every other byte as it is', () => {
    expect(appendTo(strange, 'manifests', [{ y: 1 }, 'z'])).toBe(
      '{ "a" : 1.0, "n":12345678901234567890,\n"manifests" : [ {"x":"\\u003c]\\"}"},{"y":1},"z" ] , "z": [1,{"manifests":[]}]}',
    );
  });

  it.each([
    ['{"manifests":[]}', '{"manifests":[1]}'],
    ['{"manifests":[ \n ]}', '{"manifests":[1 \n ]}'],
    // Of two, the last is what a parser sees.
    ['{"manifests":[7],"manifests":[8]}', '{"manifests":[7],"manifests":[8,1]}'],
    ['{"manifest\\u0073":[]}', '{"manifest\\u0073":[1]}'],
  ])('of %j', (text, expected) => {
    expect(appendTo(text, 'manifests', [1]).replace(/\s/g, '')).toBe(expected.replace(/\s/g, ''));
  });

  it('is what a parser would have made, whatever the document holds', () => {
    const document = fc.dictionary(fc.string(), fc.jsonValue()).filter(given => !('list' in given));
    const list = fc.array(fc.jsonValue(), { maxLength: 4 });
    fc.assert(
      fc.property(document, list, list, fc.nat(2), (given, held, added, indent) => {
        const whole = { ...given, list: held };
        const text = JSON.stringify(whole, null, indent);
        expect(JSON.parse(appendTo(text, 'list', added))).toEqual(
          JSON.parse(JSON.stringify({ ...whole, list: [...held, ...added] })),
        );
        expect(JSON.parse(replaceIn(text, 'list', added))).toEqual(
          JSON.parse(JSON.stringify({ ...whole, list: added })),
        );
      }),
    );
  });
});

it('a value is replaced, and nothing else', () => {
  expect(replaceIn(strange, 'a', { b: 2 })).toBe(strange.replace('1.0', '{"b":2}'));
  expect(replaceIn(strange, 'n', 'x')).toBe(strange.replace('12345678901234567890', '"x"'));
  expect(() => replaceIn(strange, 'absent', 1)).toThrow('absent');
});
