import { describe, expect, it } from 'vitest';
import { isExactBase64, isExactBundle } from '../../src/sign/exact-form.ts';
import { type BundleJson, DIGEST, setUp, tampered } from '../servers/keyless.ts';

const bundle = async (): Promise<Buffer> => (await (await setUp()).create()).bundle(DIGEST);

describe('a bundle is written for every verifier', () => {
  it('as we make it, and with blanks and another order', async () => {
    const made = await bundle();
    expect(isExactBundle(made)).toBe(true);
    const document = JSON.parse(made.toString());
    expect(isExactBundle(Buffer.from(JSON.stringify(document, null, 2)))).toBe(true);
    const reversed = Object.fromEntries(Object.entries(document).toReversed());
    expect(isExactBundle(Buffer.from(JSON.stringify(reversed)))).toBe(true);
  });

  const changes: Record<string, (given: BundleJson) => void> = {
    'an older type': given => {
      given.mediaType = given.mediaType.replace('0.3', '0.2');
    },
    'a field that nobody knows': given => {
      given.note = 'x';
    },
    'a field deeper down that nobody knows': given => {
      given.dsseEnvelope.signatures[0].note = 'x';
    },
    'Base64 with another sign in it': given => {
      const [signature] = given.dsseEnvelope.signatures;
      signature.sig = `!${signature.sig}`;
    },
  };

  it.each<[string, (made: Buffer) => Buffer]>([
    ...Object.entries(changes).map(([name, change]): [string, (made: Buffer) => Buffer] => [
      name,
      made => tampered(made, change),
    ]),
    ['a field twice', made => Buffer.from(made.toString().replace('{', '{"mediaType":"x",'))],
    ['something else than JSON', () => Buffer.from('{')],
  ])('but not with %s', async (_, change) => {
    expect(isExactBundle(change(await bundle()))).toBe(false);
  });
});

it.each([
  [undefined, true],
  ['aGVsbG8=', true],
  ['aGVsbG8', false],
  ['!aGVsbG8=', false],
  ['aGVsbG8=#', false],
  ['aGVs bG8=', false],
])('%j is strict Base64: %s', (text, isStrict) => {
  expect(isExactBase64(text)).toBe(isStrict);
});
