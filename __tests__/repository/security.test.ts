import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT, readText } from './action-file.ts';

const text = readText('docs/security.md');
const threats =
  text
    .split(/^## Who can do what\n/m)[1]
    ?.split(/^### /m)
    .slice(1) ?? [];
const named = [...text.matchAll(/`([\w/.-]+\.test\.ts)`: `([^`]+)`/g)].map(
  ([, file = '', title = '']) => [file, title] as const,
);

/** What stands in a file as the title of a test, of a group of tests, or of a row of its table. */
function titlesIn(file: string): Set<string> {
  const literals = readText(file).matchAll(/(?:[([]|^)\s*(['"`])((?:\\.|(?!\1).)+)\1\s*[,:]/gm);
  return new Set([...literals].map(([, , title = '']) => title.replace(/\\(['"`])/g, '$1')));
}

test('docs/security.md names tests', () => {
  expect(named.length).toBeGreaterThan(50);
  expect(text.match(/\.test\.ts`/g)).toHaveLength(named.length);
});

test.each(named)('%s has the test "%s"', (file, title) => {
  expect(titlesIn(file)).toContain(title);
});

const guarded = threats.filter(threat => !threat.startsWith('Others'));

test.each(guarded.map(threat => [threat.split('\n')[0], threat] as const))(
  '%s: each guard has its test, and what is not guarded is said',
  (_, threat) => {
    const table = /^\| Guard \| Test \|\n\| --- \| --- \|\n((?:\|.*\n)+)/m.exec(threat)?.[1] ?? '';
    const rows = table.trimEnd().split('\n');
    for (const row of rows) expect(row).toMatch(/^\| .{20,} \| `[\w/.-]+\.test\.ts`: `.+` \|$/);
    expect(threat).toMatch(/\n\*\*Not guarded\.\*\* .{50,}/);
  },
);

interface Workflow {
  readonly permissions?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps?: readonly { readonly with?: Readonly<Record<string, unknown>> }[];
}

const examples = readdirSync(path.join(ROOT, 'examples')).filter(name => name.endsWith('.yml'));

test.each(examples)('%s gives an identity to no job that builds', name => {
  const { permissions, jobs } = parse(readText(`examples/${name}`)) as Workflow;
  // What a job does not ask for it has not.
  expect(permissions).toEqual({});
  const modes = (job: Job) => (job.steps ?? []).map(step => step.with?.mode);
  for (const job of Object.values(jobs)) {
    if (modes(job).includes('build')) expect(job.permissions).not.toHaveProperty('id-token');
  }
  const all = Object.values(jobs).flatMap(modes);
  expect(all.some(mode => mode === 'build' || mode === 'merge')).toBe(true);
});
