import { expect, test } from 'vitest';
import { readText } from './action-file.ts';

/** The codes of src/errors.ts, in its order. A union of types leaves nothing behind that could be asked at run time. */
function declaredCodes(): string[] {
  const union = /export type ErrorCode =([^;]+);/.exec(readText('src/errors.ts'))?.[1] ?? '';
  return [...union.matchAll(/'([a-z-]+)'/g)].map(match => match[1] ?? '');
}

const sections = readText('docs/troubleshooting.md').split(/^### /m).slice(1);

test('docs/troubleshooting.md explains every error code, and no others', () => {
  const explained = sections.map(section => /^`([a-z-]+)`\n/.exec(section)?.[1] ?? '');
  expect(declaredCodes().length).toBeGreaterThan(20);
  expect([...explained].sort()).toEqual(declaredCodes().sort());
});

test.each(sections.map(section => [section.split('\n')[0], section] as const))(
  '%s: what it means, and what to do',
  (_, section) => {
    expect(section).toMatch(/\n\n\*\*Means\*\* .{20,}/);
    expect(section).toMatch(/\n\n\*\*Do\*\* .{10,}/);
  },
);

test('README.md names no error code that there is not', () => {
  const codes = new Set(declaredCodes());
  const part = /## When it fails\n([\s\S]*?)\n## /.exec(readText('README.md'))?.[1] ?? '';
  const firstCells = [...part.matchAll(/^\| (`[^|]+) \|/gm)].map(match => match[1] ?? '').join(' ');
  const named = [...firstCells.matchAll(/`([a-z-]+)`/g)].map(match => match[1] ?? '');
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter(name => !codes.has(name))).toEqual([]);
});
