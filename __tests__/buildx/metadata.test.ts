import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readMetadata } from '../../src/buildx/metadata.ts';
import { failureOf, temporaryFolder } from '../servers/clients.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

function file(text: string): string {
  const name = path.join(temporaryFolder(), 'metadata.json');
  writeFileSync(name, text);
  return name;
}

describe("buildx's metadata", () => {
  it('give the digest, and the whole document', async () => {
    const document = { 'buildx.build.ref': 'x', 'containerimage.digest': DIGEST, 'image.name': 'a,b' };
    const { digest, json } = await readMetadata(file(JSON.stringify(document)));
    expect(digest).toBe(DIGEST);
    expect(JSON.parse(json)).toEqual(document);
  });

  it.each(['', '{}', 'null', '{"containerimage.digest":"sha256:0"}', '{"containerimage.digest":5}'])(
    '%j lack a digest',
    async text => {
      expect((await failureOf(() => readMetadata(file(text)))).code).toBe('build-failed');
    },
  );

  it('that were not written are an error', async () => {
    const error = await failureOf(() => readMetadata(path.join(temporaryFolder(), 'absent')));
    expect(error.code).toBe('build-failed');
    expect(error.message).toContain('no metadata');
  });
});
