import { describe, expect, it } from 'vitest';
import { startFaultProxy } from '../../lab/parts/fault-proxy.ts';
import { serve } from '../../lab/parts/http.ts';
import type { Descriptor } from '../../src/oci/manifest.ts';
import { copyManifests } from '../../src/registry/copy.ts';
import { clientOf, failureOf, opened, registries, SHORT } from '../servers/clients.ts';
import { type Made, made, pushImage, storeManifest, TYPES } from '../servers/images.ts';
import {
  type Answer,
  type Contents,
  type RegistryOptions,
  sha256,
  startRegistry,
} from '../servers/registry.ts';
import { answer } from '../servers/repository.ts';

/** Two registries, an image with its attestation in the first. */
async function twoRegistries() {
  const [from, to] = [await opened(startRegistry()), await opened(startRegistry())];
  const held = from.repository('acme/app');
  const image = pushImage(held);
  return {
    from,
    to,
    held,
    image,
    manifests: descriptorsOf(image),
    arrived: to.repository('acme/app'),
    source: clientOf(from),
    target: clientOf(to),
  };
}

const descriptorsOf = ({ manifest, attestation }: { manifest: Made; attestation: Made | undefined }) =>
  [manifest, attestation].flatMap(thing => thing?.descriptor ?? []);

/** An image whose layers are these. */
function pushLayers(contents: Contents, layers: readonly Made[]): Descriptor {
  const config = made(TYPES.config, '{"os":"linux","architecture":"amd64"}');
  const manifest = made(TYPES.manifest, {
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
  });
  for (const { bytes, descriptor } of [config, ...layers]) contents.blobs.set(descriptor.digest, bytes);
  storeManifest(contents, manifest);
  return manifest.descriptor;
}

const layer = (text: string, size = 0): Made => {
  const bytes = Buffer.concat([Buffer.from(text), Buffer.alloc(size)]);
  const digest = sha256(bytes) as Descriptor['digest'];
  return { bytes, descriptor: { mediaType: TYPES.layer, digest, size: bytes.length } };
};

const OCI_FOREIGN = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip';
const DOCKER_FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
const ELSEWHERE = 'https://example.com/layer';

const sorted = (values: Iterable<unknown>) => [...values].map(String).sort();

