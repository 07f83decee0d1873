import { afterEach, describe, expect, it, vi } from 'vitest';
import { failureOf } from '../servers/clients.ts';
import { pushImage } from '../servers/images.ts';
import { harbor, mountRefused, startHarbor } from './fakes/harbor.ts';
import { clientAt, copied, publishesAt, READ_ONLY } from './publishing.ts';

publishesAt('Harbor', harbor);

afterEach(() => {
  vi.useRealTimers();
});

describe('Harbor', () => {
  it('challenges anew for Basic when a token has run out; the work goes on', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const { fake, client, contents } = await clientAt(startHarbor({ lifetime: 100 }));
    const { root } = pushImage(contents);
    await client.getManifest(root.descriptor.digest);
    // The registry's clock runs ahead: to the client its token is still good.
    vi.setSystemTime(Date.now() + 89_000);
    const [, token = ''] = fake.log.at(-1)?.headers.authorization?.split(' ') ?? [];
    fake.revoked.add(token);
    expect((await client.getManifest(root.descriptor.digest)).bytes).toEqual(root.bytes);
  });

  it('tells a project that there is not from a lack of rights by words alone, which are understood', async () => {
    const absent = await clientAt(startHarbor({ projects: ['other'] }));
    const error = await failureOf(() => absent.client.putBlob(Buffer.from('x')));
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toContain('project acme not found');
    const lacking = await clientAt(startHarbor({ rights: READ_ONLY }));
    const refused = await failureOf(() => lacking.client.putBlob(Buffer.from('x')));
    expect(refused.code).toBe('registry-unauthorized');
    expect(refused.message).toContain('unauthorized to access repository: acme/app, action: push');
  });

  it('that refuses to mount, instead of beginning an upload, gets the blob by an upload', async () => {
    const { arrival, contents, digest } = await copied(startHarbor(), (_, registry) =>
      registry.on({ method: 'POST', path: /mount=/, answer: mountRefused }),
    );
    expect(arrival).toBe('uploaded');
    expect(contents.blobs.has(digest)).toBe(true);
  });

  it('gives a token beside an empty access_token', async () => {
    const { fake, client, contents } = await clientAt(startHarbor());
    const { root } = pushImage(contents);
    await client.getManifest(root.descriptor.digest);
    expect(fake.log.at(-1)?.headers.authorization).toMatch(/^Bearer ey/);
  });
});
