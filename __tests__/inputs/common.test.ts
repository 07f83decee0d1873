import { describe, expect, it } from 'vitest';
import { readCommonInputs } from '../../src/inputs/common.ts';
import { InputReader } from '../../src/inputs/reader.ts';
import { failureOf } from '../servers/clients.ts';
import { step } from './step.ts';

const hosts = (text: string) => [
  ...readCommonInputs(new InputReader(step({ 'insecure-registries': text }))).insecureRegistries,
];

describe('a registry that is said to be insecure', () => {
  it.each([
    ['registry.internal', ['registry.internal']],
    ['Registry.internal:5000, 10.0.0.1', ['registry.internal:5000', '10.0.0.1']],
    ['[fd00::1]:5000', ['[fd00::1]:5000']],
    ['localhost', ['localhost']],
    ['registry:5000', ['registry:5000']],
  ])('is a host as images name it: %j', (text, expected) => {
    expect(hosts(text)).toEqual(expected);
  });

  it.each([
    ['true', 'registry.internal:5000'],
    ['*', 'registry.internal:5000'],
    ['*.internal', 'registry.internal:5000'],
    ['registry', 'registry.internal:5000'],
    ['10.0.0.0/8', 'Write 10.0.0.0.'],
    ['registry.internal:5000/acme/app', 'Write registry.internal:5000.'],
    ['http://Registry.internal:5000/', 'Write registry.internal:5000.'],
    ['user@registry.internal', 'registry.internal:5000'],
    ['registry.internal:99999', 'registry.internal:5000'],
  ])('is not %j, which would never be met, and what is right is said', async (text, right) => {
    const error = await failureOf(() => hosts(text));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(`"${text}" in "insecure-registries" is no host`);
    expect(error.hint).toContain(right);
  });

  it('does not leave its line in the log', async () => {
    const { message } = await failureOf(() => hosts(`a\u001b[31m::error::${'x'.repeat(1000)}`));
    expect(message).not.toMatch(/\p{Cc}/u);
    expect(message.length).toBeLessThan(300);
  });
});
