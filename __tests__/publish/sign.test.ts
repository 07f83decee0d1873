import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { startOidcIssuer } from '../../lab/parts/oidc-issuer.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { descriptorOf } from '../../src/oci/manifest.ts';
import { childrenOf } from '../../src/publish/index-image.ts';
import type { SubjectReport } from '../../src/publish/sign.ts';
import type { SigningSubject } from '../../src/publish/signing-places.ts';
import { searchSignatures } from '../../src/sign/search.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { FAST, failureOf, opened, SHORT } from '../servers/clients.ts';
import { cameEarly, hold } from '../servers/held.ts';
import { handOf, identitiesOf, signEverywhere, validOf } from '../servers/keyless.ts';
import type { RegistryOptions, SeenRequest, TestRegistry } from '../servers/registry.ts';
import { startSigstore } from '../servers/sigstore.ts';
import { publish, setUp as startBuilt } from './built.ts';

const BUNDLES = { formats: ['bundle'], annotations: {} } as const;

/** Registries with an image of two platforms, pushed by digest, and a Sigstore to sign it. */
async function setUp(...kinds: RegistryOptions[]) {
  const built = await startBuilt({ registries: kinds });
  const { registries } = built;
  const { publication } = await publish(built);
  const { image } = publication;
  const clients = publication.targets.map(({ client }) => client);
  await Promise.all(clients.map(client => client.putManifest(image.content)));
  const subject: SigningSubject = {
    component: 'app',
    children: childrenOf(image),
    root: descriptorOf(image.content),
    repositories: clients,
  };
  const [issuer, sigstore] = await Promise.all([opened(startOidcIssuer()), opened(startSigstore())]);
  const handFor = (claims = {}, retry = FAST) => handOf(issuer.jobEnvironment(claims), sigstore, { retry });
  const verifier = new SignatureVerifier({ root: sigstore.root, keys: [] });
  const manifests = subject.children.map(({ digest }) => digest);
  const sign = async (retry = FAST, identify = handFor()) => {
    const options = { ...BUNDLES, hands: [await identify()], verifier, retry };
    const { signatories, subjects } = await signEverywhere([subject], options);
    return { identity: identitiesOf(signatories)[0], ...(subjects.get('app') as SubjectReport) };
  };
  const identities = async (position: number, digest: Digest) =>
    validOf(
      await searchSignatures(clients[position] as (typeof clients)[0], digest, verifier, {
        formats: ['bundle'],
      }),
    );
  return {
    registries,
    clients,
    image,
    subject,
    manifests,
    issuer,
    sigstore,
    verifier,
    handFor,
    sign,
    identities,
  };
}

/** Tells which request lists a signature of a manifest: it has the manifest as its subject. */
const isReferrerOf = (digest: string) => (request: SeenRequest) =>
  isManifestPut(request) && JSON.parse(request.body.toString()).subject?.digest === digest;
/** The same where the registry lists nothing by itself (distribution-spec, "Referrers Tag Schema"). */
const isFallbackOf = (digest: string) => (request: SeenRequest) =>
  isManifestPut(request) && request.path.endsWith(`/${digest.replace(':', '-')}`);
const isManifestPut = ({ method, path }: SeenRequest): boolean =>
  method === 'PUT' && path.includes('/manifests/');