describe('copying manifests to another registry', () => {
  it('brings a manifest that is about another one after that', async () => {
    const { from, to, source, target, held } = await twoRegistries();
    const content = layer('content');
    const image = pushLayers(held, [content]);
    const empty = made('application/vnd.oci.empty.v1+json', '{}');
    const about = made(TYPES.manifest, {
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      config: empty.descriptor,
      layers: [],
      subject: image,
    });
    held.blobs.set(empty.descriptor.digest, empty.bytes);
    storeManifest(held, about);
    // The image's layer comes when all that the other one consists of is there already.
    const { promise, resolve } = Promise.withResolvers<void>();
    to.on({ method: 'PUT', path: new RegExp(empty.descriptor.digest.slice(7)), answer: () => resolve() });
    from.on({ method: 'GET', path: new RegExp(content.descriptor.digest), answer: () => promise });
    await copyManifests([source], target, [about.descriptor, image]);
    const puts = to.log.filter(({ method, path }) => method === 'PUT' && path.includes('/manifests/'));
    expect(puts.map(({ path }) => path.split('/').at(-1))).toEqual([image.digest, about.descriptor.digest]);
  });

  it('brings them with all they consist of, byte for byte, and no tag', async () => {
    const { source, target, held, arrived, manifests } = await twoRegistries();
    await copyManifests([source], target, manifests);
    expect(arrived.manifests.size).toBe(manifests.length);
    for (const { digest } of manifests)
      expect(arrived.manifests.get(digest)).toEqual(held.manifests.get(digest));
    expect(sorted(arrived.blobs.keys())).toEqual(sorted(held.blobs.keys()));
    expect([...arrived.blobs.values()].every(bytes => held.blobs.get(sha256(bytes))?.equals(bytes))).toBe(
      true,
    );
    expect(arrived.tags.size).toBe(0);
  });

  it('asks for each manifest and each blob that is there, and moves none', async () => {
    const { from, to, source, target, held, manifests } = await twoRegistries();
    await copyManifests([source], target, manifests);
    from.log.length = 0;
    to.log.length = 0;
    await copyManifests([source], clientOf(to), manifests);
    const all = [...manifests.map(({ digest }) => digest), ...held.blobs.keys()];
    expect(sorted(to.log.map(({ method, path }) => `${method} ${path.split('/').at(-1)}`))).toEqual(
      sorted(all.map(digest => `HEAD ${digest}`)),
    );
    expect(from.count('GET', /blobs/)).toBe(0);
  });

  it('brings the blobs of a manifest that is there without them, and leaves the manifest', async () => {
    const { to, source, target, held, image, manifests, arrived } = await twoRegistries();
    await copyManifests([source], target, manifests);
    to.log.length = 0;
    const gone = [
      image.config.descriptor.digest,
      JSON.parse(image.manifest.bytes.toString()).layers[0].digest,
    ];
    for (const digest of gone) arrived.blobs.delete(digest);
    await copyManifests([source], clientOf(to), manifests);
    expect(sorted(arrived.blobs.keys())).toEqual(sorted(held.blobs.keys()));
    expect(to.count('PUT', /blobs/)).toBe(gone.length);
    expect(to.count('PUT', /manifests/)).toBe(0);
  });

  it('brings a blob that several manifests name once, and one that is there not at all', async () => {
    const { from, to, source, target, held, arrived } = await twoRegistries();
    const [shared, known] = [layer('shared'), layer('known')];
    const one = pushLayers(held, [shared, known, layer('one')]);
    const two = pushLayers(held, [shared, known, shared, layer('two')]);
    arrived.blobs.set(known.descriptor.digest, known.bytes);
    await copyManifests([source], target, [one, two, one]);
    expect(from.count('GET', new RegExp(shared.descriptor.digest))).toBe(1);
    expect(from.count('GET', new RegExp(known.descriptor.digest))).toBe(0);
    expect(to.count('PUT', /blobs/)).toBe(4);
    expect(to.count('HEAD', new RegExp(known.descriptor.digest))).toBe(1);
    expect(to.count('PUT', /manifests/)).toBe(2);
  });

  it('puts the manifest when all its blobs are there, and waits while the registry does not see them yet', async () => {
    const { to, source, target, manifests, arrived } = await twoRegistries();
    to.on({ method: 'PUT', path: /manifests/, times: 2, answer: answer(400, 'MANIFEST_BLOB_UNKNOWN') });
    await copyManifests([source], target, manifests.slice(0, 1));
    expect(arrived.manifests.has(manifests[0]?.digest ?? '')).toBe(true);
    const methods = to.log.map(({ method, path }) => `${method} ${path.split('/')[4]}`);
    expect(methods.lastIndexOf('PUT blobs')).toBeLessThan(methods.indexOf('PUT manifests'));
  });

  it('misses a manifest that the registry says it took and has not', async () => {
    const { to, source, manifests } = await twoRegistries();
    const digest = manifests[0]?.digest ?? '';
    to.on({
      method: 'PUT',
      path: new RegExp(`manifests/${digest}`),
      answer: (_, response) => void response.writeHead(201, { 'docker-content-digest': digest }).end(),
    });
    const error = await failureOf(() =>
      copyManifests([source], clientOf(to, 'acme/app', SHORT), manifests.slice(0, 1)),
    );
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toContain(`${digest}, but does not show it`);
  });

  it('waits for a source that does not show yet what was pushed to it', async () => {
    const { from, source, target, manifests, arrived } = await twoRegistries();
    from.on({ path: /manifests/, times: 2, answer: answer(404, 'MANIFEST_UNKNOWN') });
    from.on({ method: 'GET', path: /blobs/, times: 2, answer: answer(404, 'BLOB_UNKNOWN') });
    await copyManifests([source], target, manifests);
    expect(arrived.manifests.size).toBe(2);
  });

  it('tells of each blob and manifest, once', async () => {
    const { source, target, manifests, held } = await twoRegistries();
    const lines: string[] = [];
    await copyManifests([source], target, manifests, { onProgress: line => lines.push(line) });
    const named = [...held.blobs.keys(), ...manifests.map(({ digest }) => digest)];
    expect(named.map(name => lines.filter(line => line.includes(name)).length)).toEqual(named.map(() => 1));
  });

  it.each([
    ["OCI's", OCI_FOREIGN],
    ["Docker's", DOCKER_FOREIGN],
  ])('leaves a layer where it is that has %s foreign type and an address', async (_, mediaType) => {
    const descriptor = { ...layer('foreign').descriptor, mediaType, urls: [ELSEWHERE] };
    const { from, to, source, target, held, arrived } = await twoRegistries();
    const manifest = pushLayers(held, [{ bytes: Buffer.from('x'), descriptor }, layer('own')]);
    held.blobs.delete(descriptor.digest);
    to.on({
      method: 'PUT',
      path: /manifests/,
      answer: (seen, response) => {
        arrived.manifests.set(manifest.digest, { bytes: seen.body, mediaType: TYPES.manifest });
        response.writeHead(201).end();
      },
    });
    const lines: string[] = [];
    await copyManifests([source], target, [manifest], { onProgress: line => lines.push(line) });
    expect(lines.filter(line => line.startsWith('left '))).toEqual([
      `left ${descriptor.digest} where it is: its layer is not to be distributed`,
    ]);
    expect([...from.log, ...to.log].some(({ path }) => path.includes(descriptor.digest))).toBe(false);
    expect(arrived.blobs.has(layer('own').descriptor.digest)).toBe(true);
  });

  it.each([
    ["OCI's foreign type and no address", { mediaType: OCI_FOREIGN }],
    ["Docker's foreign type and no address", { mediaType: DOCKER_FOREIGN, urls: [] }],
    ['an address and no foreign type', { urls: [ELSEWHERE] }],
  ])('brings a layer that has %s', async (_, change) => {
    const { source, target, held, arrived } = await twoRegistries();
    const { bytes, descriptor } = layer('content');
    const manifest = pushLayers(held, [{ bytes, descriptor: { ...descriptor, ...change } }]);
    await copyManifests([source], target, [manifest]);
    expect(arrived.blobs.get(descriptor.digest)?.equals(bytes)).toBe(true);
  });

  it('refuses an index, and what is not as its descriptor says', async () => {
    const { to, source, target, image, manifests } = await twoRegistries();
    const [manifest] = manifests as [Descriptor];
    for (const [wrong, reason] of [
      [image.root.descriptor, 'only manifests are copied'],
      [{ ...manifest, size: manifest.size + 1 }, 'than its index says'],
      [{ ...manifest, mediaType: TYPES.dockerManifest }, 'than its index says'],
    ] as const) {
      const error = await failureOf(() => copyManifests([source], target, [wrong]));
      expect(error.code).toBe('invalid-document');
      expect(error.message).toContain(wrong.digest);
      expect(error.message).toContain(reason);
    }
    expect(to.count('PUT', /./)).toBe(0);
  });

  it('says what the source does not hold', async () => {
    const { from, target, held, image, manifests } = await twoRegistries();
    held.blobs.delete(image.config.descriptor.digest);
    const source = clientOf(from, 'acme/app', SHORT);
    const error = await failureOf(() => copyManifests([source], target, manifests));
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toContain(image.config.descriptor.digest);
  });
});

