import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { attachLegacy, type LegacyLayer } from '../../src/sign/legacy.ts';
import { legacyTag } from '../../src/sign/legacy-signature.ts';
import { searchSignatures } from '../../src/sign/search.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import type { Signer } from '../../src/sign/signer.ts';
import { clientOf, failureOf, opened, SHORT } from '../servers/clients.ts';
import { newKeySigner } from '../servers/key.ts';
import { DIGEST, makerOf, setUp as startKeyless } from '../servers/keyless.ts';
import { startRegistry, type TestRegistry } from '../servers/registry.ts';

const TAG = legacyTag(DIGEST);

async function setUp() {
  const [keyless, registry] = await Promise.all([startKeyless(), opened(startRegistry())]);
  const client = clientOf(registry);
  const sign = (signer: Signer, annotations = {}) =>
    makerOf(signer, keyless.sigstore, keyless.options.transport, annotations).legacy(DIGEST, client.name);
  const find = (verifier: SignatureVerifier) =>
    searchSignatures(client, DIGEST, verifier, { formats: ['legacy'], isPresent: true });
  return { ...keyless, registry, client, sign, find };
}

/** What lies under the tag, as cosign would read it. */
function stored(registry: TestRegistry) {
  const contents = registry.repository('acme/app');
  const manifest = JSON.parse(contents.manifests.get(contents.tags.get(TAG) ?? '')?.bytes.toString() ?? '{}');
  const config = JSON.parse(contents.blobs.get(manifest.config.digest)?.toString() ?? '{}');
  return { manifest, config };
}

const signatureOf = ({ annotations }: { annotations: Record<string, string> }) =>
  annotations['dev.cosignproject.cosign/signature'];

describe('a signature in the older format', () => {
  it('carries the certificate, its chain and the word of the log, and verifies', async () => {
    const { create, client, find, trust, issuer } = await setUp();
    const maker = await create();
    await attachLegacy(client, DIGEST, [await maker.legacy(DIGEST, client.name)]);
    expect(await find(trust)).toMatchObject([
      { format: 'legacy', fault: undefined, signatory: { identity: { issuer: issuer.url } } },
    ]);
  });

  it('names the repository that it is for: Docker Hub by the name that verifiers know', async () => {
    const { create } = await setUp();
    const maker = await create();
    const nameIn = async (repository: string): Promise<unknown> => {
      const { payload } = await maker.legacy(DIGEST, repository);
      return JSON.parse(payload.toString()).critical.identity['docker-reference'];
    };
    expect(await nameIn('ghcr.io/acme/app')).toBe('ghcr.io/acme/app');
    expect(await nameIn('docker.io/acme/app')).toBe('index.docker.io/acme/app');
  });

  it('by a key carries no certificate', async () => {
    const { sign, client, find, sigstore } = await setUp();
    const signer = newKeySigner();
    const layer = await sign(signer, { env: 'prod' });
    expect(Object.keys(layer.annotations).sort()).toEqual([
      'dev.cosignproject.cosign/signature',
      'dev.sigstore.cosign/bundle',
    ]);
    await attachLegacy(client, DIGEST, [layer]);
    const verifier = new SignatureVerifier({ root: sigstore.root, keys: [signer.publicKey] });
    const { signatory } = signer;
    expect(await find(verifier)).toMatchObject([
      { fault: undefined, signatory, annotations: { env: 'prod' } },
    ]);
  });
});

