import { describe, expect, it } from 'vitest';
import { manifestContent } from '../../src/oci/manifest.ts';
import { lineageOf } from '../../src/publish/lineage.ts';
import { TYPES } from '../servers/images.ts';
import { contentWith } from './tagging.ts';

const SOURCE = 'https://github.com/acme/app';
const NOON = '2026-11-21T12:00:00.000Z';

describe('the lineage of an image', () => {
  it('is read from its annotations', () => {
    const content = contentWith({
      'org.opencontainers.image.source': SOURCE,
      'org.opencontainers.image.version': ' 1.2.3 ',
      'org.opencontainers.image.revision': 'c0ffee',
      'org.opencontainers.image.created': NOON,
      'dev.manifold.run': ' 1001 ',
      source: 'other',
      run: 'other',
      'org.opencontainers.image.run': 'other',
    });
    expect(lineageOf(content)).toEqual({
      digest: content.digest,
      source: SOURCE,
      version: '1.2.3',
      revision: 'c0ffee',
      created: NOON,
      run: '1001',
    });
  });

  it.each([
    ['there are none', undefined],
    ['they are empty', { 'org.opencontainers.image.version': '', 'dev.manifold.run': ' ' }],
    ['they are no texts', { 'org.opencontainers.image.version': 2, 'dev.manifold.run': ['1'] }],
    ['they are no object', 'org.opencontainers.image.version'],
  ])('is only the digest where %s', (_, annotations) => {
    const content = contentWith(annotations);
    expect(lineageOf(content)).toEqual({ digest: content.digest });
  });

  it.each(['null', '[]', 'no JSON', ''])('is only the digest of a manifest that reads %j', text => {
    const content = manifestContent(Buffer.from(text), TYPES.index);
    expect(lineageOf(content)).toEqual({ digest: content.digest });
  });
});
