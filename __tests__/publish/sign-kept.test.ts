import { afterEach, describe, expect, it, vi } from 'vitest';
import { startOidcIssuer } from '../../lab/parts/oidc-issuer.ts';
import { descriptorOf } from '../../src/oci/manifest.ts';
import { childrenOf } from '../../src/publish/index-image.ts';
import { prepareSignatures } from '../../src/publish/sign.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { FAST, failureOf, opened, SHORT } from '../servers/clients.ts';
import { handOf, signEverywhere } from '../servers/keyless.ts';
import { type StoredManifest, sha256 } from '../servers/registry.ts';
import { startSigstore } from '../servers/sigstore.ts';
import { publish, setUp as startBuilt } from './built.ts';

afterEach(() => vi.restoreAllMocks());

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

/** An image that is signed, in a registry that lists referrers. */
async function signed() {
  const built = await startBuilt({ registries: [{ referrers: 'api' }] });
  const { publication } = await publish(built);
  const { image } = publication;
  const repositories = publication.targets.map(({ client }) => client);
  await Promise.all(repositories.map(client => client.putManifest(image.content)));
  const subject = {
    component: 'app',
    children: childrenOf(image),
    root: descriptorOf(image.content),
    repositories,
  };
  const [issuer, sigstore] = await Promise.all([opened(startOidcIssuer()), opened(startSigstore())]);
  const verifier = new SignatureVerifier({ root: sigstore.root, keys: [] });
  const options = async (retry = FAST) => ({
    hands: [await handOf(issuer.jobEnvironment(), sigstore, { retry: FAST })()],
    formats: ['bundle'] as const,
    annotations: {},
    verifier,
    retry,
  });
  const sign = async () => (await signEverywhere([subject], await options())).subjects.get('app');
  await sign();
  const contents = built.registries[0]?.repository('acme/app');
  if (contents === undefined) throw new Error('no registry');
  return { subject, options, sign, contents };
}

/** What a registry holds of bundles, by the digest of the referrer. */
function bundles(manifests: ReadonlyMap<string, StoredManifest>) {
  return [...manifests].flatMap(([digest, { bytes }]) => {
    const document = JSON.parse(bytes.toString());
    return document.artifactType === BUNDLE ? [{ digest, document }] : [];
  });
}

describe('a signature that was there before', () => {
  it('and that others cannot read is none: it is made anew', async () => {
    const { sign, contents } = await signed();
    for (const { digest, document } of bundles(contents.manifests)) {
      const bundle = contents.blobs.get(document.layers[0].digest)?.toString() ?? '';
      const relabelled = Buffer.from(
        bundle.replace(BUNDLE, 'application/vnd.dev.sigstore.bundle+json;version=0.2'),
      );
      contents.blobs.set(sha256(relabelled), relabelled);
      const layer = { ...document.layers[0], digest: sha256(relabelled), size: relabelled.length };
      const bytes = Buffer.from(JSON.stringify({ ...document, layers: [layer] }));
      contents.manifests.delete(digest);
      contents.manifests.set(sha256(bytes), { bytes, mediaType: document.mediaType });
    }
    expect((await sign())?.attached).toBe(5);
    expect((await sign())?.attached).toBe(0);
  });

  it('and has gone meanwhile is missed before a tag moves', async () => {
    const { subject, options, contents } = await signed();
    const prepared = await prepareSignatures([subject], await options(SHORT));
    const attached = await prepared.attach();
    for (const { digest, document } of bundles(contents.manifests)) {
      if (document.subject.digest === subject.root.digest) contents.manifests.delete(digest);
    }
    // It took its time until now.
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
    const error = await failureOf(() => attached.confirm());
    expect(error.code).toBe('signature-unverified');
    expect(error.message).toContain(subject.root.digest);
  });
});
