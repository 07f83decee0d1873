import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { manifestContent } from '../../src/oci/manifest.ts';
import { Gate } from '../../src/parallel.ts';
import { readAttestations } from '../../src/verify/attestations.ts';
import type { Attestation, ImageReport, Requirement } from '../../src/verify/report.ts';
import { clientOf, SHORT } from '../servers/clients.ts';
import { TYPES } from '../servers/images.ts';
import type { Json } from '../servers/signatures.ts';
import { digestOf, problemsOf, type ReleaseOptions, startRelease } from './released.ts';
import {
  type AttestationLayer,
  COMMIT,
  inToto,
  PREDICATES,
  PROVENANCE_1,
  PROVENANCE_02,
  SOURCE,
  SPDX,
  statements,
} from './statements.ts';

const attestationsOf = ({ manifests }: ImageReport): Attestation[] =>
  manifests.flatMap(({ attestations }) => [...attestations]);
const BOTH: readonly Requirement[] = ['provenance', 'sbom'];
const OTHER = `sha256:${'0'.repeat(64)}` as const;

/** An image whose BuildKit attestations are made so. */
const attested = (layers: (subject: Digest) => readonly AttestationLayer[], options: ReleaseOptions = {}) =>
  startRelease({ ...options, layers });

describe("BuildKit's attestations", () => {
  it.each([
    ['image', PROVENANCE_02],
    ['image', PROVENANCE_1],
    ['artifact', PROVENANCE_02],
    ['artifact', PROVENANCE_1],
  ] as const)('are read in the form of an %s with %s', async (form, type) => {
    const release = await attested(subject => statements(subject, [type, SPDX]), { form });
    const expected = { source: SOURCE, revision: COMMIT };
    const report = await release.verify({ requirements: BOTH, expected });
    expect(problemsOf(report)).toEqual([]);
    expect(attestationsOf(report)).toMatchObject(
      ['amd64', 'arm64'].flatMap(architecture => {
        const about = digestOf(release.images[architecture]);
        return [
          {
            origin: 'buildkit',
            about,
            kind: 'provenance',
            fault: undefined,
            provenance: { ...expected, toldBy: 'builder' },
          },
          { origin: 'buildkit', about, kind: 'sbom', fault: undefined, format: 'SPDX-2.3' },
        ];
      }),
    );
  });

  it('that are not there are missed for each platform', async () => {
    const release = await attested(subject => statements(subject, [PROVENANCE_1]));
    expect(problemsOf(await release.verify({ requirements: BOTH }))).toEqual([
      'missing-attestation: linux/amd64',
      'missing-attestation: linux/arm64',
    ]);
    const none = await attested(() => []);
    expect((await none.verify({ requirements: BOTH })).problems.map(({ message }) => message)).toEqual([
      'it has no provenance',
      'it has no provenance',
      'it has no SBOM',
      'it has no SBOM',
    ]);
    expect((await none.verify({ requirements: [] })).verdict).toBe('verified');
  });

  const broken: [string, (subject: Digest) => AttestationLayer[], string][] = [
    ['about another image', () => statements(OTHER), 'wrong-subject'],
    [
      'of another type than is said',
      subject => [{ content: inToto(subject, SPDX, PREDICATES[SPDX]), stated: PROVENANCE_1 }],
      'wrong-type',
    ],
    ['that is no statement', () => [{ content: { predicateType: PROVENANCE_1 } }], 'illegible'],
    ['of an unknown version', subject => [{ content: inToto(subject, PROVENANCE_1, {}, 'v9') }], 'illegible'],
    [
      'whose predicate is none',
      subject => [{ content: inToto(subject, PROVENANCE_1, { a: 1 }) }],
      'illegible',
    ],
    [
      'about nothing',
      subject => [{ content: { ...inToto(subject, PROVENANCE_1, {}), subject: [] } }],
      'wrong-subject',
    ],
  ];
  it.each(broken)('%s are a fault, and fail where they are asked for', async (_, layers, fault) => {
    const release = await attested(layers);
    const report = await release.verify({ requirements: ['provenance'] });
    expect(attestationsOf(report)[0]).toMatchObject({ fault });
    expect(new Set(problemsOf(report))).toEqual(
      new Set([
        'broken-attestation: the attestation manifest of linux/amd64',
        'broken-attestation: the attestation manifest of linux/arm64',
      ]),
    );
    const unasked = await release.verify({ requirements: [] });
    expect(unasked.verdict).toBe('verified');
    expect(attestationsOf(unasked)[0]).toMatchObject({ fault });
  });

  it('that name another subject than the index says are about neither', async () => {
    const release = await startRelease({
      form: 'artifact',
      entries: entries => {
        const [first, , second] = entries;
        return entries.map(entry => {
          const about = entry.annotations?.['vnd.docker.reference.digest'];
          if (about === undefined) return entry;
          const swapped = about === first?.digest ? second?.digest : first?.digest;
          return {
            ...entry,
            annotations: { ...entry.annotations, 'vnd.docker.reference.digest': String(swapped) },
          };
        });
      },
    });
    const report = await release.verify({ requirements: ['provenance'] });
    expect(attestationsOf(report).every(({ fault }) => fault === 'wrong-subject')).toBe(true);
    expect(report.verdict).toBe('failed');
  });

  it.each([
    ['no image of the index', OTHER, 'which the index does not name'],
    ['nothing', 'nothing', 'the index does not say which image it is about'],
  ])('of %s are a fault', async (_, about, words) => {
    const release = await startRelease({
      entries: entries =>
        entries.map(entry =>
          entry.annotations === undefined
            ? entry
            : { ...entry, annotations: { ...entry.annotations, 'vnd.docker.reference.digest': about } },
        ),
    });
    const report = await release.verify({ requirements: ['provenance'] });
    expect(attestationsOf(report)[0]?.reason).toContain(words);
    expect(problemsOf(report)).toContain('missing-attestation: linux/amd64');
  });

  it('whose blob is gone are a fault, and one that a registry does not give is not known', async () => {
    const release = await startRelease({ retry: SHORT });
    const provenance = [...release.contents.blobs].find(([, bytes]) =>
      bytes.includes(digestOf(release.images.amd64).slice(7)),
    );
    release.contents.blobs.delete(provenance?.[0] ?? '');
    expect(attestationsOf(await release.verify({ requirements: BOTH }))[0]).toMatchObject({
      fault: 'illegible',
    });
    release.registry.on({ path: /blobs/, answer: (_, response) => sendJson(response, 500, {}) });
    expect(await release.verify({ requirements: BOTH })).toMatchObject({ verdict: 'unknown' });
  });

  it.each<[string, (document: Json) => void, string]>([
    [
      'said to be larger than anybody reads',
      document => Object.assign(document.layers[0], { size: 2 ** 40 }),
      'illegible',
    ],
    [
      'by their manifest about another image',
      document => Object.assign(document.subject, { digest: OTHER }),
      'wrong-subject',
    ],
    [
      'more than any build makes',
      document => document.layers.push(...Array(40).fill(document.layers[0])),
      'illegible',
    ],
    ['no statements', document => document.layers.splice(0), 'illegible'],
  ])('that are %s do not count', async (_, change, fault) => {
    const release = await startRelease({ form: 'artifact' });
    const document = JSON.parse(String(release.attestations[0]?.bytes));
    change(document);
    const about = digestOf(release.images.amd64);
    const context = {
      client: clientOf(release.registry),
      expected: { source: undefined, revision: undefined },
      largeDocuments: new Gate(1),
    };
    const content = manifestContent(Buffer.from(JSON.stringify(document)), TYPES.manifest);
    const [first] = await readAttestations(content, about, new Set([about]), context);
    expect(first).toMatchObject({ fault });
    // And nothing of it was asked for.
    expect(release.registry.count('GET', /blobs/)).toBeLessThanOrEqual(1);
  });
});
