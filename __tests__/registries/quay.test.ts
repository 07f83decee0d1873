import { describe, expect, it } from 'vitest';
import { failureOf } from '../servers/clients.ts';
import { TYPES } from '../servers/images.ts';
import { quay, startQuay } from './fakes/quay.ts';
import { clientAt, copied, publishesAt, READ_ONLY } from './publishing.ts';
import { builtAt } from './run.ts';

publishesAt('Quay', quay);

describe('Quay', () => {
  it('lists the signatures by its API, although it confirms no subject', async () => {
    const run = await builtAt(await quay());
    await run.merge();
    const tags = run.registries[0]?.repository('acme/app').tags;
    const fallbacks = [...(tags?.keys() ?? [])].filter(tag => tag.startsWith('sha256-'));
    // What the specification asks of clients that got no OCI-Subject; nobody needs them here.
    expect(fallbacks).toHaveLength(5);
    for (const tag of fallbacks) tags?.delete(tag);
    const asked = run.sigstore.log.length;
    await run.merge({}, 2);
    expect(run.sigstore.log).toHaveLength(asked);
  });

  it('is asked by GET for a token of two repositories, each in a parameter of its own', async () => {
    const { fake } = await copied(startQuay());
    expect(fake.tokens?.asked.at(-1)).toMatchObject({
      method: 'GET',
      scopes: ['repository:acme/app:pull,push', 'repository:acme/base:pull'],
    });
  });

  it('whose token service limits the rate is waited for', async () => {
    const fake = await quay();
    const run = await builtAt(fake);
    run.registries[0]?.on({ path: /^\/v2\/auth/, times: 2, answer: fake.rateLimit });
    const { digest } = (await run.merge()).outputs;
    expect(run.tags()).toEqual({ '1.0': digest, latest: digest });
  });

  it('that limits the rate with a page of HTML is named as what it is', async () => {
    const { fake, client } = await clientAt(startQuay());
    fake.on({ path: /manifests/, answer: fake.rateLimit });
    const error = await failureOf(() => client.findManifest('1.0'));
    expect(error.code).toBe('registry-rate-limited');
  });

  it('says 401 where others say 403; the hint is about the rights', async () => {
    const { client } = await clientAt(startQuay({ rights: READ_ONLY }));
    const error = await failureOf(() => client.putBlob(Buffer.from('x')));
    expect(error.code).toBe('registry-unauthorized');
    expect(error.hint).toContain('may write');
  });

  it('whose children were deleted, an hour after the builds, ends with what is missing and what to re-run', async () => {
    const run = await builtAt(await quay());
    run.registries[0]?.repository('acme/app').manifests.clear();
    const { message } = await failureOf(() => run.merge({ retryBudget: 50 }));
    for (const platform of ['linux/amd64', 'linux/arm64']) expect(message).toContain(platform);
    expect(message).toContain('is not in the registry');
    expect(message).toContain('re-run the job');
  });

  it('is given no index with Docker-type children that it would refuse', async () => {
    const run = await builtAt(await quay({ refusesDockerChildren: true }));
    await run.build('linux/amd64', { mediaType: TYPES.dockerManifest, attempt: 2 });
    const error = await failureOf(() => run.merge({}, 2));
    expect(error.code).toBe('mixed-media-types');
    expect(run.registries[0]?.count('PUT', /manifests/)).toBe(0);
  });
});
