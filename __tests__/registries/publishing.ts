import { describe, expect, it } from 'vitest';
import type { Right } from '../../lab/parts/token-service.ts';
import { manifestContent } from '../../src/oci/manifest.ts';
import type { RepositoryClient } from '../../src/registry/repository-client.ts';
import { failureOf, registries, SHORT } from '../servers/clients.ts';
import { made, pushImage, storeManifest, TYPES } from '../servers/images.ts';
import type { Contents, TestRegistry } from '../servers/registry.ts';
import { type FakeOptions, type Make, started } from './fakes/fake.ts';
import { builtAt, heldBy, loginFolder } from './run.ts';

export interface Expectations {
  /** Not every registry has immutable tags. */
  readonly hasImmutableTags?: boolean;
  /** Its login is none of the kind that some may do without. */
  readonly alwaysLogin?: boolean;
}

export const READ_ONLY = [{ repository: 'acme/*', actions: ['pull' as const] }];
type Starting = ReturnType<typeof started>;

/** For what has nothing to do with signatures. */
const UNSIGNED = { sign: [] } as const;
export const LACKING = /^registry-(unauthorized|forbidden)$/;

/** A client of a started registry that is logged in to it. */
export async function clientAt(starting: Starting, name = 'acme/app', loggedIn = true, retry = SHORT) {
  const fake = await starting;
  const env = loggedIn ? { DOCKER_CONFIG: loginFolder({ [fake.host]: fake.login }) } : {};
  const client = registries({ env, retry }).repository({ registry: fake.host, path: name });
  return { fake, client, contents: fake.repository(name) };
}

/** Copies the config of an image in acme/base to acme/app. */
export async function copied(
  starting: Starting,
  change: (base: Contents, registry: TestRegistry) => void = () => {},
) {
  const fake = await starting;
  const [base, contents] = [fake.repository('acme/base'), fake.repository('acme/app')];
  const { config } = pushImage(base);
  change(base, fake);
  const env = { DOCKER_CONFIG: loginFolder({ [fake.host]: fake.login }) };
  const clients = registries({ env, retry: SHORT });
  const [source, target] = ['acme/base', 'acme/app'].map(path =>
    clients.repository({ registry: fake.host, path }),
  ) as [RepositoryClient, RepositoryClient];
  const arrival = await target.copyBlob(config.descriptor, source);
  return { fake, contents, arrival, digest: config.descriptor.digest };
}

