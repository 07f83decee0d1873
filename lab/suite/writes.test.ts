import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bothArchitectures } from '../images/synthetic.ts';
import { type Lab, startLab } from '../lab.ts';
import { type FaultProxy, type LoggedRequest, startFaultProxy } from '../parts/fault-proxy.ts';
import type { Registry, RegistryKind } from '../parts/registries.ts';
import { merge, type Release } from '../pipeline.ts';
import type { RunResult } from '../runner.ts';
import { buildAll, KINDS, mergeAll } from './components.ts';
import { mergeJson, Oracles } from './oracles.ts';
import { builtDigests } from './stored-records.ts';

// What a merge writes to a registry and in which order, and what it leaves as it is.

let lab: Lab;
let oracles: Oracles;

beforeAll(async () => {
  lab = await startLab({ registries: KINDS, artifacts: true });
  oracles = new Oracles(lab);
});

afterAll(() => lab?.close());

describe.each(KINDS)('the registry %s', kind => {
  describe('behind a proxy that counts', () => {
    const TAGS = 'latest, 1.2, 1.2.3';
    /** Config, layer and statement of two platforms, and the empty config that their attestations share. */
    const BLOBS = 7;
    let registry: Registry;
    let proxy: FaultProxy;
    let release: Release;
    let requests: readonly LoggedRequest[];
    let first: RunResult;
    let inputs: Readonly<Record<string, string>>;
    let other: string;
    let copiedTo: string;
    const copied = (tag: string): string => `${registry.host}/acme/copied:${tag}`;

    beforeAll(async () => {
      registry = lab.registry(kind);
      const ca = registry.ca === undefined ? {} : { ca: await readFile(registry.ca) };
      proxy = await startFaultProxy({ target: registry.url, ...ca });
      if (registry.credentials) await lab.login(proxy.host, registry.credentials);
      release = await buildAll(lab, proxy.host, { source: bothArchitectures({ attestation: 'artifact' }) });
      const next = KINDS[(KINDS.indexOf(kind) + 1) % KINDS.length] as RegistryKind;
      other = `${lab.registry(next).host}/acme/from-${kind}`;
      copiedTo = `${proxy.host}/acme/copied`;
      inputs = { sign: 'none', images: `${copiedTo}\n${other}` };
      proxy.reset();
      first = await mergeAll(release, { ...inputs, tags: TAGS });
      requests = [...proxy.log];
    });

    afterAll(() => proxy?.close());

    test('what was built in another repository is there without the upload of a single blob', async () => {
      for (const { method, path, status } of writes(requests).filter(each => each.path.includes('/blobs/'))) {
        expect({ method, status }).toEqual({ method: 'POST', status: 201 });
        expect(path).toMatch(/^\/v2\/acme\/copied\/blobs\/uploads\/\?(?:.*&)?mount=sha256(?::|%3A)/);
      }
      // crane's registry keeps the blobs of all repositories together: there they are found already.
      expect(arrivals(first, copiedTo)).toEqual(Array(BLOBS).fill(kind === 'crane' ? 'found' : 'mounted'));
      const { platforms, digest } = mergeJson(first.outputs);
      expect(await oracles.digestOf(copied('1.2.3'))).toBe(digest);
      for (const each of platforms) await oracles.validate(`${registry.host}/acme/copied@${each.digest}`);
    });

    test('another registry holds the same image, whole', async () => {
      expect(arrivals(first, other)).toEqual(Array(BLOBS).fill('uploaded'));
      const { platforms, digest } = mergeJson(first.outputs);
      for (const tag of ['1.2.3', '1.2', 'latest']) {
        expect(await oracles.digestOf(`${other}:${tag}`)).toBe(digest);
      }
      for (const { digest: image, attestations } of platforms) {
        await oracles.validate(`${other}@${image}`);
        for (const each of attestations) expect(await oracles.digestOf(`${other}@${each}`)).toBe(each);
      }
    });

    test('manifests come first, then the index, then the fixed tag, the floating one and latest', () => {
      const { digest } = mergeJson(first.outputs);
      expect(puts(requests).slice(-4)).toEqual([digest, '1.2.3', '1.2', 'latest']);
      expect(puts(requests).slice(0, -4).sort()).toEqual(builtDigests(release, 'source').sort());
    });

    test('an attestation comes after the image that it names as its subject', () => {
      for (const { digest, attestations } of mergeJson(first.outputs).platforms) {
        expect(puts(requests).filter(each => [digest, ...attestations].includes(each))).toEqual([
          digest,
          ...attestations,
        ]);
      }
    });

    test('a second merge of the same records writes at most the same index again', async () => {
      proxy.reset();
      const again = await mergeAll(release, { ...inputs, tags: TAGS });
      expect(again.outputs.digest).toBe(first.outputs.digest);
      // Unsigned, it does not look for what it may push again without changing anything.
      const written = writes(proxy.log).filter(({ path }) => !path.endsWith(`/${first.outputs.digest}`));
      expect(written).toEqual([]);
    });

    test('tags of a newer version stay, and the tag of the older one is set', async () => {
      const older = await mergeAll(release, { ...inputs, tags: 'latest, 1.2, 1.2.2' });
      expect(older.outputs.digest).not.toBe(first.outputs.digest);
      const full = (tags: readonly string[]): string[] =>
        [copiedTo, other].flatMap(name => tags.map(tag => `${name}:${tag}`)).sort();
      expect(older.outputs.tags?.split('\n').sort()).toEqual(full(['1.2.2']));
      expect(older.outputs['unmoved-tags']?.split('\n').sort()).toEqual(full(['1.2', 'latest']));
      expect(await oracles.digestOf(copied('1.2.2'))).toBe(older.outputs.digest);
      const stayed = ['1.2', 'latest'].flatMap(tag => [copied(tag), `${other}:${tag}`]);
      const digests = await Promise.all(stayed.map(name => oracles.digestOf(name)));
      expect(new Set(digests)).toEqual(new Set([first.outputs.digest]));
    });

    test('an immutable tag that would move is refused before anything is written', async () => {
      proxy.reset();
      const changed = { annotations: 'index:org.example.more=1', 'immutable-tags': '*.*.*' };
      const refused = await merge(release, { with: { ...inputs, ...changed, tags: '1.2.3, next' } });
      expect(refused.exitCode).toBe(1);
      expect(refused.annotations.map(({ title }) => title).join()).toContain('tag-immutable');
      expect(writes(proxy.log)).toEqual([]);
      expect(await oracles.digestOf(copied('1.2.3'))).toBe(first.outputs.digest);
      expect(await oracles.digestOf(copied('next'))).toBeUndefined();
    });
  });
});

/** How each blob came to a repository, as the log of the merge tells. */
function arrivals({ log }: RunResult, image: string): string[] {
  return log.split('\n').flatMap(line => {
    const [, arrival, name] = /^(\w+) sha256:\w+ \(\d+ bytes\) in (\S+)$/.exec(line) ?? [];
    return arrival !== undefined && name === image ? [arrival] : [];
  });
}

function writes(requests: readonly LoggedRequest[]): LoggedRequest[] {
  return requests.filter(({ method }) => !['GET', 'HEAD'].includes(method));
}

/** What was put under `manifests/` of the proxied repository, in its order. */
function puts(requests: readonly LoggedRequest[]): string[] {
  return requests.flatMap(({ method, path }) =>
    method === 'PUT' ? [path.replace('/v2/acme/copied/manifests/', '')] : [],
  );
}
