import type { Transport } from '../http/transport.ts';
import type { SigningInputs } from '../inputs.ts';
import type { Hand } from '../publish/sign.ts';
import type { Runner } from '../runner/actions.ts';
import { openCosignKey } from '../sign/cosign.ts';
import type { SignatureFormat } from '../sign/finding.ts';
import type { Signatory } from '../sign/identity.ts';
import { Keyless } from '../sign/keyless.ts';
import { SignatureMaker } from '../sign/maker.ts';
import type { PublicKey } from '../sign/public-key.ts';
import { requireLoggable } from '../sign/rekor.ts';
import { chooseAuthority, chooseWitnesses, type Sigstore, type Witnesses } from '../sign/services.ts';
import type { Signer } from '../sign/signer.ts';
import { loadSigningConfig, loadTrustedRoot } from '../sign/trust.ts';

/** What signing takes of the merge. */
export interface SigningContext {
  readonly inputs: SigningInputs;
  readonly runner: Runner;
  readonly env: NodeJS.ProcessEnv;
  readonly transport: Transport;
}

/** @throws ManifoldError `signing-config` when what describes the Sigstore cannot be had */
export async function loadSigstore({ inputs, env, transport }: SigningContext): Promise<Sigstore> {
  const source = { trustedRoot: inputs.trustedRoot, signingConfig: inputs.signingConfig, env, transport };
  const [root, config] = await Promise.all([loadTrustedRoot(source), loadSigningConfig(source)]);
  return { root, config };
}

/** One who is able to sign, as far as can be told without signing. */
export interface OpenHand {
  /** Makes known whom the signatures will be of. */
  readonly identify: () => Promise<Hand>;
  /** Where it signs with a key: the public half. */
  readonly publicKey: PublicKey | undefined;
  /** Whether the time of a bundle stands in a time stamp only, as its log gives none. */
  readonly hasTimestampsOnly: boolean;
  /** Ends what is still at work. */
  readonly close: () => void;
}

/**
 * The identity of this job: known by its token, proved by a certificate that is asked for once something is to be signed.
 * @throws ManifoldError `signing-config` when the config names nothing to sign with
 */
export function openKeyless({ config }: Sigstore, context: SigningContext): OpenHand {
  const { inputs, env, transport, runner } = context;
  const authority = chooseAuthority(config, new Date());
  const witnesses = witnessesFor('certificate', inputs.signatureFormats, config);
  const onSecret = runner.mask;
  const keyless = new Keyless({ env, authority, audience: inputs.audience, transport, onSecret });
  return {
    publicKey: undefined,
    close: () => {},
    hasTimestampsOnly: inputs.signatureFormats.some(format =>
      witnesses(format).logs.some(({ version }) => version === 2),
    ),
    identify: async () => {
      const token = await keyless.identify();
      const { identity, sourceRepository } = token;
      const claims = { sourceRepository };
      return {
        expected: identity === undefined ? undefined : { kind: 'certificate', identity, claims },
        open: async () => makerOf(await keyless.createSigner(token), witnesses, context),
      };
    },
  };
}

/**
 * Whoever holds the key. The public log is not asked to keep what he signs.
 * @param own a Sigstore of the user's own, whose log is
 * @throws ManifoldError when cosign or the key cannot be used
 */
export async function openKey(own: Sigstore | undefined, context: SigningContext): Promise<OpenHand> {
  const { inputs, env, transport, runner } = context;
  const witnesses = witnessesFor('key', inputs.signatureFormats, own?.config);
  const key = await openCosignKey({
    key: inputs.key ?? '',
    env,
    onSecret: runner.mask,
    retry: transport.retry,
    onRetry: runner.info,
  });
  for (const format of inputs.signatureFormats) {
    for (const log of witnesses(format).logs) requireLoggable(key.publicKey.key, log, format);
  }
  return {
    publicKey: key.publicKey,
    close: () => key.close(),
    hasTimestampsOnly: false,
    identify: async () => ({
      expected: key.signatory,
      open: async () => makerOf(key, witnesses, context),
    }),
  };
}

/** Chooses the witnesses for all formats that are asked for; those of the others are never called. */
function witnessesFor(
  by: Signatory['kind'],
  formats: readonly SignatureFormat[],
  config: Sigstore['config'] | undefined,
): (format: SignatureFormat) => Witnesses {
  const none: Witnesses = { logs: [], timestampAuthorities: [] };
  const now = new Date();
  const chosen = new Map(
    formats.map(format => [
      format,
      config === undefined ? none : chooseWitnesses(config, now, { format, by }),
    ]),
  );
  return format => {
    const witnesses = chosen.get(format);
    if (witnesses === undefined)
      throw new Error(`nobody was chosen to witness signatures of the format ${format}`);
    return witnesses;
  };
}

function makerOf(
  signer: Signer,
  witnessesOf: (format: SignatureFormat) => Witnesses,
  { inputs, transport }: SigningContext,
): SignatureMaker {
  return new SignatureMaker({ signer, witnessesOf, annotations: inputs.signatureAnnotations, transport });
}
