import { describe, expect, it } from 'vitest';
import { failureOf } from '../servers/clients.ts';
import { pushImage } from '../servers/images.ts';
import { gar, startGar } from './fakes/gar.ts';
import { clientAt, publishesAt, READ_ONLY } from './publishing.ts';
import { builtAt, heldBy } from './run.ts';

publishesAt('GAR', gar);

describe('GAR', () => {
  it('takes uploads and gives blobs at addresses outside of its API', async () => {
    const { fake, client, contents } = await clientAt(startGar());
    const { config } = pushImage(contents);
    await client.putBlob(Buffer.from('x'));
    expect(await client.getBlob(config.descriptor)).toEqual(config.bytes);
    const paths = fake.log.map(({ path }) => path);
    expect(paths.some(path => path.startsWith('/artifacts-uploads/'))).toBe(true);
    expect(paths.some(path => path.startsWith('/artifacts-downloads/'))).toBe(true);
  });

  it('tells a repository that there is not from a lack of rights, to who has them', async () => {
    const absent = await clientAt(startGar({ repositories: ['acme/other'] }));
    const error = await failureOf(() => absent.client.putBlob(Buffer.from('x')));
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toContain('Repository "app" not found');
    const lacking = await clientAt(startGar({ rights: READ_ONLY }));
    const refused = await failureOf(() => lacking.client.putBlob(Buffer.from('x')));
    expect(refused.code).toBe('registry-forbidden');
    expect(refused.message).toContain('or it may not exist');
  });

  it('says what is wrong with a name that has no image in it', async () => {
    const { client } = await clientAt(startGar({ wantsImageName: true }));
    const error = await failureOf(() => client.putBlob(Buffer.from('x')));
    expect(error.code).toBe('registry-refused');
    expect(error.message).toContain('PROJECT-ID/REPOSITORY/IMAGE');
  });

  it('that leads who asks for referrers to a sign-in page is one without the API', async () => {
    const run = await builtAt(await gar({ referrers: 'sign-in page' }));
    const { digest } = (await run.merge()).outputs;
    expect(run.tags()).toEqual({ '1.0': digest, latest: digest });
    expect(Object.keys(heldBy(run).tags).filter(tag => tag.startsWith('sha256-'))).toHaveLength(5);
  });

  it('whose tags are all immutable gets each fallback tag once', async () => {
    const run = await builtAt(await gar({ referrers: 'sign-in page', immutable: /./ }));
    const { digest } = (await run.merge()).outputs;
    expect((await run.merge({}, 2)).outputs.digest).toBe(digest);
  });
});