describe('copying from one of several repositories', () => {
  /** Two that hold the same image, and one that gets it. */
  async function threeRegistries() {
    const near = await twoRegistries();
    const far = await opened(startRegistry());
    const distant = far.repository('acme/app');
    pushImage(distant);
    // What is not there is waited for: not for long.
    const source = clientOf(near.from, 'acme/app', SHORT);
    const copy = () => copyManifests([source, clientOf(far, 'acme/app', SHORT)], near.target, near.manifests);
    return { ...near, far, distant, copy };
  }

  it('asks nothing of the others where the first holds everything', async () => {
    const { far, copy, arrived, held, manifests } = await threeRegistries();
    await copy();
    expect(far.log).toEqual([]);
    expect(sorted(arrived.manifests.keys())).toEqual(sorted(manifests.map(({ digest }) => digest)));
    expect(sorted(arrived.blobs.keys())).toEqual(sorted(held.blobs.keys()));
  });

  it('goes on to the next for a manifest and for a blob that are not there', async () => {
    const { held, distant, image, copy, arrived, manifests, far } = await threeRegistries();
    const gone = [image.manifest.descriptor.digest, image.config.descriptor.digest] as const;
    held.manifests.delete(gone[0]);
    held.blobs.delete(gone[1]);
    await copy();
    expect(sorted(arrived.manifests.keys())).toEqual(sorted(manifests.map(({ digest }) => digest)));
    expect(sorted(arrived.blobs.keys())).toEqual(sorted(distant.blobs.keys()));
    expect(sorted(far.log.map(({ path }) => path.split('/').at(-1)))).toEqual(sorted(gone));
  });

  it('goes on to the next where another copy has met the loss first', async () => {
    const { from, far, to, held, distant } = await threeRegistries();
    const shared = layer('shared');
    const manifests = ['first', 'second'].map(own => {
      pushLayers(held, [shared, layer(own)]);
      return pushLayers(distant, [shared, layer(own)]);
    });
    held.blobs.delete(shared.descriptor.digest);
    // The second copy wants the layer when the first has begun to look for it.
    const { promise, resolve } = Promise.withResolvers<void>();
    to.on({ method: 'HEAD', path: new RegExp(shared.descriptor.digest), answer: () => resolve() });
    far.on({ method: 'GET', path: new RegExp(`manifests/${manifests[1]?.digest}`), answer: () => promise });
    const target = clientOf(to, 'acme/app', SHORT);
    const [lossy, whole] = [clientOf(from, 'acme/app', SHORT), clientOf(far, 'acme/app', SHORT)];
    // Without a further source the first cannot be had, and the second can all the same.
    const copies = [copyManifests([lossy], target, manifests.slice(0, 1))];
    copies.push(copyManifests([whole], target, manifests.slice(1)));
    const [first, second] = await Promise.allSettled(copies);
    expect([first?.status, second?.status]).toEqual(['rejected', 'fulfilled']);
    expect(to.repository('acme/app').blobs.has(shared.descriptor.digest)).toBe(true);
  });

  it('says what none of them holds, and where it was looked for first', async () => {
    const { held, distant, image, copy, source } = await threeRegistries();
    for (const contents of [held, distant]) contents.manifests.delete(image.manifest.descriptor.digest);
    const error = await failureOf(copy);
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toContain(`${source.name}@${image.manifest.descriptor.digest}`);
  });

  it('goes on to no other for a fault, and for content that is another', async () => {
    const { held, far, image, copy, from } = await threeRegistries();
    held.blobs.set(image.config.descriptor.digest, Buffer.from('other'));
    expect((await failureOf(copy)).code).toBe('digest-mismatch');
    from.on({ answer: answer(403, 'DENIED') });
    expect((await failureOf(copy)).code).toBe('registry-forbidden');
    expect(far.log).toEqual([]);
  });
});

