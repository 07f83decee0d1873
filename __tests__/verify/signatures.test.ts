import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { certificatePolicy } from '../../src/verify/wish.ts';
import { claim } from '../servers/certification.ts';
import { SHORT } from '../servers/clients.ts';
import { made, storeManifest, TYPES } from '../servers/images.ts';
import { writeFallback } from '../servers/referrers.ts';
import { attach, digestOf, HOME, problemsOf, startRelease } from './released.ts';

const OTHER = 'https://github.com/evil/app/.github/workflows/release.yml@refs/tags/v1';

describe('a signature', () => {
  it.each([
    ['by somebody else', { certified: { name: OTHER } }, 'wrong-identity', OTHER],
    [
      'by another issuer',
      { certified: { issuer: 'https://evil.example' } },
      'wrong-identity',
      'https://evil.example',
    ],
    [
      'outside of the time of its certificate',
      { loggedAt: new Date('2030-01-01') },
      'outside-validity',
      '2030',
    ],
    ['that no log has', { isLogged: false }, 'no-log-entry', ''],
  ] as const)('%s does not count, and is shown with its reason', async (_, making, outcome, word) => {
    const release = await startRelease({ layers: () => [] });
    release.signAll(making);
    const report = await release.verify();
    expect(problemsOf(report)).toEqual([
      'unsigned: the index',
      'unsigned: linux/amd64',
      'unsigned: linux/arm64',
    ]);
    expect(report.problems[0]?.message).toContain(word);
    expect(report.manifests[0]?.signatures).toMatchObject([
      { outcome, objection: report.problems[0]?.message.replace(/.*?: /, '') },
    ]);
  });

  it('that is good is enough, and the bad ones beside it are shown', async () => {
    const release = await startRelease({ layers: () => [] });
    release.signAll({ certified: { name: OTHER } });
    release.signAll({ payload: 'no statement' });
    release.signAll();
    const report = await release.verify();
    expect(report.verdict).toBe('verified');
    const outcomes = report.manifests.map(({ signatures }) =>
      typeof signatures === 'string' ? signatures : signatures.map(({ outcome }) => outcome).sort(),
    );
    expect(outcomes).toEqual(Array.from({ length: 3 }, () => ['accepted', 'illegible', 'wrong-identity']));
  });

  it('that only its listing calls one is illegible', async () => {
    const release = await startRelease({ layers: () => [] });
    const amd64 = digestOf(release.images.amd64);
    attach(release.contents, amd64, release.foundry.bundle(amd64), { layerType: 'text/plain' });
    const report = await release.verify({}, `@${amd64}`);
    expect(report.manifests[0]?.signatures).toMatchObject([{ outcome: 'illegible' }]);
    expect(problemsOf(report)).toEqual(['unsigned: linux/amd64']);
  });

  it('of another image says nothing of this one', async () => {
    const release = await startRelease();
    const [amd64, arm64] = [digestOf(release.images.amd64), digestOf(release.images.arm64)];
    attach(release.contents, arm64, release.foundry.bundle(amd64));
    const report = await release.verify({}, `@${arm64}`);
    expect(report.manifests[0]?.signatures).toMatchObject([{ outcome: 'wrong-subject' }]);
    expect(report.verdict).toBe('failed');
  });

  it('in the older format counts as much', async () => {
    const release = await startRelease({ layers: () => [] });
    for (const digest of release.all) {
      const { payload, annotations } = release.foundry.legacy(digest);
      const layer = made('application/vnd.dev.cosign.simplesigning.v1+json', payload.toString());
      const config = made(TYPES.config, '{}');
      for (const { bytes, descriptor } of [layer, config])
        release.contents.blobs.set(descriptor.digest, bytes);
      const manifest = made(TYPES.manifest, {
        schemaVersion: 2,
        mediaType: TYPES.manifest,
        config: config.descriptor,
        layers: [{ ...layer.descriptor, annotations }],
      });
      storeManifest(release.contents, manifest);
      release.contents.tags.set(`${digest.replace(':', '-')}.sig`, digestOf(manifest));
    }
    const report = await release.verify();
    expect(problemsOf(report)).toEqual([]);
    expect(report.manifests[1]?.signatures).toMatchObject([{ format: 'legacy', outcome: 'accepted' }]);
  });

  it('tells whose run it was, where a reusable workflow has made it', async () => {
    const release = await startRelease({ layers: () => [] });
    const called = 'https://github.com/acme/tools/.github/workflows/publish.yml@refs/heads/main';
    release.signAll({ certified: { name: called, extensions: [claim(12, 'https://github.com/acme/app')] } });
    expect((await release.verify()).verdict).toBe('failed');
    const policyOf = (sourceRepository: string) =>
      certificatePolicy({ identity: undefined, issuer: undefined, sourceRepository }, () => HOME);
    expect((await release.verify({ policy: policyOf('acme/app') })).verdict).toBe('verified');
    const other = await release.verify({ policy: policyOf('acme/ap') });
    expect(other.problems[0]?.message).toContain('its source repository is https://github.com/acme/app');
  });
});

