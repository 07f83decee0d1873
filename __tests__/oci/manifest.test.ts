import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { digestOf } from '../../src/oci/digest.ts';
import {
  descriptorOf,
  manifestContent,
  parseConfig,
  parseIndex,
  parseManifest,
} from '../../src/oci/manifest.ts';
import { failureOf } from '../servers/clients.ts';
import { made, TYPES } from '../servers/images.ts';

const content = (document: unknown, mediaType: string) =>
  manifestContent(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)), mediaType);
const descriptor = made(TYPES.config, '{}').descriptor;
const manifest = { schemaVersion: 2, mediaType: TYPES.manifest, config: descriptor, layers: [descriptor] };
const index = { schemaVersion: 2, mediaType: TYPES.index, manifests: [descriptor] };

describe('a manifest', () => {
  it('has the size of its bytes, not of its characters', () => {
    const text = JSON.stringify({ ...manifest, annotations: { title: 'Größe: 漢字 🐳' } });
    const described = descriptorOf(content(text, TYPES.manifest));
    expect(described.size).toBe(Buffer.byteLength(text));
    expect(described.size).toBeGreaterThan(text.length);
    expect(described.digest).toBe(digestOf(Buffer.from(text)));
  });

  it('keeps what it says of config, layers and subject', () => {
    const parsed = parseManifest(content({ ...manifest, subject: descriptor }, TYPES.manifest), 'here');
    expect(parsed.config).toEqual(descriptor);
    expect(parsed.layers).toEqual([descriptor]);
    expect(parsed.subject).toEqual(descriptor);
  });

  it('may leave out its media type, as the specification allows', () => {
    const { mediaType: _, ...silent } = manifest;
    expect(parseManifest(content(silent, TYPES.manifest), 'here').config).toEqual(descriptor);
  });

  it.each([
    ['a manifest served as an index', parseIndex, { ...index, mediaType: TYPES.manifest }, TYPES.index],
    ['an index served as a manifest', parseManifest, { ...manifest, mediaType: TYPES.index }, TYPES.manifest],
    [
      'a Docker manifest served as an OCI one',
      parseManifest,
      { ...manifest, mediaType: TYPES.dockerManifest },
      TYPES.manifest,
    ],
  ])('is refused under another media type than its own: %s', async (_, parse, document, served) => {
    const error = await failureOf(() => parse(content(document, served), 'ghcr.io/acme/app'));
    expect(error.code).toBe('invalid-document');
    expect(error.message).toContain(served);
    expect(error.message).toContain(document.mediaType);
  });

  it.each([
    ['no JSON', '{', 'JSON'],
    ['no object', 'null', 'The image manifest here'],
    ['of schema 1', { ...manifest, schemaVersion: 1 }, 'schemaVersion'],
    ['without config', { ...manifest, config: undefined }, 'config'],
    ['with a bad digest', { ...manifest, config: { ...descriptor, digest: 'sha256:x' } }, 'config.digest'],
    ['with a negative size', { ...manifest, layers: [{ ...descriptor, size: -1 }] }, 'layers.0.size'],
    ['with half a byte', { ...manifest, layers: [{ ...descriptor, size: 0.5 }] }, 'layers.0.size'],
    ['with a size as text', { ...manifest, layers: [{ ...descriptor, size: '5' }] }, 'layers.0.size'],
    ['with annotations that are no text', { ...manifest, annotations: { a: 1 } }, 'annotations.a'],
  ])('is refused when it is %s, by the name of the field', async (_, document, field) => {
    const error = await failureOf(() => parseManifest(content(document, TYPES.manifest), 'here'));
    expect(error.code).toBe('invalid-document');
    expect(error.message).toContain(field);
  });

  it('says which kind of value was expected where a digest is malformed', async () => {
    const wrong = { ...manifest, config: { ...descriptor, digest: 'sha256:x' } };
    const error = await failureOf(() => parseManifest(content(wrong, TYPES.manifest), 'here'));
    expect(error.message).toContain('expected sha256 digest');
  });

  it('in bytes that are no UTF-8 is refused', async () => {
    const bytes = Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]);
    const error = await failureOf(() => parseManifest(manifestContent(bytes, TYPES.manifest), 'here'));
    expect(error.code).toBe('invalid-document');
  });

  it('config, or index is parsed or refused with a ManifoldError, whatever it is', () => {
    const anything = fc.oneof(fc.json(), fc.string(), fc.constant(JSON.stringify(manifest)));
    fc.assert(
      fc.property(anything, text => {
        for (const parse of [parseIndex, parseManifest]) {
          try {
            parse(content(text, TYPES.index), 'here');
          } catch (error) {
            expect(error).toBeInstanceOf(ManifoldError);
          }
        }
        try {
          parseConfig(Buffer.from(text), 'here');
        } catch (error) {
          expect(error).toBeInstanceOf(ManifoldError);
        }
      }),
    );
  });

  it.each(['__proto__', 'constructor', 'prototype'])('keeps an annotation called %s', key => {
    const annotations = Object.fromEntries([[key, 'value']]);
    const child = { ...descriptor, annotations };
    const read = parseIndex(content({ ...index, manifests: [child], annotations }, TYPES.index), 'here');
    expect(Object.entries(read.annotations ?? {})).toEqual([[key, 'value']]);
    expect(Object.entries(read.manifests[0]?.annotations ?? {})).toEqual([[key, 'value']]);
  });
});

describe('an image config', () => {
  const parse = (config: object) => parseConfig(Buffer.from(JSON.stringify(config)), 'here');

  it.each([
    { os: 'linux', architecture: 'amd64' },
    { os: 'linux', architecture: 'arm64', variant: '' },
    { os: 'linux', architecture: 'arm64', variant: 'v8.1' },
    { os: 'linux', architecture: 'constructor', variant: '__proto__' },
    { os: 'windows', architecture: 'amd64', 'os.version': '10.0.1', 'os.features': ['win32k'] },
  ])('says what the image is for: %j', config => {
    expect(parse(config)).toEqual(config);
  });

  it.each([
    ['os', ''],
    ['os', 'linux\n::error::x'],
    ['architecture', ''],
    ['architecture', 'amd64\u001b[31m'],
    ['architecture', 'a/b'],
    ['architecture', 'a'.repeat(65)],
    ['variant', 'v7\n'],
    ['variant', '\ud800'],
  ])('is refused when its %s could write into a log: %j', async (field, value) => {
    const error = await failureOf(() => parse({ os: 'linux', architecture: 'arm', [field]: value }));
    expect(error.code).toBe('invalid-document');
    expect(error.message).toContain(`field "${field}"`);
    expect(error.message).not.toMatch(/\p{Cc}/u);
  });
});
