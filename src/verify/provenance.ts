import * as v from 'valibot';
import { checkDocument } from '../document.ts';
import { ManifoldError, oneLine } from '../errors.ts';
import type { Statement } from '../sign/attested-statement.ts';

/** What a provenance says of where an image came from; undefined where it says nothing. */
export interface Provenance {
  /** The repository's address without what else may be in it: `https://github.com/acme/app`. */
  readonly source: string | undefined;
  /** The commit. */
  readonly revision: string | undefined;
  /** Who has seen that it was so: the builder that fetched it, or whoever called the builder, which asked no further. */
  readonly toldBy: 'builder' | 'caller';
}

/** What a provenance must say, where the user names it. */
export interface Origin {
  readonly source: string | undefined;
  readonly revision: string | undefined;
}

const word = v.nullish(v.string());
const digests = v.nullish(v.record(v.string(), v.string()));
const configSource = v.nullish(v.looseObject({ uri: word, digest: digests }));
const vcs = v.nullish(v.looseObject({ source: word, revision: word }));
const BUILDKIT_METADATA = 'https://mobyproject.org/buildkit@v1#metadata';

/** SLSA provenance 0.2, with BuildKit's additions (buildkit, docs/attestations/slsa-definitions.md). */
const v02 = v.looseObject({
  buildType: v.string(),
  invocation: v.nullish(v.looseObject({ configSource })),
  metadata: v.nullish(v.looseObject({ [BUILDKIT_METADATA]: v.nullish(v.looseObject({ vcs })) })),
});

/** SLSA provenance 1, with BuildKit's additions, or GitHub's (actions/buildtypes, workflow/v1). */
const v1 = v.looseObject({
  buildDefinition: v.looseObject({
    buildType: v.string(),
    externalParameters: v.looseObject({
      configSource,
      workflow: v.nullish(v.looseObject({ repository: word })),
    }),
    resolvedDependencies: v.nullish(v.array(v.looseObject({ uri: word, digest: digests }))),
  }),
  runDetails: v.nullish(
    v.looseObject({
      metadata: v.nullish(v.looseObject({ buildkit_metadata: v.nullish(v.looseObject({ vcs })) })),
    }),
  ),
});

/** @throws ManifoldError `invalid-document` when it is none, or of a version that is not known */
export function readProvenance({ predicateType, predicate }: Statement): Provenance {
  if (predicateType === 'https://slsa.dev/provenance/v0.2') {
    const { invocation, metadata } = checkDocument(v02, predicate, 'the provenance');
    return fromBuildKit(invocation?.configSource, metadata?.[BUILDKIT_METADATA]?.vcs);
  }
  if (predicateType !== 'https://slsa.dev/provenance/v1') {
    throw new ManifoldError(
      'invalid-document',
      'The provenance is of another version of SLSA than 0.2 and 1.',
    );
  }
  const { buildDefinition, runDetails } = checkDocument(v1, predicate, 'the provenance');
  const { externalParameters, resolvedDependencies } = buildDefinition;
  const repository = externalParameters.workflow?.repository;
  if (typeof repository !== 'string')
    return fromBuildKit(externalParameters.configSource, runDetails?.metadata?.buildkit_metadata?.vcs);
  const source = normaliseSource(repository);
  const commit = resolvedDependencies?.find(
    ({ uri, digest }) => digest?.gitCommit !== undefined && normaliseSource(uri ?? '') === source,
  );
  return { source, revision: commit?.digest?.gitCommit, toldBy: 'builder' };
}

/** What BuildKit fetched itself it knows; of a local folder it repeats what its client said. */
function fromBuildKit(
  config: v.InferOutput<typeof configSource>,
  told: v.InferOutput<typeof vcs>,
): Provenance {
  const fetched = normaliseSource(config?.uri ?? '');
  const { sha1, gitCommit, sha256 } = config?.digest ?? {};
  if (fetched !== undefined)
    return { source: fetched, revision: gitCommit ?? sha1 ?? sha256, toldBy: 'builder' };
  return {
    source: normaliseSource(told?.source ?? ''),
    revision: told?.revision ?? undefined,
    toldBy: 'caller',
  };
}

/**
 * One way to write where a repository lies, out of those that git knows: `https://host/path`, without login, ref, fragment
 * and `.git`.
 * @returns undefined for what is no address
 */
export function normaliseSource(text: string): string | undefined {
  if (text.length > LONGEST_ADDRESS) return undefined;
  const [, host, scpPath] = /^[^@/\s]+@([\w.-]+):(?!\/)(\S+)$/.exec(text) ?? [];
  const url = URL.parse(host === undefined ? text.replace(/^git\+/, '') : `ssh://${host}/${scpPath}`);
  if (url === null || !['https:', 'http:', 'ssh:', 'git:'].includes(url.protocol) || url.host === '')
    return undefined;
  const isWeb = url.protocol === 'https:' || url.protocol === 'http:';
  const path = withoutSlashes(url.pathname.replace(/@.*$/, '')).replace(/\.git$/, '');
  return path === '' ? undefined : `https://${(isWeb ? url.host : url.hostname).toLowerCase()}${path}`;
}

/** Whoever may push writes these. Characters. */
const LONGEST_ADDRESS = 4096;

/** A regular expression for this would look for an end of slashes from each of them. */
function withoutSlashes(path: string): string {
  let end = path.length;
  while (path[end - 1] === '/') end--;
  return path.slice(0, end);
}

/** What in a provenance is not as it was expected; undefined: nothing is. The reason has no full stop. */
export function disagreement(
  provenance: Provenance,
  expected: Origin,
): { fault: 'wrong-source' | 'no-source'; reason: string } | undefined {
  const { source, revision } = provenance;
  if (expected.source !== undefined && source !== expected.source)
    return source === undefined
      ? { fault: 'no-source', reason: 'it names no source repository' }
      : { fault: 'wrong-source', reason: `its source repository is ${oneLine(source)}` };
  if (expected.revision !== undefined && revision !== expected.revision)
    return revision === undefined
      ? { fault: 'no-source', reason: 'it names no commit' }
      : { fault: 'wrong-source', reason: `its commit is ${oneLine(revision)}` };
  return undefined;
}
