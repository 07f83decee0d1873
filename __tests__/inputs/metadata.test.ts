import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { parseMetadata } from '../../src/inputs/metadata.ts';
import { formatTagEntry } from '../../src/oci/tags.ts';
import { anyText } from '../servers/arbitraries.ts';
import { failureOf } from '../servers/clients.ts';

/** As docker/metadata-action v6.2.0 writes it, for two images of a repository without description and licence. */
const LABELS = {
  'org.opencontainers.image.created': '2026-11-21T10:00:00.000Z',
  'org.opencontainers.image.description': '',
  'org.opencontainers.image.licenses': '',
  'org.opencontainers.image.revision': 'c0ffee',
  'org.opencontainers.image.source': 'https://github.com/acme/app',
  'org.opencontainers.image.title': 'app',
  'org.opencontainers.image.url': 'https://github.com/acme/app',
  'org.opencontainers.image.version': '1.2.3',
};
const DOCUMENT = {
  tags: ['ghcr.io/acme/app:1.2.3', 'ghcr.io/acme/app:latest', 'acme/app:1.2.3', 'ghcr.io/acme/app:latest'],
  'tag-names': ['1.2.3', 'latest', 'latest'],
  labels: LABELS,
  annotations: Object.entries(LABELS).map(([key, value]) => `manifest:${key}=${value}`),
};
const read = (change: object = {}) => parseMetadata(JSON.stringify({ ...DOCUMENT, ...change }));

describe('the output of docker/metadata-action', () => {
  it('gives tags with their repositories, each once', () => {
    expect(read().tags.map(formatTagEntry)).toEqual([
      'ghcr.io/acme/app:1.2.3',
      'ghcr.io/acme/app:latest',
      'docker.io/acme/app:1.2.3',
    ]);
  });

  it('gives bare tags where it was given no images', () => {
    expect(read({ tags: ['1.2.3', 'latest', 'latest'] }).tags).toEqual([{ tag: '1.2.3' }, { tag: 'latest' }]);
  });

  it('gives version, labels and annotations, without those that are empty', () => {
    const { version, labels, annotations } = read();
    expect(version).toBe('1.2.3');
    expect(Object.keys(labels).sort()).toEqual([
      'org.opencontainers.image.created',
      'org.opencontainers.image.revision',
      'org.opencontainers.image.source',
      'org.opencontainers.image.title',
      'org.opencontainers.image.url',
      'org.opencontainers.image.version',
    ]);
    expect(annotations).toHaveLength(6);
    expect(annotations).toContainEqual({
      targets: [{ level: 'manifest' }],
      key: 'org.opencontainers.image.title',
      value: 'app',
    });
  });

  it('has no version where its label is empty or missing', () => {
    expect(read({ labels: { 'org.opencontainers.image.version': '' } })).not.toHaveProperty('version');
    expect(read({ labels: {} })).not.toHaveProperty('version');
  });

  it('may lack what older releases did not write, and hold what newer ones may', () => {
    const expected = { tags: [{ tag: '1' }], labels: {}, annotations: [] };
    expect(parseMetadata('{"tags":["1"]}')).toEqual(expected);
    expect(parseMetadata('\n {"tags":["1"],"flavor":{"latest":"auto"},"schema":2} \n')).toEqual(expected);
  });

  it('carries values of every kind', () => {
    const value = 'a = "b", c\nd ü 🐳';
    const { labels, annotations } = read({ labels: { x: value }, annotations: [`index:x=${value}`] });
    expect(labels).toEqual({ x: value });
    expect(annotations).toEqual([{ targets: [{ level: 'index' }], key: 'x', value }]);
  });

  it('may hold labels that objects of JavaScript have', () => {
    const { labels } = parseMetadata('{"tags":[],"labels":{"__proto__":"a","constructor":"b"}}');
    expect(JSON.stringify(labels)).toBe('{"__proto__":"a","constructor":"b"}');
  });

  it.each([
    [{ tags: undefined }, 'The input "metadata": the field "tags" is missing.'],
    [{ tags: 'ghcr.io/acme/app:1' }, 'field "tags": expected a list, found "ghcr.io/acme/app:1"'],
    [{ tags: { a: 1 } }, 'field "tags": expected a list, found an object'],
    [{ tags: [1] }, 'field "tags.0": expected a text, found 1'],
    [{ tags: ['a b'] }, 'field "tags": "a b" is no tag'],
    [{ tags: ['ghcr.io/acme/app'] }, 'field "tags": "ghcr.io/acme/app" is no tag'],
    [{ labels: [] }, 'field "labels"'],
    [{ labels: { x: 5 } }, 'field "labels.x": expected a text, found 5'],
    [{ annotations: {} }, 'field "annotations"'],
    [{ annotations: ['manifest'] }, 'field "annotations": "manifest" is no annotation'],
    [{ annotations: ['image:a=b'] }, '"image" is no level'],
  ])('is refused when it is malformed, and the field is named: %j', async (change, reason) => {
    const error = await failureOf(() => read(change));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('The input "metadata"');
    expect(error.message).toContain(reason);
    expect(error.hint).toContain('${{ steps.meta.outputs.json }}');
  });

  it('is refused with the remedy of the rule that it breaks', async () => {
    expect((await failureOf(() => read({ tags: ['a b'] }))).hint).toContain('128 letters');
  });

  it.each([
    ['tags', 'ghcr.io/acme/app:1.2.3\nghcr.io/acme/app:latest', 'a list or a plain text'],
    ['labels', 'org.opencontainers.image.title=app', 'a list or a plain text'],
    ['version', '1.2.3', 'a list or a plain text'],
    ['bake-file', '/tmp/x/docker-metadata-action-bake.json', 'the name of a file'],
    ['the content of bake-file', '{\n  "target": {"docker-metadata-action": {"tags": []}}}', 'a bake file'],
    ['nothing', '', 'a list or a plain text'],
  ])('is not its output %s, and the error says which one it is', async (_, text, found) => {
    const error = await failureOf(() => parseMetadata(text));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(found);
    expect(error.hint).toContain('${{ steps.meta.outputs.json }}');
  });

  it('is refused when it was cut off', async () => {
    const error = await failureOf(() => parseMetadata('{"tags":['));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('is no JSON');
    expect(error.hint).toContain('${{ steps.meta.outputs.json }}');
  });

  it('is read or refused with a ManifoldError, whatever it is', () => {
    const field = fc.oneof(
      fc.json(),
      fc.array(fc.oneof(anyText, fc.constantFrom('1', 'a:b=c', 'index:__proto__=1'))),
    );
    const document = fc.record({ tags: field, labels: field, annotations: field }, { requiredKeys: [] });
    const text = fc.oneof(
      anyText,
      fc.json(),
      document.map(value => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(text, input => {
        try {
          parseMetadata(input);
        } catch (error) {
          expect(error).toBeInstanceOf(ManifoldError);
          expect((error as ManifoldError).code).toBe('invalid-input');
        }
      }),
      { numRuns: 1000 },
    );
  });
});
