import { describe, expect, it } from 'vitest';
import { manifestContent } from '../../src/oci/manifest.ts';
import { failureOf } from '../servers/clients.ts';
import { pushImage, TYPES } from '../servers/images.ts';
import { ecr, startEcr } from './fakes/ecr.ts';
import { clientAt, copied, publishesAt, READ_ONLY } from './publishing.ts';
import { builtAt, heldBy } from './run.ts';

publishesAt('ECR', ecr, { alwaysLogin: true });

describe('ECR', () => {
  it('reads by tag although no digest is said; the bytes give it', async () => {
    const { client, contents } = await clientAt(startEcr());
    const { root } = pushImage(contents);
    contents.tags.set('1.0', root.descriptor.digest);
    expect((await client.getManifest('1.0')).digest).toBe(root.descriptor.digest);
  });

  it('tells a repository that there is not from a lack of rights', async () => {
    const absent = await clientAt(startEcr({ repositories: ['acme/other'] }));
    const error = await failureOf(() => absent.client.putManifest(contentOf('{"schemaVersion":2}')));
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toContain("'acme/app' does not exist");
    const lacking = await clientAt(startEcr({ rights: READ_ONLY }));
    expect((await failureOf(() => lacking.client.putBlob(Buffer.from('x')))).code).toBe('registry-forbidden');
  });

  it('that cuts the connection of an upload to no repository is an error that says so much', async () => {
    const { client } = await clientAt(startEcr({ repositories: [] }));
    const error = await failureOf(() => client.putBlob(Buffer.from('x'), true));
    expect(error.code).toBe('service-unreachable');
  });

  it('mounts no blob that no manifest of the other repository uses: it is uploaded', async () => {
    const { arrival, contents, digest } = await copied(startEcr(), base => base.manifests.clear());
    expect(arrival).toBe('uploaded');
    expect(contents.blobs.has(digest)).toBe(true);
  });

  it('that takes no artifacts is an error, and no tag moves', async () => {
    const run = await builtAt(await ecr({ refusesArtifacts: true }));
    const error = await failureOf(() => run.merge());
    expect(error.code).toBe('registry-refused');
    expect(error.message).toContain('Invalid JSON syntax');
    expect(run.tags()).toEqual({});
  });

  it('that confirmed subjects without listing them gets the fallback tag, too', async () => {
    const run = await builtAt(await ecr({ referrers: 'subject-only' }));
    const { digest } = (await run.merge()).outputs;
    expect(run.tags()).toEqual({ '1.0': digest, latest: digest });
    expect(Object.keys(heldBy(run).tags).filter(tag => tag.startsWith('sha256-'))).toHaveLength(5);
  });

  it('whose tags are all immutable keeps the fallback tag that it has, and signs nothing twice', async () => {
    const run = await builtAt(await ecr({ referrers: 'none', immutable: /^sha256-/ }));
    await run.merge();
    const held = heldBy(run);
    await run.merge({}, 2);
    expect(heldBy(run)).toEqual(held);
  });
});

function contentOf(text: string) {
  const bytes = Buffer.from(text);
  return manifestContent(bytes, TYPES.manifest);
}
