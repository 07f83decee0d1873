import { createSign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { startOidcIssuer } from '../../lab/parts/oidc-issuer.ts';
import { hexOf } from '../../src/oci/digest.ts';
import { descriptorOf, manifestContent } from '../../src/oci/manifest.ts';
import { attachBundle, formatBundle } from '../../src/sign/bundle.ts';
import { requestCertificate } from '../../src/sign/fulcio.ts';
import { identityOf } from '../../src/sign/identity.ts';
import { fetchIdentityToken } from '../../src/sign/identity-token.ts';
import { Keyless } from '../../src/sign/keyless.ts';
import { logSignature } from '../../src/sign/rekor.ts';
import { chooseServices } from '../../src/sign/services.ts';
import { preAuthenticationEncoding, signatureStatement } from '../../src/sign/statement.ts';
import { BundleVerifier, searchSignatures } from '../../src/sign/verify.ts';
import { clientOf, failureOf, opened, transport } from '../servers/clients.ts';
import { made, pushImage, storeManifest, TYPES } from '../servers/images.ts';
import { startRegistry } from '../servers/registry.ts';
import { startSigstore } from '../servers/sigstore.ts';
import { newAuthority, newKeys } from '../servers/x509.ts';

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

/** A signed image, and the means to sign more. */
async function setUp() {
  const [registry, issuer, sigstore] = await Promise.all([
    opened(startRegistry({ referrers: 'api' })),
    opened(startOidcIssuer()),
    opened(startSigstore()),
  ]);
  const contents = registry.repository('acme/app');
  const client = clientOf(registry, 'acme/app', { budget: 30, base: 1, longest: 2 });
  const { root } = pushImage(contents);
  const image = descriptorOf(manifestContent(root.bytes, TYPES.index));
  const services = chooseServices(sigstore.config, new Date());
  const options = { env: issuer.jobEnvironment(), services, transport: transport(), onSecret: () => {} };
  const keyless = new Keyless(options);
  const signer = await keyless.createSigner(await keyless.identify());
  const bundle = await signer.sign(image.digest);
  await attachBundle(client, image, bundle);
  const verifier = new BundleVerifier(sigstore.root);
  const search = () => searchSignatures(client, image.digest, verifier);
  return { registry, contents, client, image, signer, bundle, search };
}

/** A manifest that says that it is a signature of a subject, with this as its bundle. */
function pretend(
  contents: Awaited<ReturnType<typeof setUp>>['contents'],
  subject: object,
  bundle: string | undefined,
  artifactType = BUNDLE,
) {
  const layer = made(artifactType, bundle ?? '');
  if (bundle !== undefined) contents.blobs.set(layer.descriptor.digest, layer.bytes);
  const config = made('application/vnd.oci.empty.v1+json', '{}').descriptor;
  const layers = bundle === undefined ? [] : [layer.descriptor];
  const manifest = made(TYPES.manifest, {
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    artifactType,
    config,
    layers,
    subject,
  });
  storeManifest(contents, manifest);
  return { manifest, layer };
}

describe('the signatures of a manifest', () => {
  it('are found and verified', async () => {
    const { search, signer } = await setUp();
    expect(await search()).toEqual({ valid: [signer.identity], invalid: [] });
  });

  it('are none of what is not signed', async () => {
    const { client } = await setUp();
    const sigstore = await opened(startSigstore());
    const digest = made(TYPES.index, 'unsigned').descriptor.digest;
    expect(await searchSignatures(client, digest, new BundleVerifier(sigstore.root))).toEqual({
      valid: [],
      invalid: [],
    });
  });

  it.each([
    ['is no bundle', '{}'],
    ['is no JSON', 'nonsense'],
    ['is not there', undefined],
  ])('are judged each for itself: one that %s spoils no other', async (_, text) => {
    const { contents, image, search } = await setUp();
    pretend(contents, image, text);
    const found = await search();
    expect(found.valid).toHaveLength(1);
    expect(found.invalid).toHaveLength(1);
  });

  it('are not those of another image that somebody attached here', async () => {
    const { contents, client, image, signer, search } = await setUp();
    const other = made(TYPES.index, 'another image').descriptor;
    const bundle = await signer.sign(other.digest);
    await attachBundle(client, image, bundle);
    expect(contents.manifests.size).toBeGreaterThan(0);
    const { valid, invalid } = await search();
    expect(valid).toHaveLength(1);
    expect(invalid.join()).toContain('another image');
  });

  it('do not include a listed manifest that refers to another subject', async () => {
    const { registry, contents, image, bundle, search } = await setUp();
    const stray = pretend(contents, made(TYPES.index, 'other').descriptor, bundle.toString());
    const entry = { ...stray.manifest.descriptor, artifactType: BUNDLE };
    registry.on({
      path: new RegExp(`referrers/${image.digest}`),
      answer: (_, response) => sendJson(response, 200, { schemaVersion: 2, manifests: [entry] }),
    });
    const { valid, invalid } = await search();
    expect(valid).toEqual([]);
    expect(invalid.join()).toContain('does not refer to it');
  });

  it.each([
    ['a size that nobody should download', { size: 10_000_000_000 }],
    ['another media type', { mediaType: 'application/octet-stream' }],
  ])('do not include a bundle that is said to have %s', async (_, changes) => {
    const { registry, contents, image, bundle, search } = await setUp();
    const layer = made(BUNDLE, bundle.toString());
    const manifest = made(TYPES.manifest, {
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      artifactType: BUNDLE,
      config: layer.descriptor,
      layers: [{ ...layer.descriptor, ...changes }],
      subject: image,
      annotations: { made: 'by somebody else' },
    });
    storeManifest(contents, manifest);
    const before = registry.count('GET', /blobs/);
    const { valid, invalid } = await search();
    expect(valid).toHaveLength(1);
    expect(invalid.join()).toContain('holds no Sigstore bundle');
    expect(registry.count('GET', /blobs/) - before).toBe(1);
  });

  it('do not include a bundle whose bytes the registry changed', async () => {
    const { contents, bundle, search } = await setUp();
    const layer = made(BUNDLE, bundle.toString());
    contents.blobs.set(layer.descriptor.digest, Buffer.from(bundle.toString().replace('a', 'b')));
    const { valid, invalid } = await search();
    expect(valid).toEqual([]);
    expect(invalid).toHaveLength(1);
  });

  it('do not cost a look at other referrers: attestations and what is no bundle', async () => {
    const { registry, contents, image, search } = await setUp();
    const foreign = pretend(contents, image, '{}', 'application/vnd.example.sbom');
    await search();
    expect(registry.count('GET', new RegExp(foreign.manifest.descriptor.digest))).toBe(0);
  });

  it.each([
    ['listing', /referrers/],
    ['manifest', /manifests/],
    ['bundle', /blobs/],
  ])('are unknown, not missing, when the registry fails at the %s', async (_name, path) => {
    const { registry, search } = await setUp();
    registry.on({ method: 'GET', path, answer: (_, response) => sendJson(response, 503, {}) });
    expect((await failureOf(search)).code).toBe('registry-unavailable');
  });
});

describe('a bundle that states something else', () => {
  /** Signs any payload as soundly as ours are signed. */
  async function signed(
    payloadType: string,
    statement: object,
  ): Promise<{ bundle: Buffer; verifier: BundleVerifier }> {
    const [issuer, sigstore] = await Promise.all([opened(startOidcIssuer()), opened(startSigstore())]);
    const keys = newKeys();
    const token = await fetchIdentityToken(issuer.jobEnvironment(), transport(), () => {});
    const url = new URL(sigstore.url);
    const certificate = await requestCertificate(url, token, keys, transport());
    const payload = Buffer.from(JSON.stringify(statement));
    const signature = createSign('sha256')
      .update(preAuthenticationEncoding(payloadType, payload))
      .sign(keys.privateKey);
    const envelope = { payloadType, payload, signature, certificate };
    const entry = await logSignature({ url, version: 1 }, envelope, transport());
    return { bundle: formatBundle(envelope, [entry], []), verifier: new BundleVerifier(sigstore.root) };
  }

  const digest = made(TYPES.index, 'an image').descriptor.digest;
  const IN_TOTO = 'application/vnd.in-toto+json';
  const STATEMENT = JSON.parse(signatureStatement(digest).toString());

  it('is one of ours where it states what ours do', async () => {
    const { bundle, verifier } = await signed(IN_TOTO, STATEMENT);
    expect(verifier.verify(bundle, digest).name).toContain('release.yml');
  });

  it.each([
    [
      'an attestation',
      IN_TOTO,
      { ...STATEMENT, predicateType: 'https://slsa.dev/provenance/v1' },
      'no signature',
    ],
    ['another kind of payload', 'application/json', STATEMENT, 'no in-toto statement'],
    [
      'another type of statement',
      IN_TOTO,
      { ...STATEMENT, _type: 'https://in-toto.io/Statement/v0.1' },
      '_type',
    ],
    ['nothing of any subject', IN_TOTO, { ...STATEMENT, subject: [] }, 'another image'],
    [
      'another algorithm',
      IN_TOTO,
      { ...STATEMENT, subject: [{ digest: { sha512: hexOf(digest) } }] },
      'another image',
    ],
    ['no predicate type', IN_TOTO, { ...STATEMENT, predicateType: undefined }, 'predicateType'],
  ])('is no signature of the image: %s', async (_name, payloadType, statement, reason) => {
    const { bundle, verifier } = await signed(payloadType, statement);
    const error = await failureOf(() => verifier.verify(bundle, digest));
    expect(error.code).toBe('signature-unverified');
    expect(error.message).toContain(reason);
  });
});

describe('the identity of a certificate', () => {
  it('without name and issuer is an error', async () => {
    const { certificate } = newAuthority('nobody');
    expect((await failureOf(() => identityOf(certificate))).code).toBe('signing-failed');
  });
});

describe('an attached bundle', () => {
  it('looks as cosign 3 writes it', async () => {
    const { contents, image, bundle } = await setUp();
    const documents = [...contents.manifests.values()].map(({ bytes }) => JSON.parse(bytes.toString()));
    const attached = documents.find(document => document.subject !== undefined);
    expect(attached).toEqual({
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      artifactType: BUNDLE,
      config: made('application/vnd.oci.empty.v1+json', '{}').descriptor,
      layers: [made(BUNDLE, bundle.toString()).descriptor],
      subject: { mediaType: image.mediaType, digest: image.digest, size: image.size },
      annotations: {
        'dev.sigstore.bundle.content': 'dsse-envelope',
        'dev.sigstore.bundle.predicateType': 'https://sigstore.dev/cosign/sign/v1',
      },
    });
  });
});
