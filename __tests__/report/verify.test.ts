import { describe, expect, it } from 'vitest';
import { parsePlatform } from '../../src/oci/platform.ts';
import { verifyJson } from '../../src/report/verify-json.ts';
import { askedLog, imageLog } from '../../src/report/verify-log.ts';
import { verifySummary } from '../../src/report/verify-summary.ts';
import { warningOf } from '../../src/report/verify-words.ts';
import type { Demands } from '../../src/verify/demands.ts';
import type { Attestation, ImageReport, JudgedSignature, ManifestReport } from '../../src/verify/report.ts';
import { POLICY } from '../verify/released.ts';

const digest = (digit: number) => `sha256:${String(digit).repeat(64)}` as const;
const NAME = 'https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1';
const ISSUER = 'https://token.actions.githubusercontent.com';

const ASKED: Demands = {
  policy: POLICY,
  requirements: new Set(['signatures']),
  scope: 'all',
  platforms: undefined,
  expected: { source: undefined, revision: undefined },
  trustedRoot: undefined,
  trustsUnsigned: false,
};
const SIGNATURE: JudgedSignature = {
  format: 'bundle',
  digest: digest(7),
  fault: undefined,
  reason: '',
  signatory: { kind: 'certificate', identity: { name: NAME, issuer: ISSUER } },
  isExact: true,
  annotations: {},
  outcome: 'accepted',
  objection: '',
};
const BAD: JudgedSignature = {
  ...SIGNATURE,
  outcome: 'wrong-identity',
  objection: 'its identity is somebody else',
};
const ATTESTATION: Attestation = {
  origin: 'buildkit',
  holder: digest(3),
  about: digest(2),
  predicateType: 'https://slsa.dev/provenance/v1',
  kind: 'provenance',
  fault: undefined,
  reason: '',
  signatory: undefined,
  provenance: { source: 'https://github.com/acme/app', revision: 'c0ffee', toldBy: 'caller' },
  format: undefined,
};

const manifest = (position: number, changes: Partial<ManifestReport> = {}): ManifestReport => ({
  digest: digest(position),
  role: 'image',
  platform: parsePlatform('linux/amd64'),
  about: undefined,
  broken: undefined,
  signatures: [SIGNATURE],
  attestations: [],
  otherAttestations: [],
  isCut: false,
  failures: [],
  ...changes,
});
const reportOf = (manifests: ManifestReport[], changes: Partial<ImageReport> = {}): ImageReport => ({
  image: 'ghcr.io/acme/app:1.0',
  digest: digest(1),
  manifests,
  problems: [],
  verdict: 'verified',
  ...changes,
});
const INDEX = manifest(1, { role: 'index', platform: undefined });

describe('what was asked', () => {
  it('is told in full', () => {
    const lines = askedLog({
      ...ASKED,
      requirements: new Set(['signatures', 'provenance', 'sbom']),
      platforms: [parsePlatform('arm64'), parsePlatform('linux/arm/v7')],
      expected: { source: 'https://github.com/acme/app', revision: 'c0ffee' },
      trustedRoot: 'root.json',
    });
    for (const word of [
      'matches ^(?:https://github\\.com/acme/app/\\.github/workflows/[^/@\\s]+@(?!refs/pull/)\\S+)$',
      ISSUER,
      'root.json',
      'signatures of the index and of everything in it; provenance of each platform; an SBOM of each platform',
      'linux/arm64, linux/arm/v7',
      'c0ffee',
    ])
      expect(lines).toContain(word);
    expect(askedLog({ ...ASKED, scope: 'index' })).toContain('a signature of the index');
    expect(askedLog(ASKED)).toContain("the public Sigstore's");
  });

  it('without signatures comes with a warning', () => {
    expect(warningOf(ASKED)).toBeUndefined();
    expect(warningOf({ ...ASKED, trustsUnsigned: true })).toContain('whoever may push');
  });
});

