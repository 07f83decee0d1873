import { expect, test } from 'vitest';
import { parsePlatform } from '../../src/oci/platform.ts';
import { verifyJson } from '../../src/report/verify-json.ts';
import type { Demands } from '../../src/verify/demands.ts';

import type { Attestation, ImageReport, JudgedSignature, ManifestReport } from '../../src/verify/report.ts';
import { POLICY } from '../verify/released.ts';
import { readText } from './action-file.ts';

const DIGEST = `sha256:${'1'.repeat(64)}` as const;
const IDENTITY = { name: 'https://github.com/acme/app', issuer: 'https://issuer' };
const SIGNATORIES = [
  { kind: 'certificate', identity: IDENTITY },
  { kind: 'key', fingerprint: 'abc=' },
] as const;

const signatures: JudgedSignature[] = SIGNATORIES.map(signatory => ({
  format: 'bundle',
  digest: DIGEST,
  fault: undefined,
  isExact: true,
  reason: '',
  signatory,
  annotations: { env: 'prod' },
  outcome: 'accepted',
  objection: '',
}));
const attestation: Attestation = {
  origin: 'referrer',
  holder: DIGEST,
  about: DIGEST,
  predicateType: 'https://slsa.dev/provenance/v1',
  kind: 'provenance',
  fault: undefined,
  reason: '',
  signatory: SIGNATORIES[0],
  provenance: { source: 'https://github.com/acme/app', revision: 'c0ffee', toldBy: 'builder' },
  format: undefined,
};
const manifest: ManifestReport = {
  digest: DIGEST,
  role: 'image',
  platform: parsePlatform('linux/amd64'),
  about: undefined,
  broken: undefined,
  signatures,
  attestations: [attestation],
  otherAttestations: [],
  isCut: false,
  failures: [],
};
const report: ImageReport = {
  image: 'ghcr.io/acme/app:1.0',
  digest: DIGEST,
  manifests: [manifest],
  problems: [{ kind: 'unsigned', about: 'the index', digest: DIGEST, message: 'no', remedy: 'sign it' }],
  verdict: 'failed',
};
const POLICIES: readonly Demands['policy'][] = [
  POLICY,
  { kind: 'key', fingerprint: 'abc=', name: 'cosign.pub' },
];

/** The JSON of a verification by certificate, and by key. */
const documents: object[] = POLICIES.map(policy => {
  const asked: Demands = {
    policy,
    requirements: new Set(['signatures']),
    scope: 'all',
    platforms: undefined,
    expected: { source: undefined, revision: undefined },
    trustedRoot: undefined,
    trustsUnsigned: false,
  };
  return JSON.parse(JSON.stringify(verifyJson([report], asked)));
});

/** What users name themselves. */
const FREE = ['annotations'];

/** The fields of every object in a document, by the name of the field that holds it or the list that it is in. */
function collectFields(value: unknown, name: string, fields: Map<string, Set<string>>): void {
  if (Array.isArray(value)) for (const entry of value) collectFields(entry, name, fields);
  else if (typeof value === 'object' && value !== null && !FREE.includes(name)) {
    const known = fields.get(name) ?? new Set();
    fields.set(name, known);
    for (const [field, content] of Object.entries(value)) {
      known.add(field);
      collectFields(content, field, fields);
    }
  }
}

const written = new Map<string, Set<string>>();
for (const document of documents) collectFields(document, 'The whole', written);

/** The tables of the document: of each section its rows, by the word that they begin with. */
const sections = new Map(
  readText('docs/verify-json.md')
    .split(/^## /m)
    .slice(1)
    .map(section => {
      const [title = '', ...lines] = section.split('\n');
      const rows = lines.flatMap(line => {
        const [, word = '', cell = ''] = /^\| `([\w-]+)` \| (.+) \|$/.exec(line) ?? [];
        return word === '' ? [] : [[word, cell] as const];
      });
      return [title, new Map(rows)] as const;
    }),
);

/** Objects of the same kind share a section. */
const namesOf = (title: string): string[] => title.replaceAll('`', '').split(' and ');
const ofFields = [...sections].filter(([title]) => title !== 'Faults');

test('docs/verify-json.md has a section for every object of the JSON, and no others', () => {
  const names = ofFields.flatMap(([title]) => namesOf(title));
  expect(names.sort()).toEqual([...written.keys()].sort());
});

test.each(ofFields)('docs/verify-json.md explains the fields of %s, and no others', (title, rows) => {
  const fields = new Set(namesOf(title).flatMap(name => [...(written.get(name) ?? [])]));
  expect([...rows.keys()].sort()).toEqual([...fields].sort());
});

/** The words of a union of types, which leaves nothing behind that could be asked at run time. */
function wordsOf(file: string, declaration: RegExp): string[] {
  const [, union = ''] = declaration.exec(readText(file)) ?? [];
  const words = [...union.replace(/\/\*\*.*\*\//g, '').matchAll(/'([a-z-]+)'/g)];
  expect(words.length, `${file} has ${declaration}`).toBeGreaterThan(1);
  return words.map(([, word = '']) => word);
}

const REPORT = 'src/verify/report.ts';

test.each([
  ['images', 'verdict', wordsOf(REPORT, /type Verdict =([^;]+);/)],
  ['manifests', 'role', wordsOf(REPORT, /type Role =([^;]+);/)],
  ['problems', 'kind', wordsOf(REPORT, /type ProblemKind =([^;]+);/)],
  ['attestations', 'origin', wordsOf(REPORT, /origin: ([^;]+);/)],
  ['attestations', 'kind', wordsOf('src/verify/statement.ts', /type AttestationKind =([^;]+);/)],
  ['attestations', 'toldBy', wordsOf('src/verify/provenance.ts', /toldBy: ([^;]+);/)],
  ['signatures', 'format', wordsOf('src/sign/finding.ts', /type SignatureFormat =([^;]+);/)],
])('in "%s" the field "%s" has every word that it can have', (section, field, words) => {
  const cell = sections.get(`\`${section}\``)?.get(field) ?? '';
  expect([...cell.matchAll(/`([\w-]+)`/g)].map(([, word = '']) => word).sort()).toEqual([...words].sort());
});

test('docs/verify-json.md explains every fault, and no others', () => {
  const faults = new Set([
    ...wordsOf('src/sign/finding.ts', /type SignatureFault =([^;]+);/),
    ...wordsOf(REPORT, /type AttestationFault =([^;]+);/),
  ]);
  expect([...(sections.get('Faults')?.keys() ?? [])].sort()).toEqual([...faults].sort());
});
