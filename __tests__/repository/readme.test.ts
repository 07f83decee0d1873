import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { type ActionFile, type ActionInput, ROOT, readActionFile, readText } from './action-file.ts';

/**
 * The parts of README.md that come from somewhere else. Each stands between `<!-- NAME -->` and `<!-- end of NAME -->`;
 * `UPDATE=1 npm test -- __tests__/repository/readme.test.ts` writes them anew.
 */
const PARTS: Readonly<Record<string, () => string>> = {
  inputs: () => inputsTable(readActionFile()),
  outputs: () => outputsTable(readActionFile()),
  'examples/release.yml': () => `\`\`\`yaml\n${readText('examples/release.yml').trimEnd()}\n\`\`\``,
};

function inputsTable({ inputs }: ActionFile): string {
  const rows = Object.entries(inputs).map(([name, input]) => [
    `\`${name}\``,
    defaultCell(input),
    input.description,
  ]);
  return table(['Input', 'Default', 'Description'], rows);
}

function defaultCell(input: ActionInput): string {
  if (input.required === true) return 'required';
  return input.default === undefined ? '' : `\`${input.default}\``;
}

function outputsTable({ outputs }: ActionFile): string {
  const rows = Object.entries(outputs).map(([name, { description }]) => [`\`${name}\``, description]);
  return table(['Output', 'Description'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map(cell => cell.trim().replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The text between a part's two marks, and the whole file with another text there. */
function part(readme: string, name: string): { text: string; replacedBy: (text: string) => string } {
  const [begin, end] = [`<!-- ${name} -->\n`, `\n<!-- end of ${name} -->`];
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`README.md has no part between ${begin.trim()} and ${end.trim()}`);
  const start = from + begin.length;
  return {
    text: readme.slice(start, to),
    replacedBy: text => readme.slice(0, start) + text + readme.slice(to),
  };
}

test.each(Object.entries(PARTS))('README.md holds %s as it is', (name, generate) => {
  const expected = generate();
  if (process.env.UPDATE === '1') {
    writeFileSync(path.join(ROOT, 'README.md'), part(readText('README.md'), name).replacedBy(expected));
  }
  expect(part(readText('README.md'), name).text).toBe(expected);
});

function filesOf(folder: string, extension: string): string[] {
  const names = readdirSync(path.join(ROOT, folder)).filter(name => name.endsWith(extension));
  return names.map(name => path.join(folder, name));
}

function linksOf(document: string): string[] {
  return [...readText(document).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target);
}

test.each([...filesOf('docs', '.md'), ...filesOf('examples', '.yml')])('README.md leads to %s', file => {
  const isShown = file in PARTS;
  expect(isShown || linksOf('README.md').includes(file)).toBe(true);
});

test('the JSON that README.md shows is JSON', () => {
  const blocks = [...readText('README.md').matchAll(/^```json\n([^`]*)^```$/gm)];
  expect(blocks.length).toBeGreaterThan(0);
  for (const [, block = ''] of blocks) expect(() => JSON.parse(block), block).not.toThrow();
});

test('the links of README.md and the documentation lead somewhere', () => {
  for (const document of [...filesOf('.', '.md'), ...filesOf('docs', '.md')]) {
    for (const target of linksOf(document)) {
      if (target.startsWith('https://')) continue;
      expect(() => readText(path.join(path.dirname(document), target)), `${document}: ${target}`).not.toThrow(
        /ENOENT/,
      );
    }
  }
});
