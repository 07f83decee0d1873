import { createSign, generateKeyPair, type KeyObject, type X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import type { Transport } from '../http/transport.ts';
import type { Digest } from '../oci/digest.ts';
import { formatBundle } from './bundle.ts';
import { requestCertificate } from './fulcio.ts';
import { type Identity, identityOf } from './identity.ts';
import { fetchIdentityToken, type IdentityToken } from './identity-token.ts';
import { logSignature } from './rekor.ts';
import type { SigningServices } from './services.ts';
import { PAYLOAD_TYPE, preAuthenticationEncoding, signatureStatement } from './statement.ts';
import { requestTimestamp } from './timestamp.ts';

export interface KeylessOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly services: SigningServices;
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
    const { env, transport, onSecret } = this.#options;
    return fetchIdentityToken(env, transport, onSecret);
  }

  /**
   * Makes a key that never leaves this process and has it certified for this job's identity.
   * @throws ManifoldError `signing-failed`, `service-unreachable`
   */
  async createSigner(token: IdentityToken): Promise<KeylessSigner> {
    const { services, transport } = this.#options;
    const keys = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
    // What came between may have taken longer than a token lives: registries were asked for what is signed already.
    const isFresh = performance.now() - token.received < FRESH;
    const current = isFresh ? token : await this.identify();
    const certificate = await requestCertificate(services.certificateAuthority, current, keys, transport);
    return new KeylessSigner(certificate, keys.privateKey, this.#options);
  }
}

/** One key and one certificate, good for as many signatures as are made within its ten minutes. */
export class KeylessSigner {
  readonly identity: Identity;
  readonly #certificate: X509Certificate;
  readonly #privateKey: KeyObject;
  readonly #options: KeylessOptions;

  constructor(certificate: X509Certificate, privateKey: KeyObject, options: KeylessOptions) {
    this.identity = identityOf(certificate.raw);
    this.#certificate = certificate;
    this.#privateKey = privateKey;
    this.#options = options;
  }

  /**
   * Signs a manifest by its digest.
   * @returns the bytes of a Sigstore bundle
   * @throws ManifoldError `signing-failed`, `service-unreachable`
   */
  async sign(digest: Digest): Promise<Buffer> {
    const { services, transport } = this.#options;
    const payload = signatureStatement(digest);
    const signature = createSign('sha256')
      .update(preAuthenticationEncoding(PAYLOAD_TYPE, payload))
      .sign(this.#privateKey);
    const envelope = { payloadType: PAYLOAD_TYPE, payload, signature, certificate: this.#certificate };
    const [entries, timestamps] = await Promise.all([
      Promise.all(services.logs.map(log => logSignature(log, envelope, transport))),
      Promise.all(
        services.timestampAuthorities.map(authority => requestTimestamp(authority, signature, transport)),
      ),
    ]);
    return formatBundle(envelope, entries, timestamps);
  }
}