describe.each([
  ['the referrers API', { referrers: 'api' }, isReferrerOf],
  ['the fallback tag', {}, isFallbackOf],
] as const)('signing an image in a registry with %s', (_name, kind, isListingOf) => {
  it('signs the index and every manifest in it, so that a consumer finds it', async () => {
    const { image, manifests, issuer, sign, identities } = await setUp(kind);
    const report = await sign();
    const name = 'https://github.com/acme/widget/.github/workflows/release.yml@refs/heads/main';
    expect(report).toEqual({
      identity: { name, issuer: issuer.url },
      manifests: 5,
      signatures: 5,
      attached: 5,
    });
    for (const digest of [...manifests, image.content.digest]) {
      expect(await identities(0, digest)).toEqual([{ name, issuer: issuer.url }]);
    }
  });

  it('a second time signs nothing twice', async () => {
    const { registries, sigstore, sign, image, identities } = await setUp(kind);
    await sign();
    const [pushes, asked] = [registries[0]?.count('PUT', /./), sigstore.log.length];
    expect((await sign()).attached).toBe(0);
    expect(registries[0]?.count('PUT', /./)).toBe(pushes);
    // Neither a certificate nor an entry in the log.
    expect(sigstore.log).toHaveLength(asked);
    expect(await identities(0, image.content.digest)).toHaveLength(1);
  });

  it('attaches to the index last: whoever sees its signature finds all others', async () => {
    const { registries, manifests, image, sign, identities } = await setUp(kind);
    const registry = registries[0] as TestRegistry;
    const { digest } = image.content;
    const held = manifests.map(child => hold(registry, isListingOf(child)));
    const look = () =>
      registry.log.filter(request => isReferrerOf(digest)(request) || isFallbackOf(digest)(request));
    const signing = sign();
    expect(await cameEarly(held, signing, { server: registry, look })).toEqual([]);
    expect((await signing).attached).toBe(5);
    expect(look()).not.toEqual([]);
    expect(await identities(0, digest)).toHaveLength(1);
  });

  it('a second time signs nothing twice where the certificate names another server than was expected', async () => {
    const { registries, issuer, sigstore, image, sign, identities } = await setUp(kind);
    const env = { ...issuer.jobEnvironment(), GITHUB_SERVER_URL: 'https://github.acme.example' };
    const identify = handOf(env, sigstore, { retry: FAST });
    const certificates = () => sigstore.log.filter(path => path.includes('signingCert')).length;
    expect((await sign(FAST, identify)).attached).toBe(5);
    const [pushes, asked] = [registries[0]?.count('PUT', /./), sigstore.log.length];
    const again = await sign(FAST, identify);
    const name = 'https://github.com/acme/widget/.github/workflows/release.yml@refs/heads/main';
    expect(again).toMatchObject({ identity: { name, issuer: issuer.url }, attached: 0 });
    // Only the certificate tells who signs: it is asked for, and nothing is logged or pushed after it.
    expect(certificates()).toBe(2);
    expect(sigstore.log).toHaveLength(asked + 1);
    expect(registries[0]?.count('PUT', /./)).toBe(pushes);
    expect(await identities(0, image.content.digest)).toHaveLength(1);
  });

  it('by another identity adds its own signature', async () => {
    const { sign, handFor, image, identities } = await setUp(kind);
    await sign();
    const other = { job_workflow_ref: 'acme/widget/.github/workflows/other.yml@refs/heads/main' };
    expect((await sign(FAST, handFor(other))).attached).toBe(5);
    expect((await identities(0, image.content.digest)).map(({ name }) => name).sort()).toEqual([
      'https://github.com/acme/widget/.github/workflows/other.yml@refs/heads/main',
      'https://github.com/acme/widget/.github/workflows/release.yml@refs/heads/main',
    ]);
  });

  it('goes on where an earlier try ended', async () => {
    const { registries, image, sign, identities } = await setUp(kind);
    const contents = registries[0]?.repository('acme/app');
    registries[0]?.on({
      method: 'PUT',
      path: /manifests/,
      times: 1,
      answer: (_, response) => sendJson(response, 403, {}),
    });
    await failureOf(() => sign());
    expect([...(contents?.tags.keys() ?? [])].filter(tag => !tag.startsWith('sha256-'))).toEqual([]);
    const { attached } = await sign();
    expect(attached).toBeGreaterThan(0);
    expect(await identities(0, image.content.digest)).toHaveLength(1);
  });
});

