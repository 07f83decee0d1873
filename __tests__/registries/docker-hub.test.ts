import { describe, expect, it } from 'vitest';
import { FAST, failureOf } from '../servers/clients.ts';
import { pushImage } from '../servers/images.ts';
import { abuseLimit, dockerHub, startDockerHub } from './fakes/docker-hub.ts';
import { clientAt, LACKING, publishesAt, READ_ONLY } from './publishing.ts';
import { builtAt, heldBy } from './run.ts';

publishesAt('Docker Hub', dockerHub);

describe('Docker Hub', () => {
  it.each(['none', 'subject-only', 'api'] as const)(
    'with referrers "%s" shows every signature to who looks for it',
    async referrers => {
      const run = await builtAt(await dockerHub({ referrers }));
      const { digest } = (await run.merge()).outputs;
      expect(run.tags()).toEqual({ '1.0': digest, latest: digest });
      const fallbacks = Object.keys(heldBy(run).tags).filter(tag => tag.startsWith('sha256-'));
      expect(fallbacks).toHaveLength(referrers === 'api' ? 0 : 5);
    },
  );

  it('that breaks off with an illegal 429 is asked again', async () => {
    const { fake, client, contents } = await clientAt(startDockerHub(), 'acme/app', true, FAST);
    const { root } = pushImage(contents);
    fake.on({ path: /manifests/, times: 2, answer: abuseLimit });
    expect((await client.getManifest(root.descriptor.digest)).bytes).toEqual(root.bytes);
  });

  it('whose pull limit is used up is an error of that name', async () => {
    const { fake, client } = await clientAt(startDockerHub());
    fake.on({ path: /manifests/, answer: fake.rateLimit });
    const error = await failureOf(() => client.findManifest('1.0'));
    expect(error.code).toBe('registry-rate-limited');
    expect(error.message).toContain('pull rate limit');
  });

  it('says of a lack of rights what it would say of a repository that there is not', async () => {
    const { client } = await clientAt(startDockerHub({ rights: READ_ONLY }));
    const error = await failureOf(() => client.putBlob(Buffer.from('x')));
    expect(error.code).toMatch(LACKING);
    expect(error.hint).toContain('no such repository');
    expect(error.message).toContain('requested access to the resource is denied');
  });

  it('asks its token service, on another host, with the login; the registry itself never sees it', async () => {
    const { fake, client } = await clientAt(startDockerHub());
    await client.findManifest('1.0');
    expect(fake.tokens?.asked).toMatchObject([{ user: 'ci', service: 'registry.docker.io' }]);
    expect(fake.log.every(({ headers }) => !headers.authorization?.startsWith('Basic'))).toBe(true);
  });
});