describe('an image with attestations and no signature', () => {
  it('is not signed, and hears of the difference', async () => {
    const release = await startRelease({ layers: () => [] });
    for (const digest of release.all) {
      release.attest(digest, {
        _type: 'https://in-toto.io/Statement/v1',
        subject: [{ digest: { sha256: digest.slice(7) } }],
        predicateType: 'https://example.com/scan/v1',
        predicate: {},
      });
    }
    const report = await release.verify();
    expect(report.verdict).toBe('failed');
    expect(report.problems[0]?.message).toContain(
      'only attestations. "cosign verify" does not tell them apart',
    );
    expect(report.manifests[0]?.otherAttestations).toEqual(['https://example.com/scan/v1']);
  });
});

describe('what could not be asked for', () => {
  it.each([
    ['a rate limit', 429],
    ['a lack of rights', 403],
    ['a server error', 500],
  ])('is told as that, and never as unsigned: %s', async (_, status) => {
    const release = await startRelease({ layers: () => [], retry: SHORT });
    const [amd64, arm64] = [digestOf(release.images.amd64), digestOf(release.images.arm64)];
    for (const digest of release.all.filter(other => other !== amd64)) release.sign(digest);
    release.registry.on({
      path: new RegExp(`referrers/${arm64}`),
      answer: (__, response) => sendJson(response, status, {}),
    });
    const report = await release.verify();
    // What could be told of the others is told all the same.
    expect(problemsOf(report)).toEqual(['unknown: linux/arm64', 'unsigned: linux/amd64']);
    expect(report.problems[0]?.message).toMatch(/^could not tell: /);
    expect(report.manifests[2]?.signatures).toBe('unknown');
    release.sign(amd64);
    expect(await release.verify()).toMatchObject({ verdict: 'unknown' });
  });

  it('is told where whole pages are missing', async () => {
    const release = await startRelease({ layers: () => [], pageSize: 2, retry: SHORT });
    for (let count = 0; count < 3; count++) release.signAll({ certified: { name: OTHER } });
    release.signAll();
    // The good signature stands on the second page.
    expect(await release.verify()).toMatchObject({ verdict: 'verified' });
    release.registry.on({ path: /from=2/, answer: (_, response) => sendJson(response, 503, {}) });
    expect(await release.verify()).toMatchObject({ verdict: 'unknown' });
  });

  it('is told where there is more than is read, although a valid one of somebody else is among it', async () => {
    const release = await startRelease({ layers: () => [] });
    const amd64 = digestOf(release.images.amd64);
    const foreign = release.foundry.bundle(amd64, { certified: { name: OTHER } });
    // The same bundle in ever other manifests: what anybody may do who may push.
    for (let count = 0; count < 300; count++)
      attach(release.contents, amd64, foreign, { annotations: { count: String(count) } });
    const report = await release.verify({}, `@${amd64}`);
    expect(report.verdict).toBe('unknown');
    expect(problemsOf(report)).toEqual(['unknown: linux/amd64']);
  });

  it('is not told by an empty list: that means that there is none', async () => {
    const release = await startRelease({ layers: () => [] });
    expect((await release.verify()).problems[0]).toMatchObject({
      kind: 'unsigned',
      message: 'it has no signature',
    });
  });
});

describe('where there is no referrers API', () => {
  it('the fallback tag is read', async () => {
    const release = await startRelease({ layers: () => [], referrers: 'none' });
    const { contents } = release;
    for (const digest of release.all) {
      const { descriptor } = release.sign(digest);
      writeFallback(contents, digest.replace(':', '-'), { schemaVersion: 2, manifests: [descriptor] });
    }
    expect(problemsOf(await release.verify())).toEqual([]);
  });
});
