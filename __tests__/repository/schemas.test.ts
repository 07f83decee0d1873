import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { schemaTexts } from '../../scripts/record-schemas.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { planRecord } from '../../src/records/plan.ts';
import { buildRecord } from '../../src/records/record.ts';
import { changedAt } from '../records/changed.ts';
import { accepts, type JsonSchema } from '../records/json-schema.ts';
import { planOf } from '../records/plans.ts';
import { made, recordOf, TYPES } from '../servers/images.ts';
import { ROOT, readText } from './action-file.ts';

const BUILD = 'docs/build-record.schema.json';
const PLAN = 'docs/plan-record.schema.json';

const WRITE_ANEW = `write it anew: UPDATE=1 npm test -- __tests__/repository/schemas.test.ts`;

const TEXTS = schemaTexts();

test.each([...TEXTS])('%s is what the code reads', (file, text) => {
  if (process.env.UPDATE === '1') writeFileSync(path.join(ROOT, file), text);
  expect(readText(file), WRITE_ANEW).toBe(text);
});

test.each([BUILD, PLAN])('docs/records.md leads to %s', file => {
  expect(readText('docs/records.md')).toContain(`(${path.basename(file)})`);
});

const schemaOf = (file: string): JsonSchema => JSON.parse(TEXTS.get(file) ?? '') as JsonSchema;
const codeAccepts = (schema: v.GenericSchema, value: unknown): boolean => v.safeParse(schema, value).success;

const digit = fc.constantFrom(...'0123456789');
/** All words of the table of platforms, so that one that is added there is tried here. */
const words = [...new Set(readText('src/oci/platform.ts').match(/\b(?:[a-z][a-z0-9_]+|386)\b/g))];
const platformPart = fc.oneof(
  fc.constantFrom(...words),
  fc.constantFrom('v8', 'v7', 'v1', '7', 'V7', 'linux', 'x86-64', '', 'a b', 'linux/arm'),
  fc.stringMatching(/^[a-z0-9_]{1,4}$/),
);
const platform = fc.array(platformPart, { minLength: 1, maxLength: 4 }).map(parts => parts.join('/'));

const host = fc.oneof(
  fc.constantFrom(
    'ghcr.io',
    'docker.io',
    'index.docker.io',
    'registry-1.docker.io',
    'registry.hub.docker.com',
  ),
  fc.constantFrom(
    'localhost',
    'localhost:5000',
    '127.0.0.1:5000',
    '[::1]:5000',
    'GHCR.io',
    'evildocker.io',
    'acme',
  ),
  fc.constantFrom('-a.io', 'a-.io', 'a..io', 'registry.example.com:443', 'a.io:', 'a.io:123456', '', '::'),
);
const pathPart = fc.oneof(
  fc.stringMatching(/^[a-z0-9]{1,3}([._-]{1,3}[a-z0-9]{1,2})?$/),
  fc.constantFrom('acme', 'Acme', 'app_', 'a__b', 'a___b', 'a..b', '', 'a:b', 'a@b', ' ', 'a'.repeat(250)),
);
const image = fc
  .tuple(host, fc.array(pathPart, { minLength: 1, maxLength: 3 }))
  .map(([first, rest]) => [first, ...rest].join('/'));
