import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { Attestation, ImageReport } from '../../src/verify/report.ts';
import { SHORT } from '../servers/clients.ts';
import { writeFallback } from '../servers/referrers.ts';
import type { Json } from '../servers/signatures.ts';
import { attach, digestOf, problemsOf, startRelease } from './released.ts';
import { COMMIT, inToto, PREDICATES, PROVENANCE_1, SOURCE, SPDX, WORKFLOW_PROVENANCE } from './statements.ts';

const attachedTo = ({ manifests }: ImageReport, position = 0): readonly Attestation[] =>
  manifests[position]?.attestations ?? [];
const provenanceOf = (subject: Digest): Json => inToto(subject, PROVENANCE_1, WORKFLOW_PROVENANCE, 'v1');
const OTHER = 'https://github.com/evil/app/.github/workflows/release.yml@refs/tags/v1';
const bare = { layers: () => [] };

describe('an attestation that is attached and signed', () => {
  it('to each platform meets what is asked of it', async () => {
    const release = await startRelease(bare);
    const images = Object.values(release.images).map(digestOf);
    for (const digest of images) release.attest(digest, provenanceOf(digest));
    const expected = { source: SOURCE, revision: COMMIT };
    const report = await release.verify({ requirements: ['provenance'], expected });
    expect(problemsOf(report)).toEqual([]);
    expect(attachedTo(report, 1)).toMatchObject([
      {
        origin: 'referrer',
        kind: 'provenance',
        fault: undefined,
        signatory: { kind: 'certificate' },
        provenance: { ...expected, toldBy: 'builder' },
      },
    ]);
    const sbom = await release.verify({ requirements: ['sbom'] });
    expect(problemsOf(sbom)).toEqual([
      'missing-attestation: linux/amd64',
      'missing-attestation: linux/arm64',
    ]);
  });

  it('to the index counts for every platform in it', async () => {
    const release = await startRelease(bare);
    const index = digestOf(release.index);
    release.attest(index, provenanceOf(index));
    release.attest(index, inToto(index, SPDX, PREDICATES[SPDX], 'v1'));
    const report = await release.verify({ requirements: ['provenance', 'sbom'] });
    expect(problemsOf(report)).toEqual([]);
    expect(
      attachedTo(report)
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(['provenance', 'sbom']);
  });

  it('to one platform does not count for another', async () => {
    const release = await startRelease(bare);
    const amd64 = digestOf(release.images.amd64);
    release.attest(amd64, provenanceOf(amd64));
    expect(problemsOf(await release.verify({ requirements: ['provenance'] }))).toEqual([
      'missing-attestation: linux/arm64',
    ]);
  });

  const wrong: [string, (subject: Digest) => Json, Json, string][] = [
    ['by somebody else', provenanceOf, { certified: { name: OTHER } }, 'wrong-identity'],
    ['by another issuer', provenanceOf, { certified: { issuer: 'https://evil.example' } }, 'wrong-identity'],
    ['about another image', () => provenanceOf(`sha256:${'0'.repeat(64)}`), {}, 'wrong-subject'],
    ['without a log entry', provenanceOf, { isLogged: false }, 'no-log-entry'],
    ['outside of its time', provenanceOf, { loggedAt: new Date('2030-01-01') }, 'outside-validity'],
    ['whose predicate is none', subject => inToto(subject, PROVENANCE_1, {}, 'v1'), {}, 'illegible'],
    [
      'from elsewhere',
      subject =>
        inToto(
          subject,
          PROVENANCE_1,
          JSON.parse(JSON.stringify(WORKFLOW_PROVENANCE).replaceAll('acme/app', 'acme/fork')),
          'v1',
        ),
      {},
      'wrong-source',
    ],
  ];
  it.each(wrong)('%s does not count, and is shown', async (_, statement, making, fault) => {
    const release = await startRelease(bare);
    const amd64 = digestOf(release.images.amd64);
    release.attest(amd64, statement(amd64), making);
    const expected = { source: SOURCE, revision: undefined };
    const report = await release.verify({ requirements: ['provenance'], expected }, `@${amd64}`);
    expect(attachedTo(report)).toMatchObject([{ fault }]);
    expect(problemsOf(report)).toEqual(['broken-attestation: linux/amd64']);
    // A good one beside it is enough: whoever may push may attach bad ones.
    release.attest(amd64, provenanceOf(amd64));
    expect((await release.verify({ requirements: ['provenance'], expected }, `@${amd64}`)).verdict).toBe(
      'verified',
    );
  });

  it('and says another type than its listing does not count', async () => {
    const release = await startRelease(bare);
    const amd64 = digestOf(release.images.amd64);
    const bundle = release.foundry.bundle(amd64, { payload: inToto(amd64, SPDX, PREDICATES[SPDX], 'v1') });
    attach(release.contents, amd64, bundle, {
      annotations: { 'dev.sigstore.bundle.predicateType': PROVENANCE_1 },
    });
    const report = await release.verify({ requirements: ['provenance'] }, `@${amd64}`);
    expect(attachedTo(report)).toMatchObject([{ fault: 'wrong-type' }]);
  });

  it.each([
    ['holds no bundle', { layerType: 'text/plain' }],
    ['is about another image', { manifest: { subject: undefined } }],
  ])('that is listed but %s is illegible', async (_, changes) => {
    const release = await startRelease({ ...bare, referrers: 'none' });
    const amd64 = digestOf(release.images.amd64);
    const annotations = { 'dev.sigstore.bundle.predicateType': PROVENANCE_1 };
    const bundle = release.foundry.bundle(amd64, { payload: provenanceOf(amd64) });
    const { descriptor } = attach(release.contents, amd64, bundle, { annotations, ...changes });
    release.registry.on({
      path: /referrers/,
      answer: (__, response) =>
        sendJson(response, 200, {
          schemaVersion: 2,
          manifests: [
            { ...descriptor, artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json', annotations },
          ],
        }),
    });
    const report = await release.verify({ requirements: ['provenance'] }, `@${amd64}`);
    expect(attachedTo(report)).toMatchObject([{ fault: 'illegible' }]);
    expect(report.verdict).toBe('failed');
  });

  it('is found in a fallback tag that describes nothing', async () => {
    const release = await startRelease({ ...bare, referrers: 'none' });
    const { contents } = release;
    const amd64 = digestOf(release.images.amd64);
    const attached = [release.attest(amd64, provenanceOf(amd64)), release.sign(amd64)];
    const manifests = attached.map(({ descriptor }) => descriptor);
    writeFallback(contents, amd64.replace(':', '-'), { schemaVersion: 2, manifests });
    const report = await release.verify({ requirements: ['signatures', 'provenance'] }, `@${amd64}`);
    expect(problemsOf(report)).toEqual([]);
    // The signature beside it is none.
    expect(attachedTo(report)).toMatchObject([{ kind: 'provenance', fault: undefined }]);
  });

  it('is told from a signature that says nowhere outside what it is', async () => {
    const release = await startRelease(bare);
    const amd64 = digestOf(release.images.amd64);
    attach(release.contents, amd64, release.foundry.bundle(amd64));
    const report = await release.verify({}, `@${amd64}`);
    expect(report.verdict).toBe('verified');
    expect(attachedTo(report)).toEqual([]);
  });

  it('that a registry does not give leaves the image unknown', async () => {
    const release = await startRelease({ ...bare, retry: SHORT });
    const amd64 = digestOf(release.images.amd64);
    const { descriptor } = release.attest(amd64, provenanceOf(amd64));
    release.registry.on({
      path: new RegExp(descriptor.digest),
      answer: (_, response) => sendJson(response, 503, {}),
    });
    const report = await release.verify({ requirements: ['provenance'] }, `@${amd64}`);
    expect(problemsOf(report)).toEqual(['unknown: linux/amd64']);
  });

  it('may lie among more than are read: then it is not known whether there is one', async () => {
    const release = await startRelease(bare);
    const amd64 = digestOf(release.images.amd64);
    for (let count = 0; count < 100; count++) {
      const annotations = { 'dev.sigstore.bundle.predicateType': PROVENANCE_1, count: String(count) };
      attach(release.contents, amd64, 'no bundle', { annotations });
    }
    const asked = release.registry.log.length;
    const report = await release.verify({ requirements: ['provenance'] }, `@${amd64}`);
    expect(problemsOf(report)).toEqual(['unknown: linux/amd64']);
    expect(release.registry.log.length - asked).toBeLessThan(2 * 64 + 20);
    expect((await release.verify({ requirements: [] }, `@${amd64}`)).verdict).toBe('verified');
  });
});
