import type { Transport } from '../http/transport.ts';
import type { MergeInputs } from '../inputs.ts';
import { descriptorOf } from '../oci/manifest.ts';
import { childrenOf } from '../publish/index-image.ts';
import type { Publication } from '../publish/publication.ts';
import { type SigningReport, signEverywhere } from '../publish/sign.ts';
import type { Runner } from '../runner/actions.ts';
import { Keyless } from '../sign/keyless.ts';
import { chooseServices } from '../sign/services.ts';
import { loadSigningConfig, loadTrustedRoot } from '../sign/trust.ts';
import { BundleVerifier } from '../sign/verify.ts';

/** What signing takes of the merge. */
interface SigningContext {
  readonly inputs: MergeInputs;
  readonly runner: Runner;
  readonly env: NodeJS.ProcessEnv;
  readonly transport: Transport;
}

/** A Sigstore, ready to sign with and to verify by. Only a merge that signs loads this module and its libraries. */
export class Signing {
  readonly #keyless: Keyless;
  readonly #verifier: BundleVerifier;
  readonly #context: SigningContext;

  private constructor(keyless: Keyless, verifier: BundleVerifier, context: SigningContext) {
    this.#keyless = keyless;
    this.#verifier = verifier;
    this.#context = context;
  }

  /** @throws ManifoldError `signing-config` when what describes the Sigstore cannot be had, or names nothing to sign with */
  static async open(context: SigningContext): Promise<Signing> {
    const { inputs, env, transport, runner } = context;
    const source = { trustedRoot: inputs.trustedRoot, signingConfig: inputs.signingConfig, env };
    const [root, config] = await Promise.all([loadTrustedRoot(source), loadSigningConfig(source)]);
    const services = chooseServices(config, new Date());
    const keyless = new Keyless({ env, services, transport, onSecret: runner.mask });
    return new Signing(keyless, new BundleVerifier(root), context);
  }

  /** Signs every image everywhere, and tells of each. */
  async sign(publications: readonly Publication[]): Promise<SigningReport> {
    const { transport, runner } = this.#context;
    const subjects = publications.map(publication => ({
      component: publication.component,
      children: childrenOf(publication.image),
      root: descriptorOf(publication.image.content),
      repositories: publication.targets.map(({ client }) => client),
    }));
    const signing = await signEverywhere(subjects, {
      keyless: this.#keyless,
      verifier: this.#verifier,
      retry: transport.retry,
    });
    for (const { component, repositories } of subjects) {
      const { manifests = 0, attached = 0 } = signing.subjects.get(component) ?? {};
      const all = manifests * repositories.length;
      const before = attached === all ? '' : ` ${all - attached} of these signatures were there already.`;
      runner.info(
        `Signed ${component} as ${signing.identity.name}: ${manifests} manifests, verified in every registry.${before}`,
      );
    }
    return signing;
  }
}
