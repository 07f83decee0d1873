import { describe, expect, it } from 'vitest';
import { FAST, failureOf } from '../servers/clients.ts';
import { pushImage } from '../servers/images.ts';
import { sha256 } from '../servers/registry.ts';
import { acr, forgottenUpload, startAcr } from './fakes/acr.ts';
import { clientAt, publishesAt, READ_ONLY } from './publishing.ts';
import { builtAt } from './run.ts';

publishesAt('ACR', acr);

describe('ACR', () => {
  it.each([
    ['refresh token', 'POST', '<token>'],
    ['password', 'GET', 'ci'],
  ] as const)('gives a token for a %s, by %s', async (by, method, user) => {
    const { fake, client, contents } = await clientAt(startAcr({ by }));
    const { root } = pushImage(contents);
    expect((await client.getManifest(root.descriptor.digest)).bytes).toEqual(root.bytes);
    expect(fake.tokens?.asked).toMatchObject([{ method, user, service: 'contosoregistry.azurecr.io' }]);
  });

  it('gets its upload at the address that it gave, with all of its query', async () => {
    const { fake, client } = await clientAt(startAcr());
    await client.putBlob(Buffer.from('x'));
    const put = new URL(fake.log.at(-1)?.path ?? '', 'http://acr').searchParams;
    expect(Object.fromEntries(put)).toEqual({
      _nouploadcache: 'false',
      _state: 'VYABvUSCNW2yY5e5VabLHppX+w=',
      digest: sha256(Buffer.from('x')),
    });
  });

  it('that forgets an upload gets the blob by another', async () => {
    const { fake, client, contents } = await clientAt(startAcr(), 'acme/app', true, FAST);
    fake.on({ method: 'PUT', path: /uploads/, times: 1, answer: forgottenUpload });
    await client.putBlob(Buffer.from('x'));
    expect(contents.blobs.has(sha256(Buffer.from('x')))).toBe(true);
  });

  it('forgets uploads in the middle of a merge, which goes on', async () => {
    const run = await builtAt(await acr());
    run.registries[0]?.on({ method: 'PUT', path: /uploads/, times: 2, answer: forgottenUpload });
    const { digest } = (await run.merge()).outputs;
    expect(run.tags()).toEqual({ '1.0': digest, latest: digest });
  });

  it('says of a lack of rights that it wants a login', async () => {
    const { client } = await clientAt(startAcr({ rights: READ_ONLY }));
    expect((await failureOf(() => client.putBlob(Buffer.from('x')))).code).toBe('registry-unauthorized');
  });
});