/** What Manifold does at every registry, whatever its habits are. */
export function publishesAt(name: string, make: Make, expectations: Expectations = {}): void {
  const start = (options?: FakeOptions) => started(make(options));
  const { hasImmutableTags = true, alwaysLogin = false } = expectations;

  describe(`a client of ${name}`, () => {
    it('pushes, and reads back at once', async () => {
      const { client, fake } = await clientAt(start());
      const bytes = Buffer.from('a blob');
      const config = await client.putBlob(Buffer.from('{}'));
      const layer = await client.putBlob(bytes);
      const document = {
        schemaVersion: 2,
        mediaType: TYPES.manifest,
        config: { mediaType: TYPES.config, ...config },
        layers: [{ mediaType: TYPES.layer, ...layer }],
      };
      const content = manifestContent(Buffer.from(JSON.stringify(document)), TYPES.manifest);
      await client.putManifest(content);
      await client.putManifest(content, '1.0');
      expect(await client.getManifest('1.0')).toEqual(await client.getManifest(content.digest));
      expect(await client.getBlob(layer)).toEqual(bytes);
      expect(fake.storage?.authorizations ?? []).toEqual(fake.storage === undefined ? [] : [undefined]);
    });

    it('with a wrong password is refused, once', async () => {
      const fake = await start();
      const entry = { auth: Buffer.from('ci:wrong').toString('base64') };
      const env = { DOCKER_CONFIG: loginFolder({ [fake.host]: entry }) };
      const client = registries({ env }).repository({ registry: fake.host, path: 'acme/app' });
      expect((await failureOf(() => client.findManifest('1.0'))).code).toBe('registry-unauthorized');
    });

    const openly = alwaysLogin ? undefined : it;
    openly?.('without a login reads what is open to all, and writes nothing', async () => {
      const { client, contents } = await clientAt(start({ open: READ_ONLY }), 'acme/app', false);
      const { root, config } = pushImage(contents);
      expect((await client.getManifest(root.descriptor.digest)).bytes).toEqual(root.bytes);
      expect(await client.getBlob(config.descriptor)).toEqual(config.bytes);
      expect((await failureOf(() => client.putBlob(Buffer.from('x')))).code).toMatch(LACKING);
    });

    it('whose token is taken no more gets another', async () => {
      const { client, contents, fake } = await clientAt(start());
      const { root } = pushImage(contents);
      await client.getManifest(root.descriptor.digest);
      const [scheme, token = ''] = fake.log.at(-1)?.headers.authorization?.split(' ') ?? [];
      if (scheme === 'Bearer') fake.revoked.add(token);
      expect((await client.getManifest(root.descriptor.digest)).bytes).toEqual(root.bytes);
    });
  });

  describe(`a blob of another repository of ${name}`, () => {
    it('is mounted from there', async () => {
      const { arrival, contents, digest } = await copied(start());
      expect(arrival).toBe('mounted');
      expect(contents.blobs.has(digest)).toBe(true);
    });

    it('is copied where the login may read there and no more', async () => {
      const rights: Right[] = [
        { repository: 'acme/app', actions: ['pull', 'push'] },
        { repository: 'acme/base', actions: ['pull'] },
      ];
      const { contents, digest } = await copied(start({ rights }));
      expect(contents.blobs.has(digest)).toBe(true);
    });
  });

  describe(`a merge into ${name}`, () => {
    it('publishes a signed index under its tags, and a second one writes nothing', async () => {
      const fake = await make();
      const run = await builtAt(fake);
      const { digest } = (await run.merge()).outputs;
      expect(run.tags()).toEqual({ '1.0': digest, latest: digest });
      const [held, asked] = [heldBy(run), run.sigstore.log.length];
      expect(asked).toBeGreaterThan(0);
      expect((await run.merge({}, 2)).outputs.digest).toBe(digest);
      expect(heldBy(run)).toEqual(held);
      expect(run.sigstore.log).toHaveLength(asked);
    });

    it('goes through a rate limit in the middle of it', async () => {
      const fake = await make();
      const run = await builtAt(fake);
      for (const path of [/manifests/, /blobs\/upload/, /referrers|sha256-/]) {
        run.registries[0]?.on({ path, times: 1, answer: fake.rateLimit });
      }
      const { digest } = (await run.merge()).outputs;
      expect(run.tags()).toEqual({ '1.0': digest, latest: digest });
    });

    it('waits for what the registry does not show yet', async () => {
      const run = await builtAt(await make({ lag: 2 }));
      const { digest } = (await run.merge(UNSIGNED)).outputs;
      expect(run.tags()).toEqual({ '1.0': digest, latest: digest });
    });

    it('sends no login and no token to the storage', async () => {
      const fake = await make();
      const run = await builtAt(fake);
      await run.merge(UNSIGNED);
      const { authorizations } = fake.storage ?? { authorizations: [] };
      expect(authorizations.length > 0).toBe(fake.storage !== undefined);
      expect(authorizations.every(header => header === undefined)).toBe(true);
    });

    it('without the right to write ends with what is lacking, and moves nothing', async () => {
      const run = await builtAt(await make({ rights: READ_ONLY }));
      const held = heldBy(run);
      expect((await failureOf(() => run.merge(UNSIGNED))).code).toMatch(LACKING);
      expect(heldBy(run)).toEqual(held);
    });

    it('without a login ends with what is lacking', async () => {
      const run = await builtAt(await make({ open: READ_ONLY }));
      const error = await failureOf(() => run.merge(UNSIGNED, 1, { DOCKER_CONFIG: loginFolder({}) }));
      expect(error.code).toMatch(LACKING);
      expect(run.tags()).toEqual({});
    });
  });

  if (!hasImmutableTags) return;
  describe(`an immutable tag of ${name}`, () => {
    it('is told apart from a lack of rights', async () => {
      const run = await builtAt(await make({ immutable: /^1\.0$/ }));
      const contents = run.registries[0]?.repository('acme/app');
      const other = made(TYPES.index, { schemaVersion: 2, mediaType: TYPES.index, manifests: [] });
      if (contents !== undefined) storeManifest(contents, other);
      contents?.tags.set('1.0', other.descriptor.digest);
      const error = await failureOf(() => run.merge(UNSIGNED));
      expect(error.code).toBe('tag-immutable');
      expect(error.message).toContain(':1.0');
      expect(run.tags()['1.0']).toBe(other.descriptor.digest);
    });

    it('that points at this image already is no failure', async () => {
      const run = await builtAt(await make({ immutable: /^1\.0$/ }));
      const first = await run.merge(UNSIGNED);
      expect((await run.merge(UNSIGNED, 2)).outputs.digest).toBe(first.outputs.digest);
    });
  });
}
