import { ManifoldError, messageOf } from '../errors.ts';
import { eventually, type RetryPolicy } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import { type Descriptor, descriptorOf } from '../oci/manifest.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { attachBundle } from '../sign/bundle.ts';
import type { KeylessSigner } from '../sign/keyless.ts';
import {
  type BundleVerifier,
  type Identity,
  identityOf,
  type SignatureSearch,
  searchSignatures,
} from '../sign/verify.ts';
import type { IndexImage } from './index-image.ts';

/** What was signed where, and by whom. */
export interface SigningReport {
  readonly identity: Identity;
  /** Manifests of the image: platforms, attestation manifests and the index itself. */
  readonly manifests: number;
  /** Signatures that were attached now, over all repositories; the others were there from before. */
  readonly attached: number;
}

export interface SignOptions {
  readonly signer: KeylessSigner;
  readonly verifier: BundleVerifier;
  /** How long to look for a signature that a registry took but does not list yet. */
  readonly retry: RetryPolicy;
}

/**
 * Signs every manifest of an image in every repository, children first and the index last, then reads each signature
 * back and verifies it. What this identity has signed already is left as it is.
 * @throws ManifoldError `signing-failed`, `signature-unverified`, `registry-…`
 */
export async function signEverywhere(
  image: IndexImage,
  repositories: readonly RepositoryClient[],
  options: SignOptions,
): Promise<SigningReport> {
  const { signer, verifier } = options;
  const identity = identityOf(signer.certificate.raw);
  const index = descriptorOf(image.content);
  const children = image.images.flatMap(({ image: child, attestations }) => [child, ...attestations]);
  const bundles = new Map<string, Promise<Buffer>>();
  const bundleOf = ({ digest }: Descriptor): Promise<Buffer> => {
    const made = bundles.get(digest) ?? signAndCheck(digest, signer, verifier);
    bundles.set(digest, made);
    return made;
  };

  const attached = await Promise.all(
    repositories.map(async repository => {
      const lacking = await unsigned([...children, index], repository, verifier, identity);
      // All are made at once; the order is one of publication only.
      const made = new Map(lacking.map(manifest => [manifest, bundleOf(manifest)]));
      await Promise.all(made.values());
      const attach = async (manifest: Descriptor) =>
        attachBundle(repository, manifest, await bundleOf(manifest));
      await Promise.all(lacking.filter(manifest => manifest !== index).map(attach));
      if (lacking.includes(index)) await attach(index);
      await Promise.all(lacking.map(manifest => readBack(repository, manifest, identity, options)));
      return lacking.length;
    }),
  );
  return {
    identity,
    manifests: children.length + 1,
    attached: attached.reduce((sum, count) => sum + count, 0),
  };
}

/** The manifests that have no valid signature of this identity in a repository. */
async function unsigned(
  manifests: readonly Descriptor[],
  repository: RepositoryClient,
  verifier: BundleVerifier,
  identity: Identity,
): Promise<Descriptor[]> {
  const signed = await Promise.all(
    manifests.map(async ({ digest }) =>
      includes(await searchSignatures(repository, digest, verifier), identity),
    ),
  );
  return manifests.filter((_, position) => signed[position] !== true);
}

/** A signature that the trusted root does not vouch for is found before it is attached to anything. */
async function signAndCheck(
  digest: Digest,
  signer: KeylessSigner,
  verifier: BundleVerifier,
): Promise<Buffer> {
  const bundle = await signer.sign(digest);
  try {
    verifier.verify(bundle, digest);
  } catch (error) {
    throw new ManifoldError(
      'signature-unverified',
      `The signature that was just made does not verify. ${messageOf(error)}`,
      {
        hint: 'Check that "trusted-root" and "signing-config" describe the same Sigstore. No tag was moved.',
        cause: error,
      },
    );
  }
  return bundle;
}

/** Asks the registry, as a consumer would, until it shows the signature. */
async function readBack(
  repository: RepositoryClient,
  manifest: Descriptor,
  identity: Identity,
  options: SignOptions,
): Promise<void> {
  let last: SignatureSearch = { valid: [], invalid: [] };
  const found = await eventually(options.retry, async () => {
    last = await searchSignatures(repository, manifest.digest, options.verifier);
    return includes(last, identity) ? true : undefined;
  });
  if (found === true) return;
  const reason = last.invalid[0] ?? 'The registry took the signature but does not list it.';
  throw new ManifoldError(
    'signature-unverified',
    `${repository.name}@${manifest.digest} is not signed as it should be. ${reason}`,
    {
      hint: 'No tag was moved. Re-run this job: what is signed already stays.',
    },
  );
}

function includes(search: SignatureSearch, identity: Identity): boolean {
  return search.valid.some(({ name, issuer }) => name === identity.name && issuer === identity.issuer);
}
