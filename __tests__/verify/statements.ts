import type { Digest } from '../../src/oci/digest.ts';
import type { Json } from '../servers/signatures.ts';

export const PROVENANCE_02 = 'https://slsa.dev/provenance/v0.2';
export const PROVENANCE_1 = 'https://slsa.dev/provenance/v1';
export const SPDX = 'https://spdx.dev/Document';
export const SOURCE = 'https://github.com/acme/app';
export const COMMIT = 'c0ffee00'.repeat(5);

/** Provenance as BuildKit writes it of a repository that it has fetched itself, in either version. */
export const PREDICATES: Readonly<Record<string, Json>> = {
  [PROVENANCE_02]: {
    builder: { id: '' },
    buildType: 'https://mobyproject.org/buildkit@v1',
    materials: [],
    invocation: {
      configSource: {
        uri: `${SOURCE}.git#refs/heads/main`,
        digest: { sha1: COMMIT },
        entryPoint: 'Dockerfile',
      },
      parameters: { frontend: 'dockerfile.v0' },
      environment: { platform: 'linux/amd64' },
    },
    metadata: { completeness: {}, 'https://mobyproject.org/buildkit@v1#metadata': {} },
  },
  [PROVENANCE_1]: {
    buildDefinition: {
      buildType: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
      externalParameters: {
        configSource: { uri: `${SOURCE}.git#refs/heads/main`, digest: { sha1: COMMIT }, path: 'Dockerfile' },
        request: { frontend: 'dockerfile.v0' },
      },
      internalParameters: { builderPlatform: 'linux/amd64' },
      resolvedDependencies: [],
    },
    runDetails: { builder: { id: '' }, metadata: { buildkit_metadata: {} } },
  },
  [SPDX]: { SPDXID: 'SPDXRef-DOCUMENT', spdxVersion: 'SPDX-2.3', name: 'app' },
};

/** Provenance as actions/attest writes it. */
export const WORKFLOW_PROVENANCE = {
  buildDefinition: {
    buildType: 'https://actions.github.io/buildtypes/workflow/v1',
    externalParameters: {
      workflow: { ref: 'refs/heads/main', repository: SOURCE, path: '.github/workflows/release.yml' },
    },
    internalParameters: { github: { event_name: 'push' } },
    resolvedDependencies: [{ uri: `git+${SOURCE}@refs/heads/main`, digest: { gitCommit: COMMIT } }],
  },
  runDetails: { builder: { id: `${SOURCE}/.github/workflows/release.yml@refs/heads/main` } },
};

export function inToto(subject: Digest, predicateType: string, predicate: Json, version = 'v0.1'): Json {
  return {
    _type: `https://in-toto.io/Statement/${version}`,
    subject: [{ name: 'pkg:docker/acme/app', digest: { sha256: subject.slice('sha256:'.length) } }],
    predicateType,
    predicate,
  };
}

/** A layer of an attestation manifest: what it holds, and what the manifest says that it is. */
export interface AttestationLayer {
  readonly content: Json;
  readonly stated?: string;
}

/** The usual statements of a build about its image. */
export function statements(
  subject: Digest,
  types: readonly string[] = [PROVENANCE_1, SPDX],
): AttestationLayer[] {
  return types.map(type => ({ content: inToto(subject, type, PREDICATES[type]) }));
}
