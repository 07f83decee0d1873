import { describe, expect, it } from 'vitest';
import { InputReader } from '../../src/inputs/reader.ts';
import { readSigningInputs } from '../../src/inputs/signing.ts';
import { failureOf } from '../servers/clients.ts';

/** The inputs of a step, as the runner hands them over. */
function read(inputs: Record<string, string>) {
  const env = Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]);
  return readSigningInputs(new InputReader(Object.fromEntries(env)));
}

describe('who signs', () => {
  it.each([
    [{}, undefined],
    [{ sign: 'none' }, []],
    [{ sign: 'keyless' }, ['keyless']],
    [{ sign: 'key', key: 'env://KEY' }, ['key']],
    [{ sign: 'keyless, key', key: 'env://KEY' }, ['keyless', 'key']],
    [{ sign: 'key\nkeyless\nkey', key: 'env://KEY' }, ['key', 'keyless']],
    // Whoever names a key wants it to be used.
    [{ key: 'env://KEY' }, ['key']],
  ])('with %j is %j', (inputs, sign) => {
    expect(read(inputs).sign).toEqual(sign);
  });

  it.each([
    [{ sign: 'none, keyless' }, 'invalid-input', '"none" and something else'],
    [{ sign: 'key' }, 'missing-input', '"key"'],
    [{ sign: 'keyless', key: 'env://KEY' }, 'invalid-input', 'does not say "key"'],
    [{ sign: 'none', key: 'env://KEY' }, 'invalid-input', 'does not say "key"'],
    [{ sign: 'kms' }, 'invalid-input', '"kms"'],
    [{ sign: 'none', 'signature-format': 'both' }, 'invalid-input', '"signature-format" is given'],
    [{ sign: 'none', 'signature-annotations': 'a=b' }, 'invalid-input', '"signature-annotations" is given'],
  ])('is not told by %j', async (inputs, code, words) => {
    const error = await failureOf(() => read(inputs));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
    expect(error.hint).toBeDefined();
  });
});

it.each(['["keyless","key"]', 'keyless key', 'keyless; key'])(
  'a list that is written as %j is shown how to be',
  async sign => {
    const { code, hint } = await failureOf(() => read({ sign, key: 'env://KEY' }));
    expect(code).toBe('invalid-input');
    expect(hint).toContain('sign: keyless, key');
  },
);

it.each([
  [{}, ['bundle']],
  [{ 'signature-format': 'bundle' }, ['bundle']],
  [{ 'signature-format': 'legacy' }, ['legacy']],
  [{ 'signature-format': 'both' }, ['bundle', 'legacy']],
])('the format of %j is %j', (inputs, formats) => {
  expect(read(inputs).signatureFormats).toEqual(formats);
});

describe('the annotations of signatures', () => {
  it('are one a line; commas and equals signs belong to the value', () => {
    const text = 'env=prod\n# a comment\n\nnote=a,b=c\nempty=';
    expect(read({ 'signature-annotations': text }).signatureAnnotations).toEqual({
      env: 'prod',
      note: 'a,b=c',
      empty: '',
    });
  });

  it('are one for each name', async () => {
    const error = await failureOf(() => read({ 'signature-annotations': 'env=prod\nenv =test' }));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('has "env" twice');
    expect(error.hint).toBeDefined();
  });

  it.each(['prod', '=prod'])('are no %j', async text => {
    const error = await failureOf(() => read({ 'signature-annotations': text }));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(text);
  });
});

it('identity tokens are for Sigstore, or for whom the user says', () => {
  expect(read({}).audience).toBe('sigstore');
  expect(read({ 'oidc-audience': 'trust.example' }).audience).toBe('trust.example');
});