const reset: Answer = (_, response) => {
  response.socket?.resetAndDestroy();
  response.destroy();
};

describe('a blob on its way', () => {
  it.each([
    ['other bytes', (bytes: Buffer) => Buffer.alloc(bytes.length, 'x')],
    ['fewer bytes', (bytes: Buffer) => bytes.subarray(1)],
    ['more bytes', (bytes: Buffer) => Buffer.concat([bytes, bytes])],
    ['no bytes', () => Buffer.alloc(0)],
  ])('with %s than its descriptor names never becomes one', async (_, change) => {
    const { to, source, target, held, arrived } = await twoRegistries();
    const content = layer('the content of a layer', 100_000);
    const manifest = pushLayers(held, [content]);
    held.blobs.set(content.descriptor.digest, change(content.bytes));
    // The target would take anything.
    to.on({
      method: 'PUT',
      path: new RegExp(encodeURIComponent(content.descriptor.digest)),
      answer: (seen, response) => {
        arrived.blobs.set(content.descriptor.digest, seen.body);
        response.writeHead(201).end();
      },
    });
    const error = await failureOf(() => copyManifests([source], target, [manifest]));
    expect(error.code).toBe('digest-mismatch');
    expect(error.message).toContain(content.descriptor.digest);
    expect(arrived.blobs.has(content.descriptor.digest)).toBe(false);
    expect(arrived.manifests.size).toBe(0);
  });

  it('is not refused for a wrong size in the descriptor only after it was uploaded', async () => {
    const { source, target, held, arrived } = await twoRegistries();
    const content = layer('content');
    const { digest, size } = content.descriptor;
    const manifest = pushLayers(held, [
      { ...content, descriptor: { ...content.descriptor, size: size + 1 } },
    ]);
    const error = await failureOf(() => copyManifests([source], target, [manifest]));
    expect(error.code).toBe('digest-mismatch');
    expect(arrived.blobs.has(digest)).toBe(false);
  });

  it('passes through: its beginning is with the target before its end has left the source', async () => {
    const { source, target, from, to, held } = await twoRegistries();
    const content = layer('content', 1_000_000);
    const manifest = pushLayers(held, [content]);
    const half = content.bytes.length / 2;
    let begun = () => {};
    const beginning = new Promise<void>(resolve => {
      begun = resolve;
    });
    from.on({
      path: new RegExp(`blobs/${content.descriptor.digest}`),
      answer: async (_, response) => {
        response.writeHead(200, { 'content-length': content.bytes.length });
        response.write(content.bytes.subarray(0, half));
        await beginning;
        response.end(content.bytes.subarray(half));
      },
    });
    const storage = await opened(
      serve(async (request, response) => {
        let length = 0;
        for await (const chunk of request) {
          length += (chunk as Buffer).length;
          if (length > half / 2) begun();
        }
        to.repository('acme/app').blobs.set(content.descriptor.digest, content.bytes);
        response.writeHead(201).end();
      }),
    );
    to.on({
      method: 'POST',
      answer: (_, response) => void response.writeHead(202, { location: `${storage.url}/session` }).end(),
    });
    const config = made(TYPES.config, '{"os":"linux","architecture":"amd64"}');
    to.repository('acme/app').blobs.set(config.descriptor.digest, config.bytes);
    const lines: string[] = [];
    await copyManifests([source], target, [manifest], { onProgress: line => lines.push(line) });
    expect(lines.filter(line => line.startsWith('uploaded '))).toEqual([
      expect.stringContaining(content.descriptor.digest),
    ]);
  });

  it('that breaks off at the source is begun anew, in a new session', async () => {
    const { from, to, target, held, arrived } = await twoRegistries();
    const content = layer('content', 500_000);
    const manifest = pushLayers(held, [content]);
    const proxy = await opened(startFaultProxy({ target: from.url }));
    proxy.fail({ path: new RegExp(content.descriptor.digest), on: 1, action: { truncate: 200_000 } });
    await copyManifests([clientOf(proxy)], target, [manifest]);
    expect(arrived.blobs.get(content.descriptor.digest)?.equals(content.bytes)).toBe(true);
    expect(sessionsFor(to.log, content).length).toBeLessThanOrEqual(2);
    expect(to.count('POST', /./)).toBe(3);
  });

  it.each<[string, Answer]>([
    ['ends with 503', answer(503, 'UNAVAILABLE')],
    ['is not known any more', answer(404, 'BLOB_UPLOAD_UNKNOWN')],
    ['wants other bytes', answer(416, 'BLOB_UPLOAD_INVALID')],
    ['breaks', reset],
  ])('whose session %s begins a new one, and leaves the old alone', async (_, fault) => {
    const { to, source, target, held, arrived } = await twoRegistries();
    const content = layer('content', 50_000);
    const manifest = pushLayers(held, [content]);
    const path = new RegExp(encodeURIComponent(content.descriptor.digest));
    to.on({ method: 'PUT', path, times: 2, answer: fault });
    await copyManifests([source], target, [manifest]);
    expect(arrived.blobs.get(content.descriptor.digest)?.equals(content.bytes)).toBe(true);
    const sessions = sessionsFor(to.log, content);
    expect(sessions).toHaveLength(3);
    expect(new Set(sessions).size).toBe(3);
  });

  it('is missed where a registry says that it took it, and did not', async () => {
    const { to, source, held } = await twoRegistries();
    const content = layer('content', 50_000);
    const manifest = pushLayers(held, [content]);
    to.on({ method: 'PUT', path: /uploads/, answer: (_, response) => void response.writeHead(201).end() });
    const error = await failureOf(() => copyManifests([source], clientOf(to, 'acme/app', SHORT), [manifest]));
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toMatch(/took the blob \S+, but does not show it/);
    expect(to.count('PUT', /manifests/)).toBe(0);
  });

  it('whose sessions always end is given up', async () => {
    const { to, source, target, held } = await twoRegistries();
    const content = layer('content');
    const manifest = pushLayers(held, [content]);
    to.on({
      method: 'PUT',
      path: new RegExp(encodeURIComponent(content.descriptor.digest)),
      answer: answer(404, 'BLOB_UPLOAD_UNKNOWN'),
    });
    const error = await failureOf(() => copyManifests([source], target, [manifest]));
    expect(error.code).toBe('registry-not-found');
    expect(error.message).toContain(content.descriptor.digest);
    expect(sessionsFor(to.log, content)).toHaveLength(5);
  });

  it('shares the way with three others of its size', async () => {
    const { from, source, target, held } = await twoRegistries();
    const many = Array.from({ length: 8 }, (_, number) => layer(`big ${number}`, 4 * 1024 * 1024));
    const manifest = pushLayers(held, many);
    let active = 0;
    let most = 0;
    from.on({
      path: /blobs/,
      answer: (_, response) => {
        most = Math.max(most, ++active);
        response.once('close', () => active--);
      },
    });
    await copyManifests([source], target, [manifest]);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(5); // four of them, and the config
  });
});

