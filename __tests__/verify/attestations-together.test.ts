import { describe, expect, it } from 'vitest';
import type { Attestation, ImageReport } from '../../src/verify/report.ts';
import { digestOf, problemsOf, type ReleaseOptions, startRelease } from './released.ts';
import { COMMIT, inToto, PROVENANCE_1, SOURCE, WORKFLOW_PROVENANCE } from './statements.ts';

const attestationsOf = ({ manifests }: ImageReport): Attestation[] =>
  manifests.flatMap(({ attestations }) => [...attestations]);

/** An image with BuildKit's attestations, and with a workflow's provenance about all of it. */
async function attestedTwice(options: ReleaseOptions = {}) {
  const release = await startRelease(options);
  const index = digestOf(release.index);
  release.attest(index, inToto(index, PROVENANCE_1, WORKFLOW_PROVENANCE, 'v1'));
  return release;
}
const asked = { requirements: ['provenance'], expected: { source: SOURCE, revision: COMMIT } } as const;

describe("BuildKit's attestations beside signed ones", () => {
  it('may agree with them', async () => {
    const release = await attestedTwice();
    const report = await release.verify(asked);
    expect(problemsOf(report)).toEqual([]);
    expect(attestationsOf(report).filter(({ kind }) => kind === 'provenance')).toHaveLength(3);
  });

  it('may say too little, as of a local folder', async () => {
    const predicate = { buildDefinition: { buildType: 'x', externalParameters: {} } };
    const layers: ReleaseOptions['layers'] = subject => [
      { content: inToto(subject, PROVENANCE_1, predicate) },
    ];
    const alone = await startRelease({ layers });
    expect(problemsOf(await alone.verify(asked))).toEqual([
      'broken-attestation: linux/amd64',
      'broken-attestation: linux/arm64',
    ]);
    const both = await attestedTwice({ layers });
    expect(problemsOf(await both.verify(asked))).toEqual([]);
  });

  it('must not say something else: whoever signed the image has signed that', async () => {
    const predicate = JSON.parse(JSON.stringify(WORKFLOW_PROVENANCE).replaceAll(SOURCE, `${SOURCE}2`));
    const release = await attestedTwice({
      layers: subject => [{ content: inToto(subject, PROVENANCE_1, predicate) }],
    });
    const report = await release.verify(asked);
    expect(problemsOf(report)).toEqual([
      'broken-attestation: the attestation manifest of linux/amd64',
      'broken-attestation: the attestation manifest of linux/arm64',
    ]);
    expect(report.problems[0]?.message).toBe(`its source repository is ${SOURCE}2`);
  });

  it('must be legible, as nobody knows what they would have said', async () => {
    const release = await attestedTwice({ layers: () => [{ content: {} }] });
    expect(problemsOf(await release.verify(asked))).toEqual([
      'broken-attestation: the attestation manifest of linux/amd64',
      'broken-attestation: the attestation manifest of linux/arm64',
    ]);
    expect((await release.verify({ requirements: [] })).verdict).toBe('verified');
  });
});

describe("BuildKit's attestations", () => {
  it('from elsewhere than was expected fail', async () => {
    const release = await startRelease();
    const expected = { source: `${SOURCE}2`, revision: undefined };
    const report = await release.verify({ requirements: ['provenance'], expected });
    expect(attestationsOf(report)[0]).toMatchObject({
      fault: 'wrong-source',
      reason: `its source repository is ${SOURCE}`,
    });
    expect(problemsOf(report)[0]).toBe('broken-attestation: the attestation manifest of linux/amd64');
    const commit = { source: SOURCE, revision: 'f'.repeat(40) };
    expect((await release.verify({ requirements: ['provenance'], expected: commit })).verdict).toBe('failed');
  });

  it('count where the index or their own manifest is signed, or where nobody asks for a signer', async () => {
    const release = await startRelease();
    const signed = { requirements: ['provenance'], trustsUnsigned: false } as const;
    const unsigned = await release.verify(signed);
    expect(problemsOf(unsigned)).toEqual([
      'broken-attestation: linux/amd64',
      'broken-attestation: linux/arm64',
    ]);
    expect(unsigned.problems[0]?.message).toContain('nobody whose signature counts has signed it');
    release.sign(digestOf(release.attestations[0]));
    expect(problemsOf(await release.verify(signed))).toEqual(['broken-attestation: linux/arm64']);
    release.sign(digestOf(release.index));
    expect(problemsOf(await release.verify(signed))).toEqual([]);
    expect(problemsOf(await release.verify({ ...signed, scope: 'index' }))).toEqual([]);
  });
});
