import type { KeyObject } from 'node:crypto';
import { bundleFromJSON } from '@sigstore/bundle';
import type { TrustedRoot } from '@sigstore/protobuf-specs';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';
import type { Contents } from '../../__tests__/servers/registry.ts';
import { type Exhibit, fallbackTag, legacyTag } from './exhibits.ts';
import { legacyBundle } from './legacy-bundle.ts';
import type { Hand, SignatureKind } from './signing.ts';
import { type Layer, parse } from './stored.ts';

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const PREDICATE = 'https://sigstore.dev/cosign/sign/v1';
/** The workflow that the jobs of all runs are of. */
export const WORKFLOW = 'https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main';

/** Whom to believe, and who is to have signed. */
export interface Expectation {
  readonly root: TrustedRoot;
  readonly issuer: string;
  readonly key: KeyObject;
}

/** A signature that is valid. */
export interface Valid {
  readonly kind: SignatureKind;
  readonly annotations: Readonly<Record<string, unknown>>;
  /** The repository that a legacy signature is for. */
  readonly repository: string | undefined;
}

export interface Opinion {
  /** Those of our hands; others' are nobody's concern. */
  readonly valid: readonly Valid[];
  /** What is wrong with what is not valid. */
  readonly faults: readonly string[];
}

type Verified = Valid | 'of somebody else' | { readonly fault: string };

/** Finds and verifies signatures in what a registry shows, by the library of Sigstore. */
export class SignatureJudge {
  readonly #verifier: Verifier;
  readonly #expected: Expectation;
  /** What was found of a signature: it never changes. */
  readonly #known = new Map<string, Verified>();

  constructor(expected: Expectation) {
    this.#expected = expected;
    const publicKey = () => ({ publicKey: expected.key, validFor: () => true });
    this.#verifier = new Verifier(toTrustMaterial(expected.root, publicKey));
  }

  /** The signatures of a manifest that a consumer finds. */
  opinion({ contents, digest, tags, listed }: Exhibit): Opinion {
    const found: Verified[] = [];
    for (const referrer of listed ?? indexed(contents, tags.get(fallbackTag(digest)))) {
      const manifest = parse(contents, referrer);
      if (manifest?.artifactType !== BUNDLE) continue;
      const bytes = contents.blobs.get(manifest.layers?.[0]?.digest ?? '');
      if (bytes === undefined) found.push({ fault: `the bundle of ${referrer} is missing` });
      else if (manifest.subject?.digest !== digest)
        found.push({ fault: `${referrer} is about another manifest` });
      else found.push(this.#once(`${referrer} ${digest}`, () => this.#bundle(bytes, digest)));
    }
    for (const layer of parse(contents, tags.get(legacyTag(digest)) ?? '')?.layers ?? []) {
      const payload = contents.blobs.get(layer.digest);
      if (payload === undefined) found.push({ fault: `the payload ${layer.digest} is missing` });
      else {
        const name = `${JSON.stringify(layer)} ${digest}`;
        found.push(this.#once(name, () => this.#legacy(layer, payload, digest)));
      }
    }
    return {
      valid: found.filter(each => typeof each === 'object' && 'kind' in each),
      faults: found.flatMap(each => (typeof each === 'object' && 'fault' in each ? [each.fault] : [])),
    };
  }

  #once(name: string, verify: () => Verified): Verified {
    let known = this.#known.get(name);
    if (known === undefined) {
      try {
        known = verify();
      } catch (error) {
        known = { fault: `a signature does not verify: ${String(error)}` };
      }
      this.#known.set(name, known);
    }
    return known;
  }

  #bundle(bytes: Buffer, digest: string): Verified {
    const bundle = bundleFromJSON(JSON.parse(bytes.toString()));
    const hand = this.#handOf(this.#verifier.verify(toSignedEntity(bundle)).identity);
    if (hand === undefined) return 'of somebody else';
    if (bundle.content.$case !== 'dsseEnvelope') return { fault: 'a bundle holds no statement' };
    const { subject, predicateType } = JSON.parse(bundle.content.dsseEnvelope.payload.toString()) as {
      predicateType: string;
      subject: { digest: { sha256: string }; annotations?: Record<string, unknown> }[];
    };
    const named = subject.find(each => `sha256:${each.digest.sha256}` === digest);
    if (named === undefined) return { fault: 'a statement is about something else' };
    if (predicateType !== PREDICATE) return { fault: `a statement says ${predicateType}` };
    const kind = { hand, format: 'bundle' as const };
    return { kind, annotations: named.annotations ?? {}, repository: undefined };
  }

  #legacy(layer: Layer, payload: Buffer, digest: string): Verified {
    const { identity } = this.#verifier.verify(toSignedEntity(legacyBundle(layer), payload));
    const hand = this.#handOf(identity);
    if (hand === undefined) return 'of somebody else';
    const { critical, optional } = JSON.parse(payload.toString()) as {
      critical: {
        identity: { 'docker-reference': string };
        image: { 'docker-manifest-digest': string };
        type: string;
      };
      optional: Record<string, unknown> | null;
    };
    if (critical.image['docker-manifest-digest'] !== digest)
      return { fault: 'a payload is about something else' };
    if (critical.type !== 'cosign container image signature')
      return { fault: `a payload is of the type ${critical.type}` };
    return {
      kind: { hand, format: 'legacy' },
      annotations: optional ?? {},
      repository: critical.identity['docker-reference'],
    };
  }

  /** What a key signs has no identity. */
  #handOf(
    identity: { subjectAlternativeName?: string; extensions?: { issuer?: string } } | undefined,
  ): Hand | undefined {
    if (identity === undefined) return 'key';
    const isOurs =
      identity.subjectAlternativeName === WORKFLOW && identity.extensions?.issuer === this.#expected.issuer;
    return isOurs ? 'keyless' : undefined;
  }
}

/** What the fallback tag lists. */
function indexed(contents: Contents, digest: string | undefined): string[] {
  const held = contents.manifests.get(digest ?? '');
  if (held === undefined) return [];
  const { manifests } = JSON.parse(held.bytes.toString()) as { manifests: { digest: string }[] };
  return manifests.map(entry => entry.digest);
}