/** The upload sessions that got this blob, in order. */
function sessionsFor(log: readonly { method: string; path: string }[], { descriptor }: Made): string[] {
  return log
    .filter(({ method, path }) => method === 'PUT' && path.includes(encodeURIComponent(descriptor.digest)))
    .map(({ path }) => path.split('?')[0] ?? '');
}

describe('copying within one registry', () => {
  async function oneRegistry(options: RegistryOptions = {}) {
    const registry = await opened(startRegistry(options));
    const held = registry.repository('acme/build');
    const image = pushImage(held);
    const target = registry.repository('acme/app');
    const clients = registries();
    const at = (path: string) => clients.repository({ registry: registry.host, path });
    const copy = () => copyManifests([at('acme/build')], at('acme/app'), descriptorsOf(image));
    return { registry, held, target, copy };
  }
  const MOUNTS_NOTHING = { habits: { mounts: () => false } };

  it('mounts the blobs and moves none', async () => {
    const { registry, held, target, copy } = await oneRegistry();
    await copy();
    expect(sorted(target.blobs.keys())).toEqual(sorted(held.blobs.keys()));
    expect(registry.count('GET', /blobs/)).toBe(0);
    expect(registry.count('PUT', /blobs/)).toBe(0);
  });

  it('uploads in the session that a registry opens instead of mounting', async () => {
    const { registry, held, target, copy } = await oneRegistry(MOUNTS_NOTHING);
    await copy();
    expect(registry.count('PUT', /blobs/)).toBe(held.blobs.size);
    expect(sorted(target.blobs.keys())).toEqual(sorted(held.blobs.keys()));
    expect(registry.count('POST', /./)).toBe(held.blobs.size);
  });

  it.each([401, 403, 404, 405])('uploads where a mount is answered with %d', async status => {
    const { registry, held, target, copy } = await oneRegistry();
    registry.on({ method: 'POST', path: /mount=/, answer: answer(status, 'NO') });
    await copy();
    expect(sorted(target.blobs.keys())).toEqual(sorted(held.blobs.keys()));
  });

  it('uploads where a registry says that it mounted, and did not', async () => {
    const { registry, held, target, copy } = await oneRegistry();
    const location = '/v2/acme/app/blobs/elsewhere';
    registry.on({
      method: 'POST',
      path: /mount=/,
      answer: (_, response) => void response.writeHead(201, { location }).end(),
    });
    await copy();
    expect(sorted(target.blobs.keys())).toEqual(sorted(held.blobs.keys()));
  });

  it('tries no mount from another registry', async () => {
    const { source, target, to, manifests } = await twoRegistries();
    await copyManifests([source], target, manifests);
    expect(to.log.some(({ path }) => path.includes('mount='))).toBe(false);
  });

  it('does not end for want of connections', async () => {
    const { registry, held, target } = await oneRegistry(MOUNTS_NOTHING);
    const layers = Array.from({ length: 60 }, (_, number) => layer(`layer ${number}`, 200_000));
    const manifest = pushLayers(held, layers);
    const at = (path: string) => clientOf(registry, path, SHORT);
    await copyManifests([at('acme/build')], at('acme/app'), [manifest]);
    expect(target.manifests.has(manifest.digest)).toBe(true);
  });
});