describe('what was found', () => {
  it('stands in aligned columns, and one signer is named once', () => {
    const log = imageLog(reportOf([INDEX, manifest(2, { signatures: [SIGNATURE, BAD] })]));
    expect(log.split('\n')).toEqual([
      'ghcr.io/acme/app:1.0',
      `  ${digest(1)}`,
      '  the index    sha256:111111111111  signed',
      '  linux/amd64  sha256:222222222222  signed (and 1 that does not count)',
      `  2 of 2 manifests signed by ${NAME}, issuer ${ISSUER} (bundle).`,
      `  linux/amd64: bundle ${digest(7)} does not count (wrong-identity): its identity is somebody else.`,
      '  verified',
    ]);
  });

  it.each([
    [{ signatures: [] }, 'NOT SIGNED'],
    [{ signatures: [BAD, BAD] }, 'NOT SIGNED (2 that do not count)'],
    [{ signatures: 'unknown' }, 'could not tell'],
    [{ signatures: 'unasked' }, 'not asked'],
    [{ broken: 'it is gone' }, 'signed, BROKEN'],
    [{ attestations: [ATTESTATION] }, 'provenance'],
    [{ attestations: [{ ...ATTESTATION, kind: 'sbom', format: 'SPDX-2.3' }] }, 'SBOM SPDX-2.3'],
    [{ attestations: [{ ...ATTESTATION, fault: 'wrong-subject' }] }, 'provenance (FAULTY)'],
    [{ attestations: [{ ...ATTESTATION, kind: 'other', predicateType: 'x\ny' }] }, 'x y'],
    [{ otherAttestations: ['https://example.com/scan'] }, 'https://example.com/scan'],
  ] as const)('%j is "%s"', (changes, cell) => {
    const report = reportOf([INDEX, manifest(2, changes)]);
    expect(imageLog(report)).toContain(`  ${cell}`);
    expect(verifySummary([report], ASKED)).toContain('| linux/amd64 |');
  });

  it('says who has told of the source', () => {
    const told = (changes: Partial<Attestation>, role: 'index' | 'image' = 'image'): string => {
      const attested = manifest(role === 'index' ? 1 : 2, {
        role,
        attestations: [{ ...ATTESTATION, ...changes }],
      });
      return imageLog(reportOf(role === 'index' ? [attested] : [INDEX, attested]));
    };
    expect(told({})).toContain(
      'by BuildKit, from https://github.com/acme/app at c0ffee, as the caller of the builder says.',
    );
    const provenance = { source: undefined, revision: undefined, toldBy: 'caller' } as const;
    expect(told({ provenance })).toContain('which names no source');
    const { signatory } = SIGNATURE;
    expect(told({ origin: 'referrer', signatory }, 'index')).toContain(
      `signed by ${NAME}, issuer ${ISSUER}, for everything in the image`,
    );
  });

  it('is cut in the log, and whole in the JSON', () => {
    const report = reportOf([manifest(1, { signatures: Array.from({ length: 30 }, () => BAD) })]);
    expect(imageLog(report)).toContain('linux/amd64: and 20 more, which the output "json" names.');
    const json = JSON.parse(JSON.stringify(verifyJson([report], ASKED)));
    expect(json.images[0].manifests[0].signatures).toHaveLength(30);
  });

  it('that is wrong says what to do on the page', () => {
    const problem = {
      kind: 'unsigned',
      about: 'the index',
      digest: digest(1),
      message: 'it | has none',
      remedy: 'sign it',
    } as const;
    const page = verifySummary([reportOf([INDEX], { problems: [problem], verdict: 'failed' })], ASKED);
    expect(page).toContain('## ghcr.io/acme/app:1.0: not verified');
    expect(page).toContain('| the index | it \\| has none | sign it |');
  });
});

describe('the JSON of a verification', () => {
  it('names what is not known', () => {
    const report = reportOf(
      [manifest(1, { platform: undefined, signatures: 'unknown', attestations: [ATTESTATION] })],
      {
        digest: undefined,
        verdict: 'unknown',
      },
    );
    expect(JSON.parse(JSON.stringify(verifyJson([report], ASKED)))).toEqual({
      verified: false,
      asked: {
        signer: {
          identity: { matches: expect.stringMatching(/^\^\(\?:https:.*\)\$$/) },
          issuer: { exact: ISSUER },
          sourceRepository: null,
        },
        trustedRoot: null,
        require: ['signatures'],
        scope: 'all',
        platforms: null,
        source: null,
        revision: null,
      },
      images: [
        {
          image: 'ghcr.io/acme/app:1.0',
          digest: null,
          verdict: 'unknown',
          problems: [],
          manifests: [
            {
              digest: digest(1),
              role: 'image',
              platform: null,
              about: null,
              signed: null,
              signatures: [],
              attestations: [
                {
                  origin: 'buildkit',
                  digest: digest(3),
                  about: digest(2),
                  kind: 'provenance',
                  predicateType: 'https://slsa.dev/provenance/v1',
                  fault: null,
                  reason: '',
                  by: null,
                  source: 'https://github.com/acme/app',
                  revision: 'c0ffee',
                  toldBy: 'caller',
                  format: null,
                },
              ],
              otherAttestations: [],
            },
          ],
        },
      ],
    });
  });

  it('says whose a signature is, by identity or key', () => {
    const key: JudgedSignature = { ...SIGNATURE, signatory: { kind: 'key', fingerprint: 'abc=' } };
    const nobody: JudgedSignature = { ...BAD, signatory: undefined };
    const report = reportOf([manifest(1, { signatures: [SIGNATURE, key, nobody] })]);
    const json = JSON.parse(JSON.stringify(verifyJson([report], ASKED)));
    expect(json.images[0].manifests[0].signatures.map(({ by }: { by: unknown }) => by)).toEqual([
      { identity: NAME, issuer: ISSUER, sourceRepository: null },
      { key: 'abc=' },
      null,
    ]);
    expect(json.verified).toBe(true);
  });
});
