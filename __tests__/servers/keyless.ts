import { startOidcIssuer } from '../../lab/parts/oidc-issuer.ts';
import { ManifoldError } from '../../src/errors.ts';
import type { RetryPolicy } from '../../src/http/retry.ts';
import type { Transport } from '../../src/http/transport.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { prepareSignatures, type SigningReport, type SignOptions } from '../../src/publish/sign.ts';
import type { SigningSubject } from '../../src/publish/signing-places.ts';
import type { Finding } from '../../src/sign/finding.ts';
import type { Identity, Signatory } from '../../src/sign/identity.ts';
import { Keyless, type KeylessOptions } from '../../src/sign/keyless.ts';
import { SignatureMaker } from '../../src/sign/maker.ts';
import { chooseAuthority, chooseWitnesses } from '../../src/sign/services.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import type { Signer } from '../../src/sign/signer.ts';
import { opened, transport } from './clients.ts';
import { startSigstore, type TestSigstore } from './sigstore.ts';

export const DIGEST = digestOf(Buffer.from('an image'));

export async function setUp() {
  const [issuer, sigstore] = await Promise.all([opened(startOidcIssuer()), opened(startSigstore())]);
  const secrets: string[] = [];
  const options: KeylessOptions = {
    env: issuer.jobEnvironment(),
    authority: chooseAuthority(sigstore.config, new Date()),
    audience: 'sigstore',
    transport: transport(),
    onSecret: (secret: string) => secrets.push(secret),
  };
  const keyless = new Keyless(options);
  const create = async () => {
    const signer = await keyless.createSigner(await keyless.identify());
    return makerOf(signer, sigstore, options.transport);
  };
  const trust = new SignatureVerifier({ root: sigstore.root, keys: [] });
  return { issuer, sigstore, secrets, options, create, trust, accept: acceptedBy(trust) };
}

/** Makes signatures with everything that a Sigstore asks for. */
export function makerOf(
  signer: Signer,
  sigstore: TestSigstore,
  by: Transport,
  annotations = {},
): SignatureMaker {
  const witnessesOf = (format: 'bundle' | 'legacy') =>
    chooseWitnesses(sigstore.config, new Date(), { format, by: signer.signatory.kind });
  return new SignatureMaker({ signer, witnessesOf, annotations, transport: by });
}

/** Who made a bundle, where it is a valid signature of the digest; an error that says why, where it is none. */
export function acceptedBy(verifier: SignatureVerifier): (bundle: Buffer, digest: Digest) => Identity {
  return (bundle, digest) => {
    const { fault, reason, signatory } = verifier.bundle(bundle, digest, digestOf(bundle));
    if (fault === undefined && signatory?.kind === 'certificate') return signatory.identity;
    throw new ManifoldError('signature-unverified', `${fault}: ${reason}`);
  };
}

/** A job that signs by its identity, for signatures of whole images. */
export function handOf(
  env: NodeJS.ProcessEnv,
  sigstore: TestSigstore,
  { retry, annotations }: { retry: RetryPolicy; annotations?: Record<string, string> },
) {
  const by = transport({ retry });
  const authority = chooseAuthority(sigstore.config, new Date());
  const keyless = new Keyless({ env, authority, audience: 'sigstore', transport: by, onSecret: () => {} });
  return async () => {
    const token = await keyless.identify();
    const { identity } = token;
    return {
      expected: identity === undefined ? undefined : { kind: 'certificate' as const, identity },
      open: async () => makerOf(await keyless.createSigner(token), sigstore, by, annotations),
    };
  };
}

export function identitiesOf(signatories: readonly Signatory[]): Identity[] {
  return signatories.flatMap(signatory => (signatory.kind === 'certificate' ? [signatory.identity] : []));
}

/** Whose signatures are valid. */
export function validOf(findings: readonly Finding[]): Identity[] {
  return identitiesOf(
    findings.flatMap(({ fault, signatory }) => (fault === undefined && signatory ? [signatory] : [])),
  );
}

/** A bundle with one part changed. */
export function tampered(bundle: Buffer, change: (document: BundleJson) => void): Buffer {
  const document = JSON.parse(bundle.toString());
  change(document);
  return Buffer.from(JSON.stringify(document));
}

// biome-ignore lint/suspicious/noExplicitAny: a test changes any part of it
export type BundleJson = any; // oxlint-disable-line typescript/no-explicit-any

export const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Signs as a merge does: makes what is lacking, attaches it, and reads it back. */
export async function signEverywhere(
  subjects: readonly SigningSubject[],
  options: SignOptions,
): Promise<SigningReport> {
  const signatures = await prepareSignatures(subjects, options);
  const attached = await signatures.attach();
  await attached.confirm();
  return signatures.report;
}
