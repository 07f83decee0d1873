import type { Transport } from '../http/transport.ts';
import type { Digest } from '../oci/digest.ts';
import { formatBundle } from './bundle.ts';
import type { SignatureFormat } from './finding.ts';
import type { Signatory } from './identity.ts';
import { formatLegacy, type LegacyLayer } from './legacy.ts';
import { type Content, signedBytes } from './log-entry.ts';
import { LoggedAlready } from './rekor-v2.ts';
import type { Witnesses } from './services.ts';
import type { Signature, Signer } from './signer.ts';
import { dockerReferenceOf, simpleSigningPayload } from './simple-signing.ts';
import { PAYLOAD_TYPE, type SignatureAnnotations, signatureStatement } from './statement.ts';
import { type Testimony, witness } from './witness.ts';

export interface MakerOptions {
  readonly signer: Signer;
  /** Who witnesses signatures of a format. @throws ManifoldError `signing-config` where nobody can */
  readonly witnessesOf: (format: SignatureFormat) => Witnesses;
  readonly annotations: SignatureAnnotations;
  readonly transport: Transport;
}

/** Makes signatures of manifests, complete with what their witnesses say, ready to be attached. */
export class SignatureMaker {
  readonly #options: MakerOptions;

  constructor(options: MakerOptions) {
    this.#options = options;
  }

  get signatory(): Signatory {
    return this.#options.signer.signatory;
  }

  /**
   * Signs a manifest by its digest, the same for all repositories.
   * @returns the bytes of a Sigstore bundle
   * @throws ManifoldError `signing-failed`, `service-unreachable`
   */
  async bundle(digest: Digest): Promise<Buffer> {
    const payload = signatureStatement(digest, this.#options.annotations);
    const { signature, testimony } = await this.#sign({ payload, payloadType: PAYLOAD_TYPE }, 'bundle');
    return formatBundle(payload, signature, testimony);
  }

  /**
   * Signs a manifest in one repository, whose name is part of what is signed.
   * @param repository as a client names it: `ghcr.io/acme/app`
   * @throws ManifoldError `signing-failed`, `service-unreachable`
   */
  async legacy(digest: Digest, repository: string): Promise<LegacyLayer> {
    const payload = simpleSigningPayload(dockerReferenceOf(repository), digest, this.#options.annotations);
    const { signature, testimony } = await this.#sign({ payload, payloadType: undefined }, 'legacy');
    return formatLegacy(payload, signature, testimony);
  }

  /** Signs until the witnesses have seen it: a signature whose entry was lost on the way gives place to another one. */
  async #sign(content: Content, format: SignatureFormat): Promise<Witnessed> {
    const { signer, witnessesOf, transport } = this.#options;
    const witnesses = witnessesOf(format);
    for (let attempt = 1; ; attempt++) {
      const signature = await signer.sign(signedBytes(content));
      try {
        return { signature, testimony: await witness({ ...content, signature }, witnesses, transport) };
      } catch (error) {
        if (!(error instanceof LoggedAlready) || attempt === ATTEMPTS) throw error;
      }
    }
  }
}

/** So many signatures over the same are made where the log keeps one after the other and its answers get lost. */
const ATTEMPTS = 5;

interface Witnessed {
  readonly signature: Signature;
  readonly testimony: Testimony;
}
