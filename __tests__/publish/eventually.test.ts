import { describe, expect, it } from 'vitest';
import { eventually } from '../../src/publish/eventually.ts';

describe('looking until something is there', () => {
  const fast = { budget: 1000, base: 1, longest: 2 };

  it('ends with the first answer that is not undefined, and null is one', async () => {
    const answers = [undefined, undefined, null];
    expect(await eventually(fast, async () => answers.shift())).toBeNull();
    expect(answers).toHaveLength(0);
  });

  it('ends with undefined when the budget does, after at least one look', async () => {
    let looks = 0;
    const none = await eventually({ ...fast, budget: 0 }, async () => {
      looks++;
      return undefined;
    });
    expect(none).toBeUndefined();
    expect(looks).toBe(1);
  });

  it('passes on what the look throws', async () => {
    await expect(eventually(fast, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });
});
