import { describe, expect, it } from 'vitest';
import { manifestContent } from '../../src/oci/manifest.ts';
import { FAST, failureOf } from '../servers/clients.ts';
import { TYPES } from '../servers/images.ts';
import { type Answer, refuse } from '../servers/registry.ts';
import { ghcr, secondaryLimit, startGhcr } from './fakes/ghcr.ts';
import { clientAt, publishesAt, READ_ONLY } from './publishing.ts';
import { builtAt, heldBy } from './run.ts';

publishesAt('GHCR', ghcr, { hasImmutableTags: false });

describe('GHCR', () => {
  it('gets its signatures under the fallback tags, as it has no referrers API', async () => {
    const run = await builtAt(await ghcr());
    const { digest = '' } = (await run.merge()).outputs;
    const tags = Object.keys(heldBy(run).tags).filter(tag => tag.startsWith('sha256-'));
    expect(tags).toHaveLength(5);
    expect(tags).toContain(digest.replace(':', '-'));
  });

  it('that sends who asks for referrers to a web page is one without the API', async () => {
    const run = await builtAt(await ghcr({ referrers: 'web page' }));
    const { digest } = (await run.merge({ retryBudget: 5000 })).outputs;
    expect(run.tags()).toEqual({ '1.0': digest, latest: digest });
  });

  it('that limits the rate by 403 is waited for', async () => {
    const run = await builtAt(await ghcr());
    run.registries[0]?.on({ method: 'PUT', path: /manifests/, times: 2, answer: secondaryLimit });
    const { digest } = (await run.merge()).outputs;
    expect(run.tags()).toEqual({ '1.0': digest, latest: digest });
  });

  it('that goes on limiting by 403 is not taken for a lack of rights', async () => {
    const { fake, client } = await clientAt(startGhcr());
    fake.on({ answer: secondaryLimit });
    expect((await failureOf(() => client.findManifest('1.0'))).code).toBe('registry-rate-limited');
  });

  it('that lacks the right to write is told from a rate limit', async () => {
    const { client } = await clientAt(startGhcr({ rights: READ_ONLY }));
    const error = await failureOf(() => client.putBlob(Buffer.from('x')));
    expect(error.code).toBe('registry-forbidden');
    expect(error.message).toContain('write_package');
    expect(error.hint).toContain('packages: write');
  });

  it('gives nobody a token for a private package, nor for one that there is not', async () => {
    const { client } = await clientAt(startGhcr(), 'acme/app', false);
    const error = await failureOf(() => client.findManifest('1.0'));
    expect(error.code).toBe('registry-unauthorized');
  });

  it('that does not know a blob yet which it took is asked again', async () => {
    const { fake, client } = await clientAt(startGhcr(), 'acme/app', true, FAST);
    const config = { mediaType: TYPES.config, ...(await client.putBlob(Buffer.from('{}'))) };
    const unknown: Answer = (_, response) => refuse(response, 404, 'MANIFEST_BLOB_UNKNOWN', 'unknown blob');
    fake.on({ method: 'PUT', path: /manifests/, times: 2, answer: unknown });
    const document = { schemaVersion: 2, mediaType: TYPES.manifest, config, layers: [] };
    await client.putManifest(manifestContent(Buffer.from(JSON.stringify(document)), TYPES.manifest));
    const puts = fake.log.filter(({ method, path }) => method === 'PUT' && path.includes('/manifests/'));
    expect(puts.map(({ status }) => status)).toEqual([404, 404, 201]);
  });

  it('that shows a fallback tag late gets every signature, and each once', async () => {
    const run = await builtAt(await ghcr({ lag: 8 }));
    await run.merge();
    const contents = run.registries[0]?.repository('acme/app');
    const listings = Object.entries(heldBy(run).tags).filter(([tag]) => tag.startsWith('sha256-'));
    for (const [, digest] of listings) {
      const listing = JSON.parse(contents?.manifests.get(digest)?.bytes.toString() ?? '');
      expect(listing.manifests).toHaveLength(1);
    }
  });
});
