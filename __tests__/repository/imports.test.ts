import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

/** What a room is allowed to import: other rooms, single files of them, and packages. Every kind of import counts. */
interface Allowance {
  readonly rooms: readonly string[];
  readonly packages: readonly string[];
}

/**
 * The direction of imports. A room is a folder of src/, or a file that lies in src/ itself. It may import itself and
 * what is named here, which stands above it in this table: nothing imports upward.
 */
const ROOMS: Readonly<Record<string, Allowance>> = {
  errors: { rooms: [], packages: [] },
  version: { rooms: [], packages: [] },
  parallel: { rooms: [], packages: [] },

  // Pure: of Node it knows the hash function only, and it reads no file, clock or environment.
  document: { rooms: ['errors'], packages: ['valibot'] },
  oci: { rooms: ['errors', 'document'], packages: ['valibot', 'node:crypto'] },
  http: { rooms: ['errors'], packages: ['http-proxy-agent', 'https-proxy-agent', 'node:*'] },

  records: {
    rooms: ['document', 'errors', 'parallel', 'http', 'oci'],
    packages: ['@actions/artifact', 'valibot', 'node:*'],
  },
  registry: { rooms: ['document', 'errors', 'parallel', 'http', 'oci'], packages: ['valibot', 'node:*'] },
  runner: { rooms: ['errors'], packages: ['@actions/core', 'node:fs'] },
  // Of the records it needs what makes a legal name, and nothing that reads or writes them.
  inputs: { rooms: ['document', 'errors', 'oci', 'records/name'], packages: ['valibot'] },
  buildx: {
    rooms: ['document', 'errors', 'oci'],
    packages: ['@actions/exec', '@actions/github', '@docker/actions-toolkit', 'valibot', 'node:*'],
  },

  sign: {
    rooms: ['document', 'errors', 'parallel', 'http', 'oci', 'registry'],
    packages: [
      '@sigstore/bundle',
      '@sigstore/core',
      '@sigstore/protobuf-specs',
      '@sigstore/tuf',
      '@sigstore/verify',
      'tuf-js',
      'valibot',
      'node:*',
    ],
  },
  verify: {
    rooms: ['document', 'errors', 'parallel', 'oci', 'registry', 'sign'],
    packages: ['valibot', 'node:vm'],
  },
  publish: {
    rooms: ['errors', 'parallel', 'http', 'oci', 'records', 'registry', 'sign'],
    packages: ['node:timers', 'semver'],
  },
  report: { rooms: ['errors', 'oci', 'records', 'sign', 'verify'], packages: [] },

  modes: {
    rooms: [
      'errors',
      'version',
      'oci',
      'http',
      'records',
      'registry',
      'runner',
      'inputs',
      'buildx',
      'sign',
      'verify',
      'publish',
      'report',
    ],
    packages: [],
  },
  main: { rooms: ['version', 'inputs', 'runner', 'modes'], packages: [] },
};

/** Sources by their path below src/: `oci/digest.ts` -> text. */
type Sources = ReadonlyMap<string, string>;

