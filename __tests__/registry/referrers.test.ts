import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { listReferrers, pushReferrer } from '../../src/registry/referrers.ts';
import { clientOf, failureOf, opened, SHORT } from '../servers/clients.ts';
import { TYPES } from '../servers/images.ts';
import { ARTIFACT, referrer, setUp } from '../servers/referrers.ts';
import { startRegistry } from '../servers/registry.ts';

describe('a registry with the referrers API', () => {
  it('lists what was pushed with a subject, and gets no fallback tag', async () => {
    const { contents, subject, client } = await setUp({ referrers: 'api' });
    const { content, annotations } = referrer(subject, 1);
    await pushReferrer(client, content, subject.digest, { artifactType: ARTIFACT, annotations });
    expect(await listReferrers(client, subject.digest)).toEqual([
      {
        mediaType: TYPES.manifest,
        digest: content.digest,
        size: content.bytes.length,
        artifactType: ARTIFACT,
        annotations,
      },
    ]);
    expect([...contents.tags]).toEqual([]);
  });

  it('lists nothing of what nobody refers to', async () => {
    const { client } = await setUp({ referrers: 'api' });
    expect(await listReferrers(client, digestOf(Buffer.from('x')))).toEqual([]);
  });

  it('is read page by page to the end', async () => {
    const { contents, subject, client, registry } = await setUp({ referrers: 'api', pageSize: 3 });
    const all = [1, 2, 3, 4, 5, 6, 7].map(number => referrer(subject, number).content);
    for (const content of all)
      contents.manifests.set(content.digest, {
        bytes: Buffer.from(content.bytes),
        mediaType: TYPES.manifest,
      });
    const listed = await listReferrers(client, subject.digest);
    expect(listed.map(({ digest }) => digest).sort()).toEqual(all.map(({ digest }) => digest).sort());
    expect(registry.count('GET', /referrers/)).toBe(3);
  });

  it.each([404, 400, 403])(
    'that breaks off with %d between two pages is an error, not the end',
    async status => {
      const { registry, contents, subject } = await setUp({ referrers: 'api', pageSize: 1 });
      for (const number of [1, 2, 3]) {
        const { content } = referrer(subject, number);
        contents.manifests.set(content.digest, {
          bytes: Buffer.from(content.bytes),
          mediaType: TYPES.manifest,
        });
      }
      registry.on({ path: /from=2/, answer: (_, response) => sendJson(response, status, {}) });
      await failureOf(() => listReferrers(clientOf(registry, 'acme/app', SHORT), subject.digest));
    },
  );

  it('that continues on another host is an error: its pages are neither read nor left out', async () => {
    const { registry, subject, client } = await setUp({ referrers: 'api' });
    const elsewhere = await opened(startRegistry({ referrers: 'api' }));
    const link = `<${elsewhere.url}/v2/acme/app/referrers/${subject.digest}>; rel="next"`;
    registry.on({
      path: /referrers/,
      answer: (_, response) =>
        sendJson(response, 200, { schemaVersion: 2, mediaType: TYPES.index, manifests: [] }, { link }),
    });
    await failureOf(() => listReferrers(client, subject.digest));
    expect(elsewhere.log).toEqual([]);
  });

  it('without an end is an error', async () => {
    const { registry, subject, client } = await setUp({ referrers: 'api' });
    const link = '</v2/acme/app/referrers/again>; rel="next"';
    registry.on({
      path: /referrers/,
      answer: (_, response) =>
        sendJson(response, 200, { schemaVersion: 2, mediaType: TYPES.index, manifests: [] }, { link }),
    });
    const error = await failureOf(() => listReferrers(client, subject.digest));
    expect(error.code).toBe('registry-refused');
    expect(error.message).toContain('100 pages');
  });

  it.each([401, 403, 429, 500, 503])('that answers %d is an error and never "none"', async status => {
    const { registry, subject } = await setUp({ referrers: 'api' });
    registry.on({ path: /referrers/, answer: (_, response) => sendJson(response, status, {}) });
    const error = await failureOf(() => listReferrers(clientOf(registry, 'acme/app', SHORT), subject.digest));
    expect(error.code).toMatch(/^registry-/);
  });

  it.each([400, 404, 405])('that has listed once is not taken for one without it by %d', async status => {
    const { registry, subject, client } = await setUp({ referrers: 'api' });
    expect(await listReferrers(client, subject.digest)).toEqual([]);
    registry.on({ path: /referrers/, answer: (_, response) => sendJson(response, status, {}) });
    expect((await failureOf(() => listReferrers(client, subject.digest))).code).toMatch(/^registry-/);
    expect(client.referrersApi.isMissing).toBe(false);
  });

  it.each([['<html>'], ['{}'], ['null'], ['{"schemaVersion":2,"manifests":[{"digest":"x"}]}']])(
    'that answers %s is an error',
    async body => {
      const { registry, subject, client } = await setUp({ referrers: 'api' });
      registry.on({ path: /referrers/, answer: (_, response) => void response.end(body) });
      expect((await failureOf(() => listReferrers(client, subject.digest))).code).toBe('invalid-document');
    },
  );
});

describe('a registry that confirms the subject and has no referrers API', () => {
  it('gets the fallback tag, without which nobody would find the referrer', async () => {
    const { subject, client } = await setUp({ referrers: 'subject-only' });
    const { content } = referrer(subject, 1);
    // A merge looks for what is signed already before it signs.
    await listReferrers(client, subject.digest);
    await pushReferrer(client, content, subject.digest, { artifactType: ARTIFACT });
    expect((await listReferrers(client, subject.digest)).map(({ digest }) => digest)).toEqual([
      content.digest,
    ]);
  });
});

it('two referrers of one manifest are pushed one after the other, as registries lose one of two', async () => {
  const { registry, subject, client } = await setUp({ referrers: 'api' });
  let active = 0;
  let most = 0;
  registry.on({
    method: 'PUT',
    path: /\/manifests\//,
    answer: async () => {
      most = Math.max(most, ++active);
      // Long enough for all that are on their way to arrive.
      for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve));
      active--;
    },
  });
  const contents = [1, 2, 3].map(number => referrer(subject, number).content);
  await listReferrers(client, subject.digest);
  const description = { artifactType: ARTIFACT };
  await Promise.all(contents.map(content => pushReferrer(client, content, subject.digest, description)));
  expect(registry.count('PUT', /manifests/)).toBe(3);
  expect(most).toBe(1);
});
