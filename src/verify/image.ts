import { ManifoldError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import { Gate } from '../parallel.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { isAboutContent } from '../sign/foreign-content.ts';
import type { SignatureVerifier } from '../sign/signature-verifier.ts';
import { sentence } from './attestations.ts';
import type { Demands } from './demands.ts';
import { type Inspection, inspect } from './inspect.ts';
import { findProblems } from './problems.ts';
import { type ImageReport, type ManifestReport, type Problem, verdictOf } from './report.ts';
import { readEntries } from './tree.ts';

/** How many are looked at at the same time, over all images that share them. */
export interface Gates {
  readonly manifests: Gate;
  readonly largeDocuments: Gate;
}

export function newGates(): Gates {
  return { manifests: new Gate(8), largeDocuments: new Gate(2) };
}

/**
 * Looks at everything that a registry holds of an image, and at what is demanded of it. A tag is resolved once; from then
 * on everything goes by digest. Whatever is wrong, or cannot be told, stands in the report.
 */
export async function verifyImage(
  client: RepositoryClient,
  reference: Reference,
  verifier: SignatureVerifier,
  demands: Demands,
  gates: Gates = newGates(),
): Promise<ImageReport> {
  const image = formatReference(reference);
  let digest: Digest | undefined;
  let manifests: ManifestReport[] = [];
  let problems: Problem[];
  try {
    const root = await client.findManifest(reference.digest ?? reference.tag ?? '');
    if (root === undefined) problems = [wholeProblem('missing-image', 'it is not in the registry', digest)];
    else {
      digest = root.digest;
      manifests = await inspectAll(root, { client, verifier, demands, gates });
      problems = findProblems(manifests, demands);
    }
  } catch (error) {
    if (!(error instanceof ManifoldError)) throw error;
    problems = [wholeProblem(isAboutContent(error) ? 'broken-manifest' : 'unknown', sentence(error), digest)];
  }
  return { image, digest, manifests, problems, verdict: verdictOf(problems) };
}

interface Tools {
  readonly client: RepositoryClient;
  readonly verifier: SignatureVerifier;
  readonly demands: Demands;
  readonly gates: Gates;
}

async function inspectAll(root: ManifestContent, tools: Tools): Promise<ManifestReport[]> {
  const { client, verifier, demands, gates } = tools;
  const { policy, expected, scope } = demands;
  const entries = await readEntries(client, root);
  const members = new Set(entries.map(({ descriptor }) => descriptor.digest));
  const inspection: Inspection = {
    client,
    verifier,
    policy,
    expected,
    largeDocuments: gates.largeDocuments,
    root,
    members,
  };
  return Promise.all(
    entries.map(entry => {
      const isAsked = scope === 'all' || entry.descriptor.digest === root.digest;
      return gates.manifests.run(() => inspect(entry, isAsked, inspection));
    }),
  );
}

const REMEDIES = {
  'missing-image': 'check its name, and that this job may read it',
  'broken-manifest': 'publish it anew',
  unknown: 're-run this job when the registry answers again',
} as const;

function wholeProblem(kind: keyof typeof REMEDIES, message: string, digest: Digest | undefined): Problem {
  return { kind, about: 'the image', digest, message, remedy: REMEDIES[kind] };
}