describe('signing an image', () => {
  it('puts the same signatures into every registry', async () => {
    const { sigstore, image, sign, identities } = await setUp({ referrers: 'api' }, {});
    expect(await sign()).toMatchObject({ manifests: 5, attached: 10 });
    expect(sigstore.log.filter(path => path.includes('entries'))).toHaveLength(5);
    expect(await identities(0, image.content.digest)).toEqual(await identities(1, image.content.digest));
  });

  it('finds a signature that the registry lists late', async () => {
    const { registries, sign, image } = await setUp({ referrers: 'api' });
    let listings = 0;
    const empty = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] };
    registries[0]?.on({
      path: new RegExp(`referrers/${image.content.digest}`),
      answer: (_, response) => void (++listings < 4 && sendJson(response, 200, empty)),
    });
    expect((await sign()).attached).toBe(5);
    expect(listings).toBe(4);
  });

  it('that the registry never lists is an error', async () => {
    const { registries, sign } = await setUp({ referrers: 'api' });
    const empty = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] };
    registries[0]?.on({ path: /referrers/, answer: (_, response) => sendJson(response, 200, empty) });
    const error = await failureOf(() => sign(SHORT));
    expect(error.code).toBe('signature-unverified');
    expect(error.message).toContain('does not list it');
    expect(error.hint).toContain('No tag was moved');
  });

  it('that the registry has lost from its list is attached once more', async () => {
    const { registries, sign, image, identities } = await setUp({ referrers: 'api' });
    const [registry] = registries;
    const { digest } = image.content;
    let pushed = 0;
    registry?.on({
      method: 'PUT',
      path: /\/manifests\//,
      answer: ({ body }) => void (JSON.parse(body.toString()).subject?.digest === digest && pushed++),
    });
    const empty = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] };
    registry?.on({
      path: new RegExp(`referrers/${digest}`),
      answer: (_, response) => void (pushed < 2 && sendJson(response, 200, empty)),
    });
    expect((await sign({ ...FAST, budget: 2000 })).attached).toBe(5);
    expect(pushed).toBe(2);
    expect(await identities(0, digest)).toHaveLength(1);
  });

  it('is not done because somebody else signed the same', async () => {
    const { registries, sign, handFor } = await setUp({ referrers: 'api' });
    await sign();
    const before = new Set(registries[0]?.repository('acme/app').manifests.keys());
    // From now on the registry lists only what was there.
    registries[0]?.on({
      path: /referrers/,
      answer: (request, response) => {
        const documents = [...(registries[0]?.repository('acme/app').manifests ?? [])].filter(([digest]) =>
          before.has(digest),
        );
        const manifests = documents.flatMap(([digest, { bytes, mediaType }]) => {
          const { subject, artifactType } = JSON.parse(bytes.toString());
          return request.path.endsWith(String(subject?.digest))
            ? [{ digest, mediaType, size: bytes.length, artifactType }]
            : [];
        });
        sendJson(response, 200, { schemaVersion: 2, manifests });
      },
    });
    const other = handFor({ job_workflow_ref: 'acme/widget/.github/workflows/other.yml@refs/heads/main' });
    expect((await failureOf(() => sign(SHORT, other))).code).toBe('signature-unverified');
  });

  it('whose listing fails is an error and attaches nothing', async () => {
    const { registries, sign } = await setUp({ referrers: 'api' });
    registries[0]?.on({ path: /referrers/, answer: (_, response) => sendJson(response, 403, {}) });
    const before = registries[0]?.count('PUT', /./);
    expect((await failureOf(() => sign())).code).toBe('registry-forbidden');
    expect(registries[0]?.count('PUT', /./)).toBe(before);
  });

  it('with a signing config and a trusted root of different Sigstores attaches nothing', async () => {
    const { registries, subject, handFor } = await setUp({ referrers: 'api' });
    const other = await opened(startSigstore());
    const before = registries[0]?.count('PUT', /./);
    const stranger = new SignatureVerifier({ root: other.root, keys: [] });
    const options = { ...BUNDLES, hands: [await handFor()()], verifier: stranger, retry: FAST };
    const error = await failureOf(() => signEverywhere([subject], options));
    expect(error.code).toBe('signature-unverified');
    expect(error.hint).toContain('trusted-root');
    expect(registries[0]?.count('PUT', /./)).toBe(before);
  });

  it('with Rekor down is an error and attaches nothing', async () => {
    const { registries, sigstore, sign, handFor } = await setUp({ referrers: 'api' });
    sigstore.on('/api/v1/log/entries', (_, response) => sendJson(response, 500, { message: 'down' }));
    const before = registries[0]?.count('PUT', /./);
    const error = await failureOf(() => sign(FAST, handFor({}, SHORT)));
    expect(error.code).toBe('signing-failed');
    expect(registries[0]?.count('PUT', /./)).toBe(before);
  });

  it('signs several images with one certificate, each manifest once, and tells of each', async () => {
    const { sigstore, subject, verifier, handFor } = await setUp({ referrers: 'api' });
    const [child] = subject.children;
    const single = { ...subject, component: 'single', children: [], root: child as (typeof subject)['root'] };
    const options = { ...BUNDLES, hands: [await handFor()()], verifier, retry: FAST };
    const { subjects } = await signEverywhere([subject, single], options);
    expect(subjects.get('app')).toEqual({ manifests: 5, signatures: 5, attached: 5 });
    expect(subjects.get('single')?.manifests).toBe(1);
    expect(sigstore.log.filter(path => path.includes('signingCert'))).toHaveLength(1);
    expect(sigstore.log.filter(path => path.includes('entries'))).toHaveLength(5);
  });

  it('that is a plain manifest signs the manifest', async () => {
    const { subject, verifier, handFor, identities } = await setUp({ referrers: 'api' });
    const root = subject.children[0] as (typeof subject)['root'];
    const options = { ...BUNDLES, hands: [await handFor()()], verifier, retry: FAST };
    const { subjects } = await signEverywhere([{ ...subject, children: [], root }], options);
    expect(subjects).toEqual(new Map([['app', { manifests: 1, signatures: 1, attached: 1 }]]));
    expect(await identities(0, root.digest)).toHaveLength(1);
    expect(await identities(0, subject.root.digest)).toEqual([]);
  });
});
