import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { readBuilds } from '../../src/publish/read-builds.ts';
import type { BuildRecord } from '../../src/records/record.ts';
import { failureOf, SHORT } from '../servers/clients.ts';
import {
  attestationDescriptor,
  made,
  PROVENANCE,
  pushImage,
  storeManifest,
  TYPES,
} from '../servers/images.ts';
import { buildsOf, setUp } from './built.ts';

const ARM64 = 'linux/arm64';

describe('the builds of a component', () => {
  it('are read with what they hold', async () => {
    const all = await setUp();
    const { builds, problems } = await buildsOf(all);
    expect(problems).toEqual([]);
    expect(builds.map(({ record }) => record)).toEqual(all.records);
    expect(builds.map(({ built }) => built.image.image.digest)).toEqual(
      [...all.images.values()].map(({ manifest }) => manifest.descriptor.digest),
    );
    expect(builds[0]?.built.predicateTypes).toEqual([PROVENANCE]);
  });

  it('are read whole from one registry, and their manifests and configs from the others, too', async () => {
    const all = await setUp({ registries: [{}, {}] });
    const { builds } = await buildsOf(all);
    expect(builds[0]?.source.name).toBe(all.names[0]);
    const [first, second] = all.registries;
    expect(first?.count('GET', /\/blobs\//)).toBe(2);
    expect(second?.count('GET', /\/blobs\//)).toBe(2);
    expect(second?.count('GET', /\/manifests\//)).toBe(4);
    // Their indexes are in the records.
    for (const { root } of all.images.values()) {
      expect(first?.count('GET', new RegExp(root.descriptor.digest))).toBe(0);
    }
  });

  it.each([
    ['wherever they go', undefined],
    ['where they go', 1],
  ])('are read once, when their records came: %s', async (_, from) => {
    const all = await setUp({ registries: [{}, {}] });
    const targets = from === undefined ? undefined : all.repositories.slice(from);
    for (const record of all.records) all.reader.begin(record, targets);
    const begun = await Promise.all(
      all.records.map(record => all.reader.read(record, all.names[from ?? 0] ?? '')),
    );
    for (const registry of all.registries) registry.log.length = 0;
    const { builds } = await readBuilds(all.records, targets ?? all.repositories.slice(0, 1), all.reader);
    expect(builds.map(({ built }) => built)).toEqual(begun);
    expect(all.registries.flatMap(({ log }) => log)).toEqual([]);
  });

  it('that cannot be read are nothing to anybody who does not ask for them', async () => {
    const all = await setUp({ retry: SHORT });
    const [record] = all.records;
    all.registries[0]?.repository('acme/app').manifests.clear();
    if (record === undefined) throw new Error('no record');
    all.reader.begin(record, undefined);
    const { problems } = await buildsOf({ ...all, records: [record] });
    expect(problems).toMatchObject([{ code: 'registry-not-found', platform: record.platform }]);
  });

  it('are read where they go: a name of the builds that is no target is left alone', async () => {
    const all = await setUp({ registries: [{}, {}] });
    const { builds } = await readBuilds(all.records, all.repositories.slice(1), all.reader);
    expect(builds.map(({ source }) => source.name)).toEqual([all.names[1], all.names[1]]);
    expect(all.registries[0]?.log).toEqual([]);
  });

  it('are read where they were pushed when they go elsewhere', async () => {
    const all = await setUp();
    const elsewhere = [{ registry: all.registries[0]?.host ?? '', path: 'acme/other' }];
    const { builds } = await readBuilds(all.records, elsewhere, all.reader);
    expect(builds.map(({ source }) => source.name)).toEqual([all.names[0], all.names[0]]);
  });

  it('that a registry shows late are waited for, there and in the others', async () => {
    const all = await setUp({ registries: [{}, {}] });
    for (const registry of all.registries) {
      registry.on({ path: /./, times: 3, answer: (_, response) => sendJson(response, 404, {}) });
    }
    expect((await buildsOf(all)).builds).toHaveLength(2);
  });
});

describe('a build that is not what its record says is a problem, with what to do', () => {
  it('when it is for another architecture', async () => {
    const all = await setUp({ platforms: ['linux/amd64'] });
    const wrong = all.record(ARM64, all.push(ARM64, { architecture: 'amd64', content: 'wrong' }));
    const { builds, problems } = await buildsOf({ ...all, records: [...all.records, wrong] });
    expect(builds).toHaveLength(1);
    expect(problems).toMatchObject([
      { code: 'wrong-architecture', component: 'app', platform: ARM64, expected: 'an image for linux/arm64' },
    ]);
    expect(problems[0]?.found).toContain('linux/amd64');
    expect(problems[0]?.remedy).toContain('re-run the job "build" of linux/arm64');
  });

  it.each([
    ['the first', 0],
    ['another', 1],
  ])('when %s of the registries lacks its manifest', async (_, position) => {
    const all = await setUp({ registries: [{}, {}], retry: SHORT });
    const { manifest } = all.images.get(ARM64) ?? {};
    all.registries[position]?.repository('acme/app').manifests.delete(manifest?.descriptor.digest ?? '');
    const { builds, problems } = await buildsOf(all);
    expect(builds.map(({ record }) => record.platform)).toEqual(['linux/amd64']);
    expect(problems).toMatchObject([{ code: 'registry-not-found', platform: ARM64 }]);
    expect(problems[0]?.found).toContain(all.registries[position]?.host);
  });

  it.each([0, 1])('when registry %d lacks its attestation manifest', async position => {
    const all = await setUp({ registries: [{}, {}], retry: SHORT });
    const { attestation } = all.images.get(ARM64) ?? {};
    all.registries[position]?.repository('acme/app').manifests.delete(attestation?.descriptor.digest ?? '');
    const { problems } = await buildsOf(all);
    expect(problems).toMatchObject([{ code: 'registry-not-found', platform: ARM64 }]);
  });

  it('when its record tells of an attestation that is not there', async () => {
    const all = await setUp();
    const invented = 'https://spdx.dev/Document';
    const records = all.records.map(record =>
      record.platform === ARM64 ? { ...record, attestations: [PROVENANCE, invented] } : record,
    );
    const { problems } = await buildsOf({ ...all, records });
    expect(problems).toMatchObject([{ code: 'tampered-record', platform: ARM64 }]);
    expect(problems[0]?.expected).toBe(`attestations of ${invented}`);
  });

  it('when its index is about another image, or about several', async () => {
    const all = await setUp();
    const contents = all.registries[0]?.repository('acme/app');
    const other = pushImage(contents as NonNullable<typeof contents>, { architecture: 's390x' });
    const image = all.images.get(ARM64);
    const stray = attestationDescriptor(
      other.attestation?.descriptor as never,
      other.manifest.descriptor.digest,
    );
    const records = [[stray], [other.manifest.descriptor]].map((more): BuildRecord => {
      const manifests = [image?.manifest.descriptor, ...more];
      const root = made(TYPES.index, { schemaVersion: 2, mediaType: TYPES.index, manifests });
      storeManifest(contents as NonNullable<typeof contents>, root);
      return all.record(ARM64, { ...other, root });
    });
    const { builds, problems } = await buildsOf({ ...all, records });
    expect(builds).toEqual([]);
    expect(problems.map(({ code }) => code)).toEqual(['tampered-record', 'tampered-record']);
  });

  it('and all of them are told, not the first alone', async () => {
    const all = await setUp({ retry: SHORT });
    for (const { manifest } of all.images.values()) {
      all.registries[0]?.repository('acme/app').manifests.delete(manifest.descriptor.digest);
    }
    const { problems } = await buildsOf(all);
    expect(problems.map(({ platform }) => platform)).toEqual([ARM64, 'linux/amd64']);
  });
});

it('a registry that cannot be asked says nothing of the builds: that is its own error', async () => {
  const all = await setUp({ retry: SHORT });
  all.registries[0]?.on({ answer: (_, response) => sendJson(response, 503, {}) });
  expect((await failureOf(() => buildsOf(all))).code).toBe('registry-unavailable');
  const denied = await setUp();
  denied.registries[0]?.on({ answer: (_, response) => sendJson(response, 403, {}) });
  expect((await failureOf(() => buildsOf(denied))).code).toBe('registry-forbidden');
});
