import { describe, expect, it } from 'vitest';
import { manifestContent } from '../../src/oci/manifest.ts';
import { formatRecord } from '../../src/records/record.ts';
import { LONGEST_RECORD, requireSize } from '../../src/records/stored-bytes.ts';
import { failureOf } from '../servers/clients.ts';
import { made, recordOf, TYPES } from '../servers/images.ts';

describe('the length of a record', () => {
  it('is 1 MiB at most, and the error says so', async () => {
    expect(LONGEST_RECORD).toBe(1024 * 1024);
    requireSize('the file', LONGEST_RECORD);
    const error = await failureOf(() => requireSize('the file', LONGEST_RECORD + 1));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toBe('The file has 1048577 bytes; a record has 1048576 at most.');
  });

  it('leaves room for many annotations that JSON has to escape', () => {
    const text = '"\\\n'.repeat(100);
    const annotations = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`org.acme.${n}`, text]));
    const manifests = [made(TYPES.manifest, '{}').descriptor].map(each => ({ ...each, annotations }));
    const root = made(TYPES.index, { schemaVersion: 2, mediaType: TYPES.index, manifests, annotations });
    const record = recordOf(root, 'linux/amd64');
    expect(manifestContent(Buffer.from(record.content), TYPES.index).digest).toBe(record.digest);
    expect(formatRecord(record).byteLength).toBeLessThan(LONGEST_RECORD / 2);
  });
});
