import type { Bundle } from '@sigstore/bundle';
import type { Digest } from '../oci/digest.ts';
import { parseStatement, requireSignatureOf, type Statement } from './attested-statement.ts';
import { readBundle, requireProofs } from './bundle-document.ts';
import { isExactBase64, isExactBundle } from './exact-form.ts';
import type { Finding } from './finding.ts';
import { Flaw, flawOf } from './flaw.ts';
import { materialOf, toBundle } from './legacy-bundle.ts';
import type { LegacySignature } from './legacy-signature.ts';
import { requirePayloadOf } from './simple-signing.ts';
import { preAuthenticationEncoding } from './statement.ts';
import { claimedSignatory, type Trust, Verification } from './verification.ts';

export type { Statement } from './attested-statement.ts';
export type { Trust } from './verification.ts';

/** What became of a statement that somebody signed, in the words of a finding. */
export interface VerifiedStatement extends Pick<Finding, 'fault' | 'reason' | 'signatory'> {
  /** What was stated, be the signature good or not; undefined where that cannot be read. */
  readonly statement: Statement | undefined;
}

/** Verifies signatures of every kind. Whatever the bytes are, it says what is wrong with them, and throws nothing. */
export class SignatureVerifier {
  readonly #verification: Verification;

  constructor(trust: Trust) {
    this.#verification = new Verification(trust);
  }

  /**
   * Verifies that a Sigstore bundle is a signature of an image.
   * @param digest of the image
   * @param at where the bundle was found: the referrer that holds it
   */
  bundle(bytes: Uint8Array, digest: Digest, at: Digest): Finding {
    const { statement, ...verified } = this.statement(bytes);
    const said = attempt(() => (statement === undefined ? {} : requireSignatureOf(statement, digest)));
    const words = verified.fault === undefined ? wordsOf(said.flaw) : verified;
    const { signatory } = verified;
    const annotations = said.value ?? {};
    return { format: 'bundle', digest: at, ...words, signatory, isExact: isExactBundle(bytes), annotations };
  }

  /**
   * Verifies that a signature in the older format is one of an image.
   * @param digest of the image
   */
  legacy(signature: LegacySignature, digest: Digest): Finding {
    const { payload } = signature;
    const proved = attempt(() => {
      if (payload === undefined) throw new Flaw('illegible', signature.problem ?? 'its payload is missing');
      return this.#verification.signatory({ bundle: toBundle(signature, payload), data: payload });
    });
    const said = attempt(() => (payload === undefined ? {} : requirePayloadOf(payload, digest)));
    const claimed = attempt(() => claimedSignatory(materialOf(signature)));
    return {
      format: 'legacy',
      digest: signature.digest,
      ...wordsOf(proved.flaw ?? said.flaw),
      signatory: proved.value ?? proved.flaw?.signatory ?? claimed.value,
      isExact: isExactBase64(signature.signature),
      annotations: said.value ?? {},
    };
  }

  /** Verifies who made a statement of any kind, be it a signature or an attestation, and reads it. */
  statement(bytes: Uint8Array): VerifiedStatement {
    const read = attempt(() => readBundle(bytes));
    if (read.value === undefined)
      return { ...wordsOf(read.flaw), signatory: undefined, statement: undefined };
    const bundle = read.value;
    const proved = attempt(() => {
      requireProofs(bundle);
      return this.#verification.signatory({ bundle, data: encodingOf(bundle) });
    });
    const said = attempt(() => parseStatement(envelopeOf(bundle)));
    return {
      ...wordsOf(proved.flaw ?? said.flaw),
      signatory:
        proved.value ?? proved.flaw?.signatory ?? claimedSignatory(bundle.verificationMaterial.content),
      statement: said.value,
    };
  }
}

type Attempt<T> =
  | { readonly value: T; readonly flaw?: undefined }
  | { readonly value?: undefined; readonly flaw: Flaw };

function attempt<T>(work: () => T): Attempt<T> {
  try {
    return { value: work() };
  } catch (error) {
    return { flaw: flawOf(error) };
  }
}

function wordsOf(flaw: Flaw | undefined): Pick<Finding, 'fault' | 'reason'> {
  return { fault: flaw?.fault, reason: flaw?.message ?? '' };
}

function envelopeOf({ content }: Bundle) {
  if (content.$case === 'dsseEnvelope') return content.dsseEnvelope;
  throw new Flaw('illegible', 'it holds a signature over something that is not there, and no statement');
}

function encodingOf(bundle: Bundle): Buffer {
  const { payloadType, payload } = envelopeOf(bundle);
  return preAuthenticationEncoding(payloadType, payload);
}
