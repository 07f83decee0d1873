import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { legacyTag, readLegacySignatures, simpleSigningPayload } from '../../src/sign/legacy-signature.ts';
import { attachLegacy } from '../servers/attached.ts';
import { clientOf, failureOf, opened, SHORT } from '../servers/clients.ts';
import { made, storeManifest, TYPES } from '../servers/images.ts';
import { refuse, startRegistry } from '../servers/registry.ts';
import { newFoundry } from '../servers/signatures.ts';

const foundry = newFoundry();
const DIGEST = digestOf(Buffer.from('an image'));

async function setUp() {
  const registry = await opened(startRegistry());
  const contents = registry.repository('acme/app');
  const client = clientOf(registry, 'acme/app', SHORT);
  return { registry, contents, read: () => readLegacySignatures(client, DIGEST) };
}

describe('legacy signatures', () => {
  it('lie at a tag that names the image', () => {
    expect(legacyTag(DIGEST)).toBe(`sha256-${DIGEST.slice(7)}.sig`);
  });

  it('are read with all that belongs to them', async () => {
    const { contents, read } = await setUp();
    const { payload, annotations } = foundry.legacy(DIGEST, { stampedAt: new Date() });
    attachLegacy(contents, DIGEST, [{ payload, annotations }]);
    expect(await read()).toEqual({
      signatures: [
        {
          digest: digestOf(payload),
          payload,
          problem: undefined,
          signature: annotations['dev.cosignproject.cosign/signature'],
          certificate: annotations['dev.sigstore.cosign/certificate'],
          chain: annotations['dev.sigstore.cosign/chain'],
          logEntry: annotations['dev.sigstore.cosign/bundle'],
          timestamp: annotations['dev.sigstore.cosign/rfc3161timestamp'],
        },
      ],
      unread: 0,
    });
  });

  it('take what is empty for absent', async () => {
    const { contents, read } = await setUp();
    const { payload, annotations } = foundry.legacy(DIGEST);
    const certificate = { 'dev.sigstore.cosign/certificate': '' };
    attachLegacy(contents, DIGEST, [{ payload, annotations: { ...annotations, ...certificate } }]);
    expect((await read()).signatures[0]?.certificate).toBeUndefined();
  });

  it('are none where there is no such tag', async () => {
    const { read } = await setUp();
    expect(await read()).toEqual({ signatures: [], unread: 0 });
  });

  it.each([
    ['an index', TYPES.index, { schemaVersion: 2, mediaType: TYPES.index, manifests: [] }],
    ['nonsense', TYPES.manifest, 'nonsense'],
    ['something of another type', 'text/plain', {}],
  ])('cannot be read from %s', async (_, mediaType, document) => {
    const { contents, read } = await setUp();
    const manifest = made(mediaType, document);
    storeManifest(contents, manifest);
    contents.tags.set(legacyTag(DIGEST), manifest.descriptor.digest);
    expect((await read()).signatures).toMatchObject([
      {
        digest: manifest.descriptor.digest,
        payload: undefined,
        problem: expect.stringContaining('cannot be read'),
      },
    ]);
  });

  it.each([
    ['of another type', { mediaType: 'text/plain' }, 'is none of signatures'],
    ['said to be huge', { size: 10_000_000_000 }, 'at most'],
    ['of another size', { size: 3 }, 'cannot be read'],
  ])('cannot be read where a layer is %s, which spoils no other', async (_, changes, problem) => {
    const { contents, read } = await setUp();
    const layer = foundry.legacy(DIGEST);
    attachLegacy(contents, DIGEST, [{ ...layer, ...changes }, layer]);
    expect((await read()).signatures).toMatchObject([
      { payload: undefined, problem: expect.stringContaining(problem) },
      { payload: layer.payload, problem: undefined },
    ]);
  });

  it('cannot be read where a payload is gone', async () => {
    const { contents, read } = await setUp();
    attachLegacy(contents, DIGEST, [foundry.legacy(DIGEST)]);
    contents.blobs.clear();
    expect((await read()).signatures).toMatchObject([{ problem: expect.stringContaining('cannot be read') }]);
  });

  it.each([/manifests/, /blobs/])('are unknown where the registry fails at %s', async path => {
    const { registry, contents, read } = await setUp();
    attachLegacy(contents, DIGEST, [foundry.legacy(DIGEST)]);
    registry.on({ method: 'GET', path, answer: (_, response) => refuse(response, 500, 'UNKNOWN') });
    expect((await failureOf(read)).code).toBe('registry-unavailable');
  });
});

describe('the payload of a legacy signature', () => {
  it('is what cosign writes', () => {
    expect(simpleSigningPayload('ghcr.io/acme/app', DIGEST).toString()).toBe(
      `{"critical":{"identity":{"docker-reference":"ghcr.io/acme/app"},"image":{"docker-manifest-digest":"${DIGEST}"},"type":"cosign container image signature"},"optional":null}`,
    );
  });

  it('has its annotations in the order of their bytes, as Go writes them', () => {
    const annotations = { b: '<&>', a: '\u2028"\\', '10': 'x', '9': 'y', ['__proto__']: 'z' };
    const { optional } = JSON.parse(simpleSigningPayload('a', DIGEST, annotations).toString());
    expect(simpleSigningPayload('a', DIGEST, annotations).toString()).toContain(
      '"optional":{"10":"x","9":"y","__proto__":"z","a":"\\u2028\\"\\\\","b":"\\u003c\\u0026\\u003e"}}',
    );
    expect(optional).toMatchObject({ b: '<&>', a: '\u2028"\\' });
  });
});
