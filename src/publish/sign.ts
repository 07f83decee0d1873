import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import type { RetryPolicy } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/manifest.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { attachBundle } from '../sign/bundle.ts';
import { type Identity, sameIdentity } from '../sign/identity.ts';
import type { IdentityToken } from '../sign/identity-token.ts';
import type { Keyless, KeylessSigner } from '../sign/keyless.ts';
import { type BundleVerifier, type SignatureSearch, searchSignatures } from '../sign/verify.ts';
import { eventually } from './eventually.ts';

/** Manifests that are signed in some repositories. */
export interface SigningSubject {
  readonly component: string;
  /** Published before the root, so that nobody meets a signed index of unsigned images. */
  readonly children: readonly Descriptor[];
  /** What tags will point at. */
  readonly root: Descriptor;
  readonly repositories: readonly RepositoryClient[];
}

/** What was signed where, and by whom. */
export interface SigningReport {
  readonly identity: Identity;
  /** By their components. */
  readonly subjects: ReadonlyMap<string, SubjectReport>;
}

export interface SubjectReport {
  /** Manifests of the image: platforms, attestation manifests and the index itself. */
  readonly manifests: number;
  /** Signatures that were attached now, over all repositories; the others were there from before. */
  readonly attached: number;
}

export interface SignOptions {
  readonly keyless: Keyless;
  readonly verifier: BundleVerifier;
  /** How long to look for a signature that a registry took but does not list yet. */
  readonly retry: RetryPolicy;
}

/** What one repository still lacks of one subject. */
interface Lack {
  readonly subject: SigningSubject;
  readonly repository: RepositoryClient;
  readonly manifests: readonly Descriptor[];
}

/** A manifest, and its signature. */
interface Signed {
  readonly manifest: Descriptor;
  readonly bundle: Buffer;
}

/**
 * Signs every manifest of every image in every repository, children first and the index last, then reads each signature
 * back and verifies it. One token and one certificate serve all. What this identity has signed already is left as it is:
 * where nothing is left to sign, no certificate is asked for and nothing is written.
 * @throws ManifoldError `no-id-token`, `signing-failed`, `signature-unverified`, `registry-…`
 */
export async function signEverywhere(
  subjects: readonly SigningSubject[],
  options: SignOptions,
): Promise<SigningReport> {
  const { keyless, verifier } = options;
  const lackingOf = (identity: Identity): Promise<Lack[]> => findLacking(subjects, verifier, identity);

  const token = await keyless.identify();
  let lacking = token.identity === undefined ? undefined : await lackingOf(token.identity);
  if (token.identity !== undefined && lacking?.every(({ manifests }) => manifests.length === 0)) {
    return reportOf(token.identity, subjects, lacking);
  }
  const signer = await keyless.createSigner(token);
  const { identity } = signer;
  refuseOtherIdentity(identity, token);
  // The token only let us guess; the certificate decides.
  if (lacking === undefined || token.identity === undefined || !sameIdentity(identity, token.identity))
    lacking = await lackingOf(identity);

  const signed = await signAll(lacking, signer, verifier);
  await Promise.all(signed.map(([lack, bundles]) => attachAll(lack, bundles, identity, options)));
  return reportOf(identity, subjects, lacking);
}

function findLacking(
  subjects: readonly SigningSubject[],
  verifier: BundleVerifier,
  identity: Identity,
): Promise<Lack[]> {
  return Promise.all(
    subjects.flatMap(subject =>
      subject.repositories.map(async repository => {
        const all = [...subject.children, subject.root];
        return { subject, repository, manifests: await unsigned(all, repository, verifier, identity) };
      }),
    ),
  );
}

function reportOf(
  identity: Identity,
  subjects: readonly SigningSubject[],
  lacking: readonly Lack[],
): SigningReport {
  const reports = subjects.map(subject => {
    const manifests = subject.children.length + 1;
    const attached = lacking.filter(lack => lack.subject === subject).flatMap(lack => lack.manifests).length;
    return [subject.component, { manifests, attached }] as const;
  });
  return { identity, subjects: new Map(reports) };
}

async function attachAll(
  { subject, repository }: Lack,
  signed: readonly Signed[],
  identity: Identity,
  options: SignOptions,
): Promise<void> {
  const attach = ({ manifest, bundle }: Signed) => attachBundle(repository, manifest, bundle);
  await Promise.all(signed.filter(({ manifest }) => manifest !== subject.root).map(attach));
  await Promise.all(signed.filter(({ manifest }) => manifest === subject.root).map(attach));
  await Promise.all(signed.map(({ manifest }) => readSignatureBack(repository, manifest, identity, options)));
}

/**
 * The certificate must name the workflow that the token names. The server's part of the name is left to the authority: a
 * Sigstore of one's own may write it in its own way.
 */
function refuseOtherIdentity(identity: Identity, token: IdentityToken): void {
  const { workflowRef, issuer } = token;
  const isOurs = workflowRef === undefined || identity.name.endsWith(`/${workflowRef}`);
  if (isOurs && identity.issuer === issuer) return;
  throw new ManifoldError(
    'signing-failed',
    `The certificate authority names ${oneLine(identity.name)} of ${oneLine(identity.issuer)}, but this job is ${workflowRef ?? 'known'} to ${issuer}.`,
    { hint: 'Nothing was signed and no tag was moved. Check the certificate authority in "signing-config".' },
  );
}

/**
 * Makes all signatures at once, before any is attached; their order is one of publication only. Each is made once for all
 * repositories.
 */
function signAll(
  lacking: readonly Lack[],
  signer: KeylessSigner,
  verifier: BundleVerifier,
): Promise<(readonly [Lack, Signed[]])[]> {
  const bundles = new Map<Digest, Promise<Buffer>>();
  const sign = async (manifest: Descriptor): Promise<Signed> => {
    const { digest } = manifest;
    const made = bundles.get(digest) ?? signAndCheck(digest, signer, verifier);
    bundles.set(digest, made);
    return { manifest, bundle: await made };
  };
  return Promise.all(lacking.map(async lack => [lack, await Promise.all(lack.manifests.map(sign))] as const));
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
async function readSignatureBack(
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
  return search.valid.some(signer => sameIdentity(signer, identity));
}
