import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { type Handler, sendJson, serve } from '../../lab/parts/http.ts';
import { readBuiltImage } from '../../src/registry/image.ts';
import { listReferrers, pushReferrer } from '../../src/registry/referrers.ts';
import { clientOf, failureOf, opened, SHORT, transport } from '../servers/clients.ts';
import {
  attestationDescriptor,
  made,
  PROVENANCE,
  pushImage,
  storeManifest,
  TYPES,
} from '../servers/images.ts';
import { challenging, tokenFor } from '../servers/protected.ts';
import { ARTIFACT, readFallback, referrer, setUp, writeFallback } from '../servers/referrers.ts';
import { startRegistry } from '../servers/registry.ts';
import { newAuthority, newServer, pem } from '../servers/x509.ts';

const INDEX = { schemaVersion: 2, mediaType: TYPES.index };

/** A server that keeps what it was asked. */
async function watched(handler: Handler) {
  const seen: IncomingMessage[] = [];
  const server = await opened(
    serve((request, response) => {
      seen.push(request);
      request.resume();
      return handler(request, response);
    }),
  );
  return { seen, url: server.url };
}

describe('a list of referrers', () => {
  it('that goes on at another origin is refused, and the other is not asked', async () => {
    const { registry, subject, client } = await setUp({ referrers: 'api' });
    const foreign = await watched((_, response) => sendJson(response, 200, { ...INDEX, manifests: [] }));
    const link = `<${foreign.url}/v2/acme/app/referrers/${subject.digest}?n=1>; rel="next"`;
    registry.on({
      path: /referrers/,
      answer: (_, response) => sendJson(response, 200, { ...INDEX, manifests: [] }, { link }),
    });
    const error = await failureOf(() => listReferrers(client, subject.digest));
    expect(error.code).toBe('registry-refused');
    expect(foreign.seen).toEqual([]);
  });
});

const SHA512 = `sha512:${'ab'.repeat(64)}`;
const FOREIGN = { mediaType: TYPES.manifest, digest: SHA512, size: 7, artifactType: ARTIFACT };
const digestsIn = (document: { manifests: { digest: string }[] }): string[] =>
  document.manifests.map(({ digest }) => digest);

describe('a referrer by sha512 that somebody else attached', () => {
  it('is skipped in a listing', async () => {
    const { registry, subject, client } = await setUp({ referrers: 'api' });
    const { content } = referrer(subject, 1);
    const ours = { mediaType: TYPES.manifest, digest: content.digest, size: content.bytes.byteLength };
    registry.on({
      path: /referrers/,
      answer: (_, response) => sendJson(response, 200, { ...INDEX, manifests: [FOREIGN, ours] }),
    });
    expect(await listReferrers(client, subject.digest)).toEqual([ours]);
  });

  it('is skipped in the fallback tag, and stays there when we add ours', async () => {
    const { contents, subject, tag, client } = await setUp();
    contents.manifests.set(SHA512, { bytes: Buffer.from('{"a":1}'), mediaType: TYPES.manifest });
    writeFallback(contents, tag, { ...INDEX, manifests: [FOREIGN] });
    expect(await listReferrers(client, subject.digest)).toEqual([]);
    const { content } = referrer(subject, 1);
    await pushReferrer(client, content, subject.digest, { artifactType: ARTIFACT });
    expect(readFallback(contents, tag).manifests[0]).toEqual(FOREIGN);
    expect(digestsIn(readFallback(contents, tag))).toEqual([SHA512, content.digest]);
    expect((await listReferrers(client, subject.digest)).map(({ digest }) => digest)).toEqual([
      content.digest,
    ]);
  });
});

describe('a fallback tag', () => {
  it('gets all that one job adds at the same time, each written once', async () => {
    const { registry, contents, subject, tag, client } = await setUp();
    const all = Array.from({ length: 12 }, (_, number) => referrer(subject, number).content);
    await Promise.all(all.map(content => pushReferrer(client, content, subject.digest, {})));
    expect(digestsIn(readFallback(contents, tag)).sort()).toEqual(all.map(({ digest }) => digest).sort());
    expect(registry.count('PUT', /\/manifests\/sha256-/)).toBe(12);
  });

  it('with an entry whose manifest is gone loses that entry and keeps the others', async () => {
    const { registry, contents, subject, tag } = await setUp();
    const [dead, alive] = [referrer(subject, 7).content, referrer(subject, 8).content];
    const entryOf = ({ digest, bytes }: typeof dead) => ({
      mediaType: TYPES.manifest,
      digest,
      size: bytes.byteLength,
      artifactType: ARTIFACT,
    });
    storeManifest(contents, made(TYPES.manifest, Buffer.from(alive.bytes).toString()));
    contents.manifests.set(SHA512, { bytes: Buffer.from('{"a":1}'), mediaType: TYPES.manifest });
    writeFallback(contents, tag, { ...INDEX, manifests: [entryOf(dead), FOREIGN, entryOf(alive)] });
    registry.on({
      method: 'PUT',
      path: /\/manifests\/sha256-/,
      answer: ({ body }, response) => {
        if (!body.includes(dead.digest)) return;
        sendJson(response, 400, { errors: [{ code: 'MANIFEST_BLOB_UNKNOWN', detail: dead.digest }] });
      },
    });
    const { content } = referrer(subject, 1);
    const client = clientOf(registry, 'acme/app', SHORT);
    await pushReferrer(client, content, subject.digest, { artifactType: ARTIFACT });
    const { manifests } = readFallback(contents, tag);
    expect(manifests).toEqual([FOREIGN, entryOf(alive), entryOf(content)]);
  });
});