// `import x from '…'`, `import '…'`, `import('…')`, `export … from '…'`, `type x = import('…').y`.
const IMPORT = /(?:(?<=[\s}*])from\s*|(?<![\w.$])import\s*(?:\(\s*)?)(['"])(?<target>[^'"\n]+)\1/g;
// Without anything in its brackets it is a word of a comment.
const COMPUTED_IMPORT = /\bimport\s*\(\s*[^'"\s)]/;

function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map(match => match.groups?.target ?? '');
}

/** `../oci/digest.ts` as seen from `sign/bundle.ts` -> `oci/digest.ts`; undefined for a package. */
function resolve(file: string, target: string): string | undefined {
  return target.startsWith('.') ? path.posix.join(path.posix.dirname(file), target) : undefined;
}

function roomOf(file: string): string {
  const [first = ''] = file.split('/');
  return first.replace(/\.ts$/, '');
}

function packageOf(target: string): string {
  return target.startsWith('@') ? target.split('/').slice(0, 2).join('/') : (target.split('/')[0] ?? '');
}

/** All imports that the table does not allow, as sentences. */
function findTrespasses(sources: Sources): string[] {
  const found: string[] = [];
  for (const [file, text] of sources) {
    const room = roomOf(file);
    const allowance = ROOMS[room];
    if (allowance === undefined) {
      found.push(`${file}: the room "${room}" is not in the table of rooms`);
      continue;
    }
    if (COMPUTED_IMPORT.test(text)) found.push(`${file}: imports something that is computed`);
    for (const target of importsOf(text)) {
      const other = resolve(file, target);
      const isAllowed =
        other === undefined ? mayUse(allowance, packageOf(target)) : mayImport(room, allowance, file, other);
      if (!isAllowed) found.push(`${file} imports ${other ?? target}`);
    }
  }
  return found;
}

function mayUse({ packages }: Allowance, name: string): boolean {
  return packages.includes(name) || (name.startsWith('node:') && packages.includes('node:*'));
}

function mayImport(room: string, { rooms }: Allowance, file: string, other: string): boolean {
  if (other === '../package.json') return file === 'version.ts';
  return (
    roomOf(other) === room || rooms.includes(roomOf(other)) || rooms.includes(other.replace(/\.ts$/, ''))
  );
}

/** A circle has no beginning: it is told from the name that comes first, wherever it was entered. */
function fromFirst(circle: readonly string[]): string[] {
  const start = circle.indexOf([...circle].sort()[0] ?? '');
  return [...circle.slice(start), ...circle.slice(0, start + 1)];
}

/** The first circle of files that import each other, as a path that ends where it began. */
function findCircle(sources: Sources): string[] | undefined {
  const finished = new Set<string>();
  const visit = (file: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(file)) return fromFirst(trail.slice(trail.indexOf(file)));
    if (finished.has(file)) return undefined;
    for (const target of importsOf(sources.get(file) ?? '')) {
      const other = resolve(file, target);
      const circle = other === undefined ? undefined : visit(other, [...trail, file]);
      if (circle !== undefined) return circle;
    }
    finished.add(file);
    return undefined;
  };
  for (const file of sources.keys()) {
    const circle = visit(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

/** Files outside the room of inputs that look at inputs by any way there is. */
function findInputReaders(sources: Sources): string[] {
  return [...sources]
    .filter(
      ([file, text]) => roomOf(file) !== 'inputs' && /INPUT_|\bget(?:Boolean|Multiline)?Input/.test(text),
    )
    .map(([file]) => file);
}

function readSources(): Sources {
  const folder = path.resolve(import.meta.dirname, '../../src');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(file =>
    file.endsWith('.ts'),
  );
  return new Map(files.map(file => [file, readFileSync(path.join(folder, file), 'utf8')]));
}

describe('the sources', () => {
  const sources = readSources();

  test('import downward only, each room what it may', () => {
    expect(sources.size).toBeGreaterThan(40);
    expect(findTrespasses(sources)).toEqual([]);
  });

  test('use all that the table allows: what nobody needs is taken out of it', () => {
    const used = new Map(Object.keys(ROOMS).map(room => [room, new Set<string>()]));
    for (const [file, text] of sources) {
      for (const target of importsOf(text)) {
        const other = resolve(file, target);
        const names = other === undefined ? [packageOf(target)] : [roomOf(other), other.replace(/\.ts$/, '')];
        for (const name of names) used.get(roomOf(file))?.add(name);
        if (target.startsWith('node:')) used.get(roomOf(file))?.add('node:*');
      }
    }
    const idle = Object.entries(ROOMS).flatMap(([room, { rooms, packages }]) =>
      [...rooms, ...packages].filter(name => !used.get(room)?.has(name)).map(name => `${room}: ${name}`),
    );
    expect(idle).toEqual([]);
  });

  test('import each other in no circle', () => {
    expect(findCircle(sources)).toBeUndefined();
  });

  test('read inputs in one file of the room of inputs and nowhere else', () => {
    expect(sources.get('inputs/reader.ts')).toContain('INPUT_');
    const readers = [...sources].filter(([, text]) => /\benv\[|#env/.test(text)).map(([file]) => file);
    expect(readers.filter(file => roomOf(file) === 'inputs')).toEqual(['inputs/reader.ts']);
    expect(findInputReaders(sources)).toEqual([]);
  });

  test('fill every room of the table', () => {
    expect([...new Set([...sources.keys()].map(roomOf))].sort()).toEqual(Object.keys(ROOMS).sort());
  });

  test('stand in a table that itself looks downward only', () => {
    const names = Object.keys(ROOMS);
    for (const [room, { rooms }] of Object.entries(ROOMS)) {
      const upward = rooms.filter(other => names.indexOf(roomOf(other)) >= names.indexOf(room));
      expect(upward, `what ${room} imports`).toEqual([]);
    }
  });
});

describe('the check finds', () => {
  /** The real sources with one line more. */
  const withLine = (file: string, line: string): Sources => {
    const sources = new Map(readSources());
    return sources.set(file, `${line}\n${sources.get(file) ?? ''}`);
  };

  test.each([
    ['an import', "import { merge } from '../modes/merge.ts';"],
    ['an import of a type', "import type { Runner } from '../runner/actions.ts';"],
    ['an import for its effect', "import '../registry/client.ts';"],
    ['a dynamic import', "const client = await import('../registry/client.ts');"],
    ['a type in place', "type Client = import('../registry/client.ts').RepositoryClient;"],
    ['an export of something else', "export * from '../registry/client.ts';"],
    ['an import over several lines', "import {\n  a,\n  b,\n} from '../registry/client.ts';"],
  ])('upward: %s', (_, line) => {
    expect(findTrespasses(withLine('oci/digest.ts', line))).toEqual([
      expect.stringContaining('oci/digest.ts imports '),
    ]);
  });

  test('a package in a room that is to do without', () => {
    expect(findTrespasses(withLine('oci/digest.ts', "import { readFile } from 'node:fs/promises';"))).toEqual(
      ['oci/digest.ts imports node:fs/promises'],
    );
    expect(findTrespasses(withLine('main.ts', "import * as core from '@actions/core';"))).toEqual([
      'main.ts imports @actions/core',
    ]);
  });

  test('more of a room than the one file that is allowed', () => {
    const line = "import { ArtifactStore } from './records/store.ts';";
    expect(findTrespasses(withLine('inputs.ts', line))).toEqual(['inputs.ts imports records/store.ts']);
  });

  test('an import whose target is computed', () => {
    const line = 'const mode = await import(pathOf(name));';
    expect(findTrespasses(withLine('main.ts', line))).toEqual([
      'main.ts: imports something that is computed',
    ]);
  });

  test('a room that nobody decided on', () => {
    expect(findTrespasses(withLine('utils/strings.ts', ''))).toEqual([
      'utils/strings.ts: the room "utils" is not in the table of rooms',
    ]);
  });

  test('a circle, of types too', () => {
    const sources = withLine('oci/digest.ts', "import type { ManifestContent } from './manifest.ts';");
    expect(findCircle(sources)).toEqual(['oci/digest.ts', 'oci/manifest.ts', 'oci/digest.ts']);
  });

  test('a second reader of inputs', () => {
    expect(findInputReaders(withLine('modes/merge.ts', 'const tags = process.env.INPUT_TAGS;'))).toEqual([
      'modes/merge.ts',
    ]);
    expect(findInputReaders(withLine('modes/merge.ts', "const tags = core.getInput('tags');"))).toEqual([
      'modes/merge.ts',
    ]);
  });
});
