import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { disagreement, normaliseSource, readProvenance } from '../../src/verify/provenance.ts';
import { kindOf, sbomFormat } from '../../src/verify/statement.ts';
import { anyText } from '../servers/arbitraries.ts';
import { failureOf } from '../servers/clients.ts';
import {
  COMMIT,
  PREDICATES,
  PROVENANCE_1,
  PROVENANCE_02,
  SOURCE,
  SPDX,
  WORKFLOW_PROVENANCE,
} from './statements.ts';

const statement = (predicateType: string, predicate: unknown) => ({
  _type: 'https://in-toto.io/Statement/v1' as const,
  predicateType,
  subject: [],
  predicate,
});
const read = (type: string, predicate: unknown = PREDICATES[type]) =>
  readProvenance(statement(type, predicate));

describe('the address of a repository', () => {
  it.each([
    ['https://github.com/acme/app', SOURCE],
    ['https://github.com/acme/app.git', SOURCE],
    ['https://github.com/acme/app/', SOURCE],
    ['https://github.com/acme/app.git#refs/heads/main:folder', SOURCE],
    ['https://github.com/acme/app.git?ref=main&checksum=0', SOURCE],
    ['https://x-access-token:secret@GitHub.com/acme/app', SOURCE],
    ['git+https://github.com/acme/app@refs/heads/main', SOURCE],
    ['git@github.com:acme/app.git', SOURCE],
    ['ssh://git@github.com:22/acme/app.git', SOURCE],
    ['git://github.com/acme/app', SOURCE],
    ['https://git.acme.example:8443/a/b/c', 'https://git.acme.example:8443/a/b/c'],
    ['https://github.com/Acme/App', 'https://github.com/Acme/App'],
    ['https://github.com/acme/app/../../evil/app', 'https://github.com/evil/app'],
    ['https://github.com', undefined],
    ['docker-image://alpine', undefined],
    ['/local/folder', undefined],
    ['C:\\folder', undefined],
    ['', undefined],
  ])('%s is %s', (text, expected) => {
    expect(normaliseSource(text)).toBe(expected);
  });

  it('is never what it is not, and holds no login', () => {
    fc.assert(
      fc.property(anyText, text => {
        const source = normaliseSource(text);
        if (source !== undefined) expect(source).toMatch(/^https:\/\/[^/@\s]+\/[^@\s]+$/);
      }),
      { numRuns: 500 },
    );
  });
});

