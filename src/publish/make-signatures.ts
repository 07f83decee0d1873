import { ManifoldError } from '../errors.ts';
import { digestOf } from '../oci/digest.ts';
import { inParallel } from '../parallel.ts';
import type { Finding } from '../sign/finding.ts';
import type { Signatory } from '../sign/identity.ts';
import type { LegacyLayer } from '../sign/legacy.ts';
import { signatureIn } from '../sign/legacy-signature.ts';
import type { SignatureMaker } from '../sign/maker.ts';
import type { SignatureVerifier } from '../sign/signature-verifier.ts';
import type { Wanted } from './signing-places.ts';

/** A signature that is made and not attached yet. */
export type Made = MadeBundle | MadeLegacy;

export interface MadeBundle extends Wanted {
  readonly format: 'bundle';
  readonly bundle: Buffer;
}

export interface MadeLegacy extends Wanted {
  readonly format: 'legacy';
  readonly layer: LegacyLayer;
}

/** Bundles that are made or being made, by the digest of what they sign. */
export type MadeBundles = Map<string, Promise<Buffer>>;

/** So many signatures are made at a time: a certificate must not grow old while signatures wait for the log. */
const AT_A_TIME = 32;

/**
 * Makes signatures, before any is attached; their order is one of publication only. A bundle is made once for all
 * repositories, a legacy signature once for each, whose name it holds.
 * @throws ManifoldError `signing-failed`, `service-unreachable`, `signature-unverified`
 */
export async function makeSignatures(
  wanted: readonly Wanted[],
  maker: SignatureMaker,
  verifier: SignatureVerifier,
  bundles: MadeBundles,
): Promise<Made[]> {
  return inParallel(wanted, AT_A_TIME, async want => {
    const { digest } = want.place.manifest;
    if (want.format === 'legacy') {
      const make = () => maker.legacy(digest, want.place.repository.name);
      return {
        ...want,
        format: 'legacy',
        layer: await makeValid(
          make,
          ({ payload, annotations }) =>
            verifier.legacy(signatureIn(digestOf(payload), payload, annotations), digest),
          maker,
        ),
      };
    }
    const make = () => maker.bundle(digest);
    const bundle =
      bundles.get(digest) ?? makeValid(make, bytes => verifier.bundle(bytes, digest, digestOf(bytes)), maker);
    bundles.set(digest, bundle);
    return { ...want, format: 'bundle', bundle: await bundle };
  });
}

const REMEDY: Readonly<Record<Signatory['kind'], string>> = {
  certificate: 'Check that "trusted-root" and "signing-config" describe the same Sigstore.',
  key: 'Check that the key store signs with the key whose public half it gives out; and, where "trusted-root" and "signing-config" are given, that they describe the same Sigstore.',
};

/** A signature that the trusted root does not vouch for is found before it is attached to anything. */
async function makeValid<T>(
  make: () => Promise<T>,
  verify: (made: T) => Finding,
  { signatory }: SignatureMaker,
): Promise<T> {
  let made = await make();
  let finding = verify(made);
  if (finding.fault === 'outside-validity') {
    // The log took so long that the certificate ran out meanwhile: the next signature gets a new one.
    made = await make();
    finding = verify(made);
  }
  if (finding.fault === undefined) return made;
  throw new ManifoldError(
    'signature-unverified',
    `The signature that was just made does not verify: ${finding.reason}.`,
    { hint: `${REMEDY[signatory.kind]} No tag was moved.` },
  );
}