const bareTag = fc.oneof(
  fc.stringMatching(/^[\w.-]{1,5}$/),
  fc.constantFrom(
    'latest',
    '1.2.3',
    '',
    '.a',
    '-a',
    'a b',
    'ä',
    'a\n',
    'a'.repeat(128),
    'a'.repeat(129),
    'a:b',
  ),
);
const tag = fc.oneof(
  bareTag,
  fc.tuple(image, bareTag).map(([name, text]) => `${name}:${text}`),
  image,
  fc.string(),
);
const time = fc.oneof(
  fc
    .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') })
    .map(date => date.toISOString()),
  fc.tuple(digit, digit).map(([a, b]) => `2026-1${a}-${b}1T10:00:00.000Z`),
  fc.constantFrom(
    '2026-11-21T10:00:00Z',
    '2026-11-21T24:00:00.000Z',
    '2026-11-21 10:00:00.000Z',
    '+012026-01-01T00:00:00.000Z',
  ),
);
const component = fc.oneof(
  fc.stringMatching(/^[a-z0-9]([._-]*[a-z0-9]){0,3}$/),
  fc.constantFrom('', 'App', 'a-', '.a', 'a/b', 'a\n', 'a'.repeat(100), 'a'.repeat(101)),
);
const number = fc.oneof(fc.integer(), fc.constantFrom(0, 1, 1.5, -0, 2 ** 53, 2 ** 53 - 1, '1', null));
const digest = fc.oneof(
  fc.constant(digestOf(Buffer.from('x'))),
  fc.constantFrom(
    'sha256:0',
    `sha512:${'0'.repeat(128)}`,
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'0'.repeat(64)}\n`,
  ),
);
const anything = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constant(undefined));
const list = (item: fc.Arbitrary<string>) => fc.array(item, { maxLength: 3 });

/** A document of which some fields were changed, each to something that its field may nearly be. */
function variants(
  document: object,
  fields: Readonly<Record<string, fc.Arbitrary<unknown>>>,
): fc.Arbitrary<unknown> {
  const change = fc
    .constantFrom(...Object.keys(fields))
    .chain(field =>
      fc.tuple(fc.constant(field), fc.oneof({ weight: 4, arbitrary: fields[field] ?? anything }, anything)),
    );
  // What cannot stand in JSON (undefined in a list, -0) is what JSON makes of it.
  return change.map(
    ([field, value]) => JSON.parse(JSON.stringify(changedAt(document, field, value))) as unknown,
  );
}

/** What no JSON Schema can say, and what its descriptions say instead. */
function isBeyond(value: unknown): boolean {
  const texts = JSON.stringify(value) ?? '';
  const ports = [...texts.matchAll(/:(\d{5})\b/g)].some(([, port]) => Number(port) > 65_535);
  const days = [...texts.matchAll(/"(\d{4}-\d\d-\d\d)T/g)].some(([, day = '']) => {
    const date = new Date(`${day}T00:00:00.000Z`);
    return Number.isNaN(date.valueOf()) || !date.toISOString().startsWith(day);
  });
  return ports || days;
}

const RECORD = recordOf(made(TYPES.index, 'an index'), 'linux/arm64');
const builds = variants(RECORD, {
  schemaVersion: fc.constantFrom(0, 1, 2, '1'),
  component,
  platform,
  images: list(image),
  'images.0': image,
  digest,
  mediaType: fc.string(),
  size: number,
  attestations: list(fc.string()),
  'source.repository': fc.string(),
  'source.ref': fc.string(),
  'source.runAttempt': number,
  'source.matrixSize': number,
  'source.matrixIndex': number,
  'builder.emulated': fc.constantFrom(true, false, 'no'),
  started: time,
  extra: anything,
  'source.extra': anything,
});
const plans = variants(planOf(), {
  'components.0.component': component,
  'components.0.images.0': image,
  'components.0.platforms.1': platform,
  'components.0.platforms': list(platform),
  'components.0.tags': list(tag),
  'components.0.tags.0': tag,
  'components.0.needed': fc.constantFrom(true, false, 0),
  'components.0.extra': anything,
  components: fc.constantFrom([], [planOf().components[0]]),
  created: time,
  version: fc.oneof(fc.string(), fc.constant(null)),
  'source.runAttempt': number,
  extra: anything,
});

describe('schema and code agree', () => {
  /** How often both said yes: a property that only ever sees refusals would prove little. */
  const agree = (file: string, code: v.GenericSchema, documents: fc.Arbitrary<unknown>): number => {
    const schema = schemaOf(file);
    let accepted = 0;
    const property = fc.property(documents, document => {
      fc.pre(!isBeyond(document));
      const expected = codeAccepts(code, document);
      expect(accepts(schema, document)).toBe(expected);
      if (expected) accepted++;
    });
    fc.assert(property, { numRuns: 4000 });
    return accepted;
  };

  test('on build records', () => {
    // Digest and size of the content are beyond a schema: the code without them is what it can say.
    expect(agree(BUILD, buildRecord.pipe[0], builds)).toBeGreaterThan(400);
  });

  test('on plan records', () => {
    expect(agree(PLAN, planRecord, plans)).toBeGreaterThan(400);
  });

  test.each([
    ['a port that is none', BUILD, changedAt(RECORD, 'images.0', 'ghcr.io:99999/acme/app'), buildRecord],
    ['a day that is none', BUILD, changedAt(RECORD, 'started', '2026-02-30T10:00:00.000Z'), buildRecord],
    ['content of another digest', BUILD, changedAt(RECORD, 'content', 'another'), buildRecord],
    ['content of another size', BUILD, changedAt(RECORD, 'size', 1), buildRecord],
    [
      'a component that stands twice',
      PLAN,
      { ...planOf(), components: [planOf().components[0], { ...planOf().components[0], tags: [] }] },
      planRecord,
    ],
  ])('but on %s, which the descriptions say', (_, file, document, code) => {
    expect(accepts(schemaOf(file), document)).toBe(true);
    expect(codeAccepts(code as v.GenericSchema, document)).toBe(false);
  });
});