describe('a private authority', () => {
  async function tlsServer(authority: ReturnType<typeof newAuthority>, handler: Handler) {
    const { privateKey, certificate } = newServer('127.0.0.1', authority);
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    const seen: string[] = [];
    const server = await opened(
      serve(
        (request, response) => {
          seen.push(request.url ?? '');
          return handler(request, response);
        },
        { name: '127.0.0.1', key, cert: pem(certificate) },
      ),
    );
    return { seen, url: server.url };
  }

  it('is trusted for its own host only: not for the one that it redirects to', async () => {
    const authority = newAuthority('private authority');
    const ca = pem(authority.certificate);
    const other = await tlsServer(authority, (_, response) => void response.end('other'));
    const host = await tlsServer(authority, (request, response) => {
      const location = request.url === '/away' ? `${other.url}/arrived` : '/here';
      if (request.url === '/here') response.end('here');
      else response.writeHead(302, { location }).end();
    });
    const get = (url: string) =>
      transport({ retry: SHORT }).request({ method: 'GET', url: new URL(url), ca });
    // Both certificates are good, for who trusts the authority.
    expect((await get(`${host.url}/within`)).body.toString()).toBe('here');
    expect((await get(`${other.url}/asked`)).body.toString()).toBe('other');
    expect((await failureOf(() => get(`${host.url}/away`))).code).toBe('service-unreachable');
    expect(other.seen).toEqual(['/asked']);
  });
});

describe('a challenge from another origin, to which the registry redirects', () => {
  it.each(['bearer', 'basic'])('by %s is not answered with the login', async scheme => {
    const tokens = await watched((_, response) => sendJson(response, 200, { token: tokenFor('acme/app') }));
    const challenge =
      scheme === 'bearer' ? `Bearer realm="${tokens.url}/token",service="s"` : 'Basic realm="foreign"';
    const foreign = await watched((_, response) =>
      sendJson(response, 401, { errors: [{ code: 'UNAUTHORIZED' }] }, { 'www-authenticate': challenge }),
    );
    const { registry, client } = await challenging({}, undefined, SHORT);
    registry.on({
      path: /\/manifests\/latest$/,
      answer: (_, response) => void response.writeHead(307, { location: `${foreign.url}/blob` }).end(),
    });
    expect((await failureOf(() => client.findManifest('latest'))).code).toBe('registry-unauthorized');
    expect(foreign.seen.length).toBeGreaterThan(0);
    const asked = [...foreign.seen, ...registry.log];
    expect(asked.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
    expect(tokens.seen).toEqual([]);
    // Nor is it remembered for what is asked of the registry itself.
    await client.findManifest('other');
    expect(registry.log.at(-1)?.headers.authorization).toBeUndefined();
    expect(tokens.seen).toEqual([]);
  });
});

describe('an attestation manifest', () => {
  async function attested(lie: object = {}, predicate = PROVENANCE) {
    const registry = await opened(startRegistry());
    const contents = registry.repository('acme/app');
    const { manifest } = pushImage(contents, { attested: false });
    const statement = made('application/vnd.in-toto+json', { about: manifest.descriptor.digest });
    const config = made(TYPES.config, { os: 'unknown', architecture: 'unknown' });
    for (const { descriptor, bytes } of [statement, config]) contents.blobs.set(descriptor.digest, bytes);
    const annotations = { 'in-toto.io/predicate-type': predicate };
    const attestation = made(TYPES.manifest, {
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      config: config.descriptor,
      layers: [{ ...statement.descriptor, annotations }],
    });
    storeManifest(contents, attestation);
    const entry = attestationDescriptor({ ...attestation.descriptor, ...lie }, manifest.descriptor.digest);
    const platform = { os: 'linux', architecture: 'amd64' };
    const root = made(TYPES.index, { ...INDEX, manifests: [{ ...manifest.descriptor, platform }, entry] });
    storeManifest(contents, root);
    const client = clientOf(registry);
    const read = () => readBuiltImage(client, root.descriptor.digest);
    const predicates = async () => (await read()).predicateTypes;
    return { contents, attestation, read, predicates };
  }

  it('as its index describes it is read', async () => {
    expect(await (await attested()).predicates()).toEqual([PROVENANCE]);
  });

  it.each([
    ['size', { size: 1 }],
    ['media type', { mediaType: TYPES.dockerManifest }],
  ])('of another %s than its index says is refused', async (_, lie) => {
    const { read } = await attested(lie);
    expect((await failureOf(read)).code).toBe('invalid-document');
  });

  it('that is not there is missed', async () => {
    const { contents, attestation, read } = await attested();
    contents.manifests.delete(attestation.descriptor.digest);
    const error = await failureOf(read);
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toContain(attestation.descriptor.digest);
  });

  it.each(['\n', '\r', '\u2028'])(
    'whose predicate type has a line break (%j) is refused',
    async lineBreak => {
      const { predicates } = await attested({}, `https://a.example/v1${lineBreak}::warning::b`);
      const error = await failureOf(predicates);
      expect(error.code).toBe('invalid-document');
      expect(error.message).not.toContain(lineBreak);
    },
  );
});
