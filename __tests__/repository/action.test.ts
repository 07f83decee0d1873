import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { MODES, type Mode, readInputs } from '../../src/inputs.ts';
import { ROOT, readActionFile, readText } from './action-file.ts';

const action = readActionFile();

/** A complete step of each mode. The matrix tells the platform, so that "platform" and "matrix" are both looked at. */
const STEPS: Readonly<Record<Mode, Readonly<Record<string, string>>>> = {
  build: { mode: 'build', images: 'ghcr.io/acme/app', matrix: '{"platform":"linux/arm64"}' },
  merge: { mode: 'merge', tags: 'latest' },
  verify: { mode: 'verify', images: 'ghcr.io/acme/app:1.2.3' },
};

function environment(inputs: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]),
  );
}

/** The names of all inputs that a mode asks for. */
function inputsReadBy(mode: Mode): Set<string> {
  const names = new Set<string>();
  const env = new Proxy(environment(STEPS[mode]), {
    get(values, key) {
      const name = /^INPUT_(.+)$/.exec(String(key))?.[1];
      if (name !== undefined) names.add(name.toLowerCase());
      return values[String(key)];
    },
  });
  readInputs(env);
  return new Set([...names].filter(name => !isRefused(mode, name)));
}

/** An input of another mode is read only to be refused. */
function isRefused(mode: Mode, name: string): boolean {
  try {
    readInputs(environment({ ...STEPS[mode], [name]: 'x' }));
    return false;
  } catch (error) {
    return /means nothing in "mode: /.test(String(error));
  }
}

describe('the inputs of action.yml', () => {
  const read = new Map(MODES.map(mode => [mode, inputsReadBy(mode)]));

  test('are those that are read, no more and no less', () => {
    const all = new Set([...read.values()].flatMap(names => [...names]));
    expect([...all].sort()).toEqual(Object.keys(action.inputs).sort());
  });

  test.each(Object.entries(action.inputs))('%s says what it is, and for which mode', (name, input) => {
    expect(input.description).toMatch(/^.{20,}\.$/);
    const said = [...input.description.matchAll(/[Ww]ith "mode: (\w+)"/g)].map(match => match[1]);
    const readers = MODES.filter(mode => read.get(mode)?.has(name));
    expect(said).toEqual(readers.length === MODES.length ? [] : readers);
  });

  test.each(MODES)('have defaults that mean in "%s" what their absence means', mode => {
    const literal = Object.entries(action.inputs).flatMap(([name, input]) =>
      input.default === undefined || input.default.includes('$') ? [] : [[name, input.default] as const],
    );
    const withDefaults = readInputs(environment({ ...Object.fromEntries(literal), ...STEPS[mode] }));
    expect(withDefaults).toEqual(readInputs(environment(STEPS[mode])));
    const empty = Object.fromEntries(Object.keys(action.inputs).map(name => [name, '']));
    expect(readInputs(environment({ ...empty, ...STEPS[mode] }))).toEqual(withDefaults);
  });

  test('take as default what the runner knows', () => {
    const fromRunner = Object.entries(action.inputs).filter(([, input]) => input.default?.includes('$'));
    expect(fromRunner.length).toBeGreaterThan(0);
    // The contexts that the runner offers to defaults (its action_yaml.json, "input-default-context").
    for (const [name, input] of fromRunner) {
      expect(input.default, name).toMatch(
        /^\$\{\{ (?:toJSON\(matrix\)|(?:github|strategy|job|runner)\.[\w-]+) \}\}$/,
      );
    }
  });
});

describe('the outputs of action.yml', () => {
  test('are those that the modes give', () => {
    const files = readdirSync(path.join(ROOT, 'src/modes'));
    const sources = files.map(file => readText(`src/modes/${file}`)).join('\n');
    const given = [...sources.matchAll(/\.output\('([\w-]+)'/g)].map(match => match[1] ?? '');
    expect([...new Set(given)].sort()).toEqual(Object.keys(action.outputs).sort());
  });

  test.each(Object.entries(action.outputs))('%s says what it is', (_, output) => {
    expect(output.description).toMatch(/^.{20,}\.$/);
  });
});

test('the action runs under Node 24 from a file that exists', () => {
  expect(action.runs.using).toBe('node24');
  expect(existsSync(path.join(ROOT, action.runs.main))).toBe(true);
});

test('the action has a name, a description and a badge', () => {
  expect(action.name).toBe('Manifold');
  expect(action.description.length).toBeGreaterThan(20);
  expect(action.branding).toEqual({ icon: expect.any(String), color: expect.any(String) });
});