describe('provenance', () => {
  it.each([PROVENANCE_02, PROVENANCE_1])('of BuildKit tells what it has fetched: %s', type => {
    expect(read(type)).toEqual({ source: SOURCE, revision: COMMIT, toldBy: 'builder' });
  });

  it('of a local folder tells what the caller has said, which BuildKit does not look at', () => {
    const vcs = { source: 'git@github.com:acme/app.git', revision: `${COMMIT}-dirty` };
    const told = { source: SOURCE, revision: `${COMMIT}-dirty`, toldBy: 'caller' };
    const old = { buildType: 'x', invocation: { configSource: { entryPoint: 'Dockerfile' } } };
    expect(
      read(PROVENANCE_02, { ...old, metadata: { 'https://mobyproject.org/buildkit@v1#metadata': { vcs } } }),
    ).toEqual(told);
    const buildDefinition = { buildType: 'x', externalParameters: { configSource: { path: 'Dockerfile' } } };
    expect(
      read(PROVENANCE_1, { buildDefinition, runDetails: { metadata: { buildkit_metadata: { vcs } } } }),
    ).toEqual(told);
    expect(read(PROVENANCE_1, { buildDefinition })).toEqual({
      source: undefined,
      revision: undefined,
      toldBy: 'caller',
    });
  });

  it('of a workflow tells its repository, and the commit of that one', () => {
    expect(read(PROVENANCE_1, WORKFLOW_PROVENANCE)).toEqual({
      source: SOURCE,
      revision: COMMIT,
      toldBy: 'builder',
    });
    const { buildDefinition } = WORKFLOW_PROVENANCE;
    const foreign = {
      uri: 'git+https://github.com/other/app@refs/heads/main',
      digest: { gitCommit: 'f'.repeat(40) },
    };
    const resolvedDependencies = [foreign, ...buildDefinition.resolvedDependencies];
    const changed = { ...WORKFLOW_PROVENANCE, buildDefinition: { ...buildDefinition, resolvedDependencies } };
    expect(read(PROVENANCE_1, changed).revision).toBe(COMMIT);
    const only = { ...buildDefinition, resolvedDependencies: [foreign] };
    expect(read(PROVENANCE_1, { buildDefinition: only }).revision).toBeUndefined();
  });

  it.each([
    [PROVENANCE_1, {}],
    [PROVENANCE_1, undefined],
    [PROVENANCE_1, { buildDefinition: { buildType: 'x' } }],
    [PROVENANCE_02, 'text'],
    ['https://slsa.dev/provenance/v0.1', {}],
    ['https://slsa.dev/provenance/v2', WORKFLOW_PROVENANCE],
  ])('that is none is said to be none: %s %j', async (type, predicate) => {
    const error = await failureOf(() => readProvenance(statement(type, predicate)));
    expect(error.code).toBe('invalid-document');
  });

  it('makes nothing but an error of ours, whatever it is', () => {
    const predicate = fc.oneof(
      fc.jsonValue(),
      fc.record({ buildDefinition: fc.jsonValue(), runDetails: fc.jsonValue() }),
    );
    fc.assert(
      fc.property(fc.constantFrom(PROVENANCE_02, PROVENANCE_1), predicate, (type, value) => {
        try {
          read(type, value);
        } catch (error) {
          expect(error).toBeInstanceOf(ManifoldError);
        }
      }),
    );
  });

  it('disagrees where it tells otherwise, or tells nothing', () => {
    const told = { source: SOURCE, revision: COMMIT, toldBy: 'builder' } as const;
    const silent = { source: undefined, revision: undefined, toldBy: 'caller' } as const;
    expect(disagreement(told, { source: SOURCE, revision: COMMIT })).toBeUndefined();
    expect(disagreement(told, { source: undefined, revision: undefined })).toBeUndefined();
    expect(disagreement(told, { source: `${SOURCE}2`, revision: undefined })).toMatchObject({
      fault: 'wrong-source',
    });
    expect(disagreement(told, { source: SOURCE, revision: 'f'.repeat(40) })).toMatchObject({
      fault: 'wrong-source',
    });
    expect(disagreement(silent, { source: SOURCE, revision: undefined })).toMatchObject({
      fault: 'no-source',
    });
    expect(disagreement(silent, { source: undefined, revision: COMMIT })).toMatchObject({
      fault: 'no-source',
    });
    const dirty = { ...told, revision: `${COMMIT}-dirty` };
    expect(disagreement(dirty, { source: SOURCE, revision: COMMIT })).toMatchObject({
      fault: 'wrong-source',
    });
  });
});

describe('an SBOM', () => {
  it.each([
    [SPDX, { spdxVersion: 'SPDX-2.3' }, 'SPDX-2.3'],
    [`${SPDX}/v2.2`, { spdxVersion: 'SPDX-2.2' }, 'SPDX-2.2'],
    [SPDX, { '@context': 'https://spdx.org/rdf/3.0.1/spdx-context.jsonld' }, 'SPDX-3.0.1'],
    ['https://cyclonedx.org/bom', { bomFormat: 'CycloneDX', specVersion: '1.6' }, 'CycloneDX 1.6'],
  ])('%s %j names its format', (type, predicate, expected) => {
    expect(kindOf(type)).toBe('sbom');
    expect(sbomFormat(statement(type, predicate))).toBe(expected);
  });

  it.each([
    [SPDX, {}],
    [SPDX, { bomFormat: 'CycloneDX', specVersion: '1.6' }],
    [SPDX, { spdxVersion: 'something' }],
    ['https://cyclonedx.org/bom', { spdxVersion: 'SPDX-2.3' }],
    ['https://cyclonedx.org/bom', null],
  ])('%s %j names none', async (type, predicate) => {
    expect((await failureOf(() => sbomFormat(statement(type, predicate)))).code).toBe('invalid-document');
  });

  it('is known by its predicate type and nothing like it', () => {
    for (const type of ['https://spdx.dev/Documents', 'https://cyclonedx.org/bombastic', 'spdx', undefined])
      expect(kindOf(type)).toBe('other');
  });
});
