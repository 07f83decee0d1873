import type { SigningHand } from '../inputs.ts';
import { descriptorOf } from '../oci/manifest.ts';
import { childrenOf } from '../publish/index-image.ts';
import type { Publication } from '../publish/publication.ts';
import {
  type Hand,
  type PreparedSignatures,
  prepareSignatures,
  type SigningReport,
} from '../publish/sign.ts';
import type { SignedAs } from '../report/verify-commands.ts';
import { nameOf } from '../sign/identity.ts';
import { SignatureVerifier } from '../sign/signature-verifier.ts';
import { loadSigstore, type OpenHand, openKey, openKeyless, type SigningContext } from './signing-hands.ts';

/** Everything to sign with and to verify by. Only a merge that signs loads this module and its libraries. */
export class Signing {
  readonly #context: SigningContext;
  readonly #hands: readonly OpenHand[];
  readonly #verifier: SignatureVerifier;
  readonly #isKeyLogged: boolean;

  private constructor(
    context: SigningContext,
    hands: readonly OpenHand[],
    verifier: SignatureVerifier,
    isKeyLogged: boolean,
  ) {
    this.#context = context;
    this.#hands = hands;
    this.#verifier = verifier;
    this.#isKeyLogged = isKeyLogged;
  }

  /**
   * Finds out what cannot work before anything is pushed.
   * @param hands who is to sign: at least one
   * @throws ManifoldError `signing-config` when what describes the Sigstore cannot be had, or names nothing to sign with;
   * others when cosign or the key cannot be used
   */
  static async open(context: SigningContext, hands: readonly SigningHand[]): Promise<Signing> {
    const isOwn = context.inputs.trustedRoot !== undefined;
    // Who signs with a key alone has no need of the public Sigstore's files.
    const sigstore = isOwn || hands.includes('keyless') ? await loadSigstore(context) : undefined;
    const opened = await Promise.all(
      hands.map(async hand =>
        hand === 'key'
          ? openKey(isOwn ? sigstore : undefined, context)
          : openKeyless(sigstore ?? (await loadSigstore(context)), context),
      ),
    );
    const keys = opened.flatMap(({ publicKey }) => publicKey ?? []);
    // A Sigstore of one's own may have no log for what a key signs.
    const isKeyLogged = isOwn && (sigstore?.config.rekorTlogUrls.length ?? 0) > 0;
    const verifier = new SignatureVerifier({ root: sigstore?.root, keys, requireLog: isKeyLogged });
    return new Signing(context, opened, verifier, isKeyLogged);
  }

  /** Tells whose signatures are to be made, and asks for what that takes. */
  async identify(): Promise<readonly Hand[]> {
    return Promise.all(this.#hands.map(hand => hand.identify()));
  }

  /** Makes what the images lack of signatures, everywhere. */
  async prepare(
    publications: readonly Publication[],
    hands: readonly Hand[],
    rootsPushed: Promise<unknown>,
  ): Promise<PreparedSignatures> {
    const { inputs, transport } = this.#context;
    const subjects = publications.map(publication => ({
      component: publication.component,
      children: childrenOf(publication.image),
      root: descriptorOf(publication.image.content),
      repositories: publication.targets.map(({ client }) => client),
    }));
    const options = {
      hands,
      formats: inputs.signatureFormats,
      annotations: inputs.signatureAnnotations,
      verifier: this.#verifier,
      retry: transport.retry,
    };
    return prepareSignatures(subjects, options, rootsPushed);
  }

  /** Tells of each image that it is signed. */
  tell({ report }: PreparedSignatures): SigningReport & SignedAs {
    const { inputs, runner } = this.#context;
    const by = report.signatories.map(nameOf).join(' and ');
    for (const [component, { manifests, signatures, attached }] of report.subjects) {
      const before =
        attached === signatures ? '' : ` ${signatures - attached} of these signatures were there already.`;
      runner.info(
        `Signed ${component} as ${by}: ${manifests} manifests, verified in every registry.${before}`,
      );
    }
    return {
      ...report,
      formats: inputs.signatureFormats,
      trustedRoot: inputs.trustedRoot,
      hasTimestampsOnly: this.#hands.some(hand => hand.hasTimestampsOnly),
      isKeyLogged: this.#isKeyLogged,
    };
  }

  /** Ends what is still at work. */
  close(): void {
    for (const hand of this.#hands) hand.close();
  }
}
