import { bundleFromJSON } from '@sigstore/bundle';
import type { TrustedRoot } from '@sigstore/protobuf-specs';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';
import type { Contents, StoredManifest } from '../../__tests__/servers/registry.ts';

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const WORKFLOW = 'https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main';

interface Manifest {
  readonly artifactType?: string;
  readonly layers?: readonly { readonly digest: string }[];
  readonly subject?: { readonly digest: string };
}

/** Finds and verifies signatures in what a registry holds, as a consumer's tool would. */
export class SignatureJudge {
  readonly #verifier: Verifier;
  /** What was found of a bundle: it is the same in every registry. */
  readonly #known = new Map<string, string | undefined>();

  constructor(root: TrustedRoot) {
    this.#verifier = new Verifier(toTrustMaterial(root));
  }

  /**
   * The valid signatures of a manifest that a consumer finds.
   * @param listsReferrers whether the registry has the referrers API; else the fallback tag counts
   * @returns how many there are, and what is wrong with others
   */
  signaturesOf(
    contents: Contents,
    digest: string,
    listsReferrers: boolean,
  ): { valid: number; faults: string[] } {
    const listed = listsReferrers ? referrers(contents, digest) : fallbackEntries(contents, digest);
    const faults: string[] = [];
    let valid = 0;
    for (const referrer of listed) {
      const manifest = parse(contents, referrer);
      if (manifest?.artifactType !== BUNDLE) continue;
      const fault = this.#faultOf(contents, manifest, digest);
      if (fault === undefined) valid++;
      else faults.push(`the signature ${referrer} of ${digest}: ${fault}`);
    }
    return { valid, faults };
  }

  #faultOf(contents: Contents, manifest: Manifest, digest: string): string | undefined {
    const [layer] = manifest.layers ?? [];
    const bytes = contents.blobs.get(layer?.digest ?? '');
    if (bytes === undefined) return 'its bundle is missing';
    if (manifest.subject?.digest !== digest) return 'it refers to another manifest';
    const key = `${layer?.digest} ${digest}`;
    if (!this.#known.has(key)) this.#known.set(key, this.#verify(bytes, digest));
    return this.#known.get(key);
  }

  #verify(bytes: Buffer, digest: string): string | undefined {
    try {
      const bundle = bundleFromJSON(JSON.parse(bytes.toString()));
      const { identity } = this.#verifier.verify(toSignedEntity(bundle));
      if (identity?.subjectAlternativeName !== WORKFLOW)
        return `it is by ${identity?.subjectAlternativeName}`;
      if (bundle.content.$case !== 'dsseEnvelope') return 'it holds no statement';
      const { subject } = JSON.parse(bundle.content.dsseEnvelope.payload.toString()) as {
        subject: { digest: { sha256: string } }[];
      };
      return subject.some(named => `sha256:${named.digest.sha256}` === digest)
        ? undefined
        : 'it is about something else';
    } catch (error) {
      return String(error);
    }
  }
}

/** Bytes that are stored never change, and every look at a repository reads all of its manifests. */
const parsed = new WeakMap<StoredManifest, Manifest>();

function parse(contents: Contents, digest: string): Manifest | undefined {
  const held = contents.manifests.get(digest);
  if (held === undefined) return undefined;
  const known = parsed.get(held) ?? (JSON.parse(held.bytes.toString()) as Manifest);
  parsed.set(held, known);
  return known;
}

/** All manifests that name this one as their subject, whether anybody lists them or not. */
export function referrers(contents: Contents, digest: string): string[] {
  return [...contents.manifests.keys()].filter(key => parse(contents, key)?.subject?.digest === digest);
}

/** What the fallback tag lists. */
export function fallbackEntries(contents: Contents, digest: string): string[] {
  const held = contents.manifests.get(contents.tags.get(digest.replace(':', '-')) ?? '');
  if (held === undefined) return [];
  const { manifests } = JSON.parse(held.bytes.toString()) as { manifests: { digest: string }[] };
  return manifests.map(entry => entry.digest);
}
