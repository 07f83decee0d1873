import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { TYPES } from '../servers/images.ts';
import { writeFallback } from '../servers/referrers.ts';
import type { Json } from '../servers/signatures.ts';
import { startNegative, startUnsignedPlatform, UNSIGNED } from './negative.ts';
import { attach } from './released.ts';

/* What registries list: nothing, several pages, or no list at all. */

const UNSIGNED_PLATFORM = `linux/arm64: ${UNSIGNED}.`;
const LIMIT = { errors: [{ code: 'TOOMANYREQUESTS', message: 'slow down' }] };

describe('an empty list of referrers', () => {
  it.each([
    ['of the referrers API', 'api'],
    ['in a fallback tag', 'none'],
  ] as const)('%s means that nobody has signed', async (_, referrers) => {
    const release = await startNegative('identity', { referrers });
    const tag = release.arm64.replace(':', '-');
    if (referrers === 'none') writeFallback(release.contents, tag, { schemaVersion: 2, manifests: [] });
    const told = await release.verify({ images: release.name.replace(':1.0', `@${release.arm64}`) });
    expect(told).toMatchObject({
      code: 'verification-failed',
      problems: [expect.stringContaining(UNSIGNED_PLATFORM)],
    });
  });
});

describe('a list that could not be read is never "unsigned"', () => {
  it.each([
    ['429 of the referrers API', 'api', 'bundle', 'referrers/sha256:'],
    ['429 of the fallback tag', 'none', 'bundle', 'manifests/sha256-'],
    ['429 of the tag of the older format', 'api', 'legacy', 'manifests/sha256-'],
  ] as const)('%s', async (_, referrers, format, kind) => {
    const release = await startNegative('identity', { referrers });
    for (const digest of release.all) {
      release.sign(digest, format);
      if (referrers === 'none')
        writeFallback(release.contents, digest.replace(':', '-'), listOf(release, digest));
    }
    expect((await release.verify()).code).toBe('verified');
    const [hex, ending] = [release.arm64.slice(7), format === 'legacy' ? '\\.sig' : ''];
    release.registry.on({
      path: new RegExp(`${kind}${hex}${ending}$`),
      answer: (__, response) => sendJson(response, 429, LIMIT),
    });
    const told = await release.verify();
    expect(told.code).toBe('verification-incomplete');
    const why =
      /^linux\/arm64: could not tell: .* failed: the registry answered 429 TOOMANYREQUESTS: slow down\.$/;
    expect(told.problems).toEqual([expect.stringMatching(why)]);
    expect(told.log).toContain('COULD NOT TELL');
    expect(told.log).not.toContain('NOT SIGNED');
  });

  it.each([
    ['401', 401],
    ['403', 403],
    ['500', 500],
    ['503', 503],
  ])('%s, also where the rest is signed', async (_, status) => {
    const release = await startUnsignedPlatform();
    release.registry.on({
      path: new RegExp(`referrers/${release.arm64}`),
      answer: (__, response) => sendJson(response, status, {}),
    });
    const told = await release.verify();
    expect(told.code).toBe('verification-incomplete');
    expect(told.problems).toEqual([expect.stringMatching(/^linux\/arm64: could not tell: /)]);
  });

  it.each([
    ['no JSON', 'nothing'],
    ['no list', '{}'],
    ['of no descriptors', '{"manifests":[{"digest":"sha256:0"}]}'],
  ])('which is %s', async (_, text) => {
    const release = await startUnsignedPlatform();
    release.registry.on({
      path: new RegExp(`referrers/${release.arm64}`),
      answer: (__, response) => void response.writeHead(200, { 'content-type': TYPES.index }).end(text),
    });
    const told = await release.verify();
    expect(told.problems).toEqual([expect.stringMatching(/^linux\/arm64: could not tell: /)]);
    expect(told.code).toBe('verification-incomplete');
  });
});

function listOf({ contents }: Awaited<ReturnType<typeof startNegative>>, subject: Digest): Json {
  const manifests = [...contents.manifests].flatMap(([digest, { bytes, mediaType }]) => {
    const { subject: named, artifactType, annotations } = JSON.parse(bytes.toString());
    return named?.digest === subject
      ? [{ mediaType, digest, size: bytes.length, artifactType, annotations }]
      : [];
  });
  return { schemaVersion: 2, mediaType: TYPES.index, manifests };
}

describe('a list of several pages', () => {
  const sbom = { artifactType: 'application/spdx+json' };

  /** Whose first page holds what is no signature. */
  async function startPaged() {
    const release = await startUnsignedPlatform({ pageSize: 2 });
    for (const text of ['one', 'two']) attach(release.contents, release.arm64, text, sbom);
    return release;
  }

  it('is read to its end: a signature that only the second page names counts', async () => {
    const release = await startPaged();
    expect((await release.verify()).problems).toEqual([UNSIGNED_PLATFORM]);
    release.sign(release.arm64);
    expect((await release.verify()).code).toBe('verified');
  });

  it.each([
    ['fails', 503, {}],
    ['is not found', 404, {}],
    ['is no list', 200, { hello: 'world' }],
  ])('could not be read where its second page %s', async (_, status, body) => {
    const release = await startPaged();
    release.sign(release.arm64);
    release.registry.on({ path: /from=2/, answer: (__, response) => sendJson(response, status, body) });
    const told = await release.verify();
    expect(told.code).toBe('verification-incomplete');
    expect(told.problems).toEqual([expect.stringMatching(/^linux\/arm64: could not tell: /)]);
  });

  it.each([
    ['leads to another host', 'http://127.0.0.2:1/v2/', /continues its list of referrers on another host/],
    ['never ends', '?from=0', /lists more than 100 pages or 16 MiB of referrers/],
  ])('could not be read where it %s', async (_, next, words) => {
    const release = await startPaged();
    release.registry.on({
      path: new RegExp(`referrers/${release.arm64}`),
      answer: (__, response) => void response.setHeader('link', `<${next}>; rel="next"`),
    });
    const told = await release.verify();
    expect(told.code).toBe('verification-incomplete');
    expect(told.problems).toEqual([expect.stringMatching(words)]);
  });
});
