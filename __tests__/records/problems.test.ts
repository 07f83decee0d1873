import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/errors.ts';
import { type Problem, refuseProblems } from '../../src/records/problems.ts';
import { anyText } from '../servers/arbitraries.ts';
import { failureOf } from '../servers/clients.ts';

const problem = (code: ErrorCode, change: Partial<Problem> = {}): Problem => ({
  code,
  component: 'app',
  platform: 'linux/amd64',
  expected: 'a build',
  found: 'no record',
  remedy: 're-run it',
  ...change,
});

describe('problems of a set of builds', () => {
  it('are no error when there are none', () => {
    expect(() => refuseProblems([])).not.toThrow();
  });

  it.each([
    [['unexpected-platform', 'missing-platform'], 'missing-platform'],
    [['unexpected-platform', 'tampered-record'], 'tampered-record'],
    [['tampered-record', 'doubled-platform'], 'doubled-platform'],
    [['doubled-platform', 'wrong-architecture'], 'wrong-architecture'],
    [['wrong-architecture', 'missing-platform'], 'missing-platform'],
    [['mixed-media-types'], 'mixed-media-types'],
  ] as const)('%j are an error by the gravest of them, %s', async (codes, gravest) => {
    const error = await failureOf(() => refuseProblems(codes.map(code => problem(code))));
    expect(error.code).toBe(gravest);
    expect(error.hint).toContain('Nothing was pushed and no tag was moved');
    expect(error.hint).toContain('Re-run failed jobs');
  });

  it('stand in a table whose columns begin one below the other', async () => {
    const long = problem('missing-platform', { component: 'a-long-name', platform: 'linux/arm/v7' });
    const error = await failureOf(() => refuseProblems([problem('missing-platform'), long]));
    const lines = error.message.split('\n').slice(1);
    const columns = ['component', 'platform', 'expected', 'found', 'what to do'];
    const cells = [
      ['app', 'linux/amd64'],
      ['a-long-name', 'linux/arm/v7'],
    ];
    expect(lines).toHaveLength(3);
    for (const [number, row] of cells.entries()) {
      const words = [...row, 'a build', 'no record', 're-run it'];
      expect(words.map(word => lines[number + 1]?.indexOf(`  ${word}`))).toEqual(
        columns.map(title => lines[0]?.indexOf(`  ${title}`)),
      );
    }
  });

  it('stay on their lines, whatever stands in them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyText, { minLength: 1, maxLength: 4 }), async texts => {
        const problems = texts.map(found => problem('tampered-record', { found, expected: found }));
        const { message } = await failureOf(() => refuseProblems(problems));
        expect(message.split(/[\n\r\u2028\u2029]/)).toHaveLength(texts.length + 2);
      }),
    );
  });
});