describe('attaching it', () => {
  it('leaves what others have put there as it is, also what nobody here understands', async () => {
    const { sign, registry, client } = await setUp();
    const [first, second] = [await sign(newKeySigner()), await sign(newKeySigner())];
    await attachLegacy(client, DIGEST, [first]);
    const before = stored(registry);
    const foreign = { ...before.manifest, annotations: { note: 'theirs' } };
    foreign.layers[0].annotations.note = 'their layer';
    await client.putManifest(
      {
        bytes: Buffer.from(JSON.stringify(foreign)),
        mediaType: foreign.mediaType,
        digest: digestOf(Buffer.from(JSON.stringify(foreign))),
      },
      TAG,
    );
    await attachLegacy(client, DIGEST, [second]);
    const { manifest, config } = stored(registry);
    expect(manifest.annotations).toEqual({ note: 'theirs' });
    expect(manifest.layers[0]).toEqual(foreign.layers[0]);
    expect(manifest.layers.map(signatureOf)).toEqual([first, second].map(signatureOf));
    expect(config.rootfs.diff_ids).toEqual(manifest.layers.map((layer: { digest: string }) => layer.digest));
    expect(config.history).toHaveLength(2);
  });

  it('what is there already writes nothing', async () => {
    const { sign, registry, client } = await setUp();
    const layer = await sign(newKeySigner());
    await attachLegacy(client, DIGEST, [layer]);
    const puts = registry.count('PUT', /manifests/);
    await attachLegacy(client, DIGEST, [layer]);
    expect(registry.count('PUT', /manifests/)).toBe(puts);
  });

  it('keeps both where two do it at once, over the same payload', async () => {
    const { sign, registry, client } = await setUp();
    const layers = await Promise.all([sign(newKeySigner()), sign(newKeySigner()), sign(newKeySigner())]);
    await Promise.all(layers.map(layer => attachLegacy(client, DIGEST, [layer])));
    expect(new Set(stored(registry).manifest.layers.map(signatureOf))).toEqual(
      new Set(layers.map(signatureOf)),
    );
    expect(stored(registry).manifest.layers).toHaveLength(3);
  });

  it('is done again where another writer has overwritten it', async () => {
    const { sign, registry, client } = await setUp();
    const theirs = await sign(newKeySigner());
    await attachLegacy(client, DIGEST, [theirs]);
    const before = registry.repository('acme/app').tags.get(TAG) ?? '';
    let overwritten = 0;
    registry.on({
      method: 'GET',
      path: new RegExp(`manifests/${TAG}`),
      answer: () => {
        // Right after our first write somebody puts back what he had read before.
        const tags = registry.repository('acme/app').tags;
        if (tags.get(TAG) !== before && overwritten++ === 0) {
          const other = registry.repository('acme/app').manifests.get(before)?.bytes.toString() ?? '';
          const changed = JSON.stringify({ ...JSON.parse(other), annotations: { by: 'them' } });
          const digest = digestOf(Buffer.from(changed));
          const mediaType = 'application/vnd.oci.image.manifest.v1+json';
          registry.repository('acme/app').manifests.set(digest, { bytes: Buffer.from(changed), mediaType });
          tags.set(TAG, digest);
        }
      },
    });
    const ours = await sign(newKeySigner());
    await attachLegacy(client, DIGEST, [ours]);
    expect(overwritten).toBeGreaterThan(0);
    expect(stored(registry).manifest.annotations).toEqual({ by: 'them' });
    expect(stored(registry).manifest.layers.map(signatureOf)).toEqual([theirs, ours].map(signatureOf));
  });

  it('to a tag that holds no signatures is an error that leaves it alone', async () => {
    const { sign, registry, client } = await setUp();
    const bytes = Buffer.from('{"schemaVersion":2,"manifests":[]}');
    const content = { bytes, mediaType: 'application/vnd.oci.image.index.v1+json', digest: digestOf(bytes) };
    await client.putManifest(content, TAG);
    const layer: LegacyLayer = await sign(newKeySigner());
    const error = await failureOf(() => attachLegacy(client, DIGEST, [layer]));
    expect(error.code).toBe('invalid-document');
    expect(registry.repository('acme/app').tags.get(TAG)).toBe(content.digest);
  });

  it('that the registry does not keep is an error', async () => {
    const { sign, registry } = await setUp();
    registry.on({
      method: 'PUT',
      path: new RegExp(`manifests/${TAG}`),
      answer: (_, response) => sendJson(response, 201, {}),
    });
    const client = clientOf(registry, 'acme/app', SHORT);
    const layer = await sign(newKeySigner());
    const error = await failureOf(() => attachLegacy(client, DIGEST, [layer]));
    expect(error.code).toBe('registry-refused');
    expect(error.message).toContain(TAG);
  });
});
