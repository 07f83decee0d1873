import { createSign, generateKeyPair, type KeyObject, type X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { ManifoldError, oneLine } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import { type Certified, requestCertificate, TokenRefused } from './fulcio.ts';
import { type CertifiedSignatory, type Identity, sameSignatory, signatoryOf } from './identity.ts';
import { fetchIdentityToken, type IdentityToken } from './identity-token.ts';
import type { Signature, Signer } from './signer.ts';

export interface KeylessOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Address of Fulcio. */
  readonly authority: URL;
  /** For whom the identity token is: the client ID that Fulcio is set up for. */
  readonly audience: string;
  readonly transport: Transport;
  readonly onSecret: (secret: string) => void;
}

/** Milliseconds for which a token of five minutes is used without another thought. */
const FRESH = 120_000;

/** Signing without keys of one's own, in two steps: who we are, and then the certificate that says so. */
export class Keyless {
  readonly #options: KeylessOptions;

  constructor(options: KeylessOptions) {
    this.#options = options;
  }

  /** @throws ManifoldError `no-id-token`, `signing-failed`, `service-unreachable` */
  identify(): Promise<IdentityToken> {
    return fetchIdentityToken(this.#options);
  }

  /**
   * Makes a key that never leaves this process and has it certified for this job's identity.
   * @throws ManifoldError `signing-failed`, `service-unreachable`
   */
  async createSigner(token: IdentityToken): Promise<Signer> {
    const certify = async (given?: IdentityToken): Promise<Certification> => {
      const keys = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
      // What came between may have taken longer than a token lives: registries were asked for what is signed already.
      const current = given !== undefined && isFresh(given) ? given : await this.identify();
      const certified = await this.#certified(current, keys);
      const signatory = signatoryOf(certified.certificate.raw);
      refuseOtherIdentity(signatory.identity, current);
      return new Certification(keys.privateKey, certified, signatory);
    };
    return new KeylessSigner(await certify(token), certify, this.#options.transport.retry.budget);
  }

  /** Where Fulcio does not take the token, by another one, once: while Fulcio was asked again the first may have run out. */
  async #certified(token: IdentityToken, keys: KeyPair): Promise<Certified> {
    const { authority, transport } = this.#options;
    try {
      return await requestCertificate(authority, token, keys, transport);
    } catch (error) {
      if (!(error instanceof TokenRefused)) throw error;
    }
    return requestCertificate(authority, await this.identify(), keys, transport);
  }
}

type KeyPair = Parameters<typeof requestCertificate>[2];

function isFresh({ received, lifetime = Number.POSITIVE_INFINITY }: IdentityToken): boolean {
  return performance.now() - received < Math.min(FRESH, lifetime / 2);
}

/** A key, and the certificate that is good for it for ten minutes. */
class Certification {
  readonly privateKey: KeyObject;
  readonly certified: Certified;
  readonly signatory: CertifiedSignatory;
  readonly #received = performance.now();
  readonly #lifetime: number;

  constructor(privateKey: KeyObject, certified: Certified, signatory: CertifiedSignatory) {
    this.privateKey = privateKey;
    this.certified = certified;
    this.signatory = signatory;
    this.#lifetime = lifetimeOf(certified.certificate);
  }

  /**
   * Tells whether it will still be valid after so many milliseconds; however many they are, it serves for half of its life.
   * Runners' clocks differ: only how long it lives counts.
   */
  isGoodFor(milliseconds: number): boolean {
    const age = performance.now() - this.#received;
    return age + milliseconds < this.#lifetime || age < this.#lifetime / 2;
  }
}

function lifetimeOf({ validFrom, validTo }: X509Certificate): number {
  return Date.parse(validTo) - Date.parse(validFrom);
}

/** One certificate for as many signatures as are made while it is good, and then another for the same identity. */
class KeylessSigner implements Signer {
  readonly signatory: CertifiedSignatory;
  #current: Certification;
  readonly #certify: () => Promise<Certification>;
  readonly #retryBudget: number;
  #renewing: Promise<Certification> | undefined;

  constructor(first: Certification, certify: () => Promise<Certification>, retryBudget: number) {
    this.signatory = first.signatory;
    this.#current = first;
    this.#certify = certify;
    this.#retryBudget = retryBudget;
  }

  async sign(data: Uint8Array): Promise<Signature> {
    const { privateKey, certified } = await this.#valid();
    return {
      bytes: createSign('sha256').update(data).sign(privateKey),
      by: { kind: 'certificate', ...certified },
    };
  }

  /** The log may take its time, and what counts is when it enters the signature. */
  async #valid(): Promise<Certification> {
    if (this.#current.isGoodFor(this.#retryBudget)) return this.#current;
    this.#renewing ??= this.#renew();
    return this.#renewing;
  }

  async #renew(): Promise<Certification> {
    try {
      const renewed = await this.#certify();
      if (!sameSignatory(renewed.signatory, this.signatory)) {
        throw new ManifoldError(
          'signing-failed',
          `The certificate ran out, and the new one names ${oneLine(renewed.signatory.identity.name)} instead of ${oneLine(this.signatory.identity.name)}.`,
          { hint: 'No tag was moved. Re-run this job: it goes on from here.' },
        );
      }
      this.#current = renewed;
      return renewed;
    } finally {
      this.#renewing = undefined;
    }
  }
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
