import { createSign, type KeyObject, X509Certificate } from 'node:crypto';
import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, messageOf } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import { baseUrl } from '../http/url.ts';
import { serviceFailure } from './failure.ts';
import type { IdentityToken } from './identity-token.ts';

const chain = v.object({ chain: v.object({ certificates: v.pipe(v.array(v.string()), v.minLength(1)) }) });
const answer = v.object({
  signedCertificateEmbeddedSct: v.optional(chain),
});

/** A certificate for a key, and who vouches for it. */
export interface Certified {
  readonly certificate: X509Certificate;
  /** From the certificate's issuer to the root. */
  readonly chain: readonly X509Certificate[];
}

/**
 * Asks Fulcio for a certificate that ties a key to the identity of the token (fulcio.proto, CreateSigningCertificate).
 * @throws ManifoldError `signing-failed`, `service-unreachable`
 */
export async function requestCertificate(
  authority: URL,
  identity: IdentityToken,
  keys: { publicKey: KeyObject; privateKey: KeyObject },
  transport: Transport,
): Promise<Certified> {
  const proof = createSign('sha256').update(identity.subject).sign(keys.privateKey);
  const body = {
    credentials: { oidcIdentityToken: identity.token },
    publicKeyRequest: {
      publicKey: { algorithm: 'ECDSA', content: keys.publicKey.export({ format: 'pem', type: 'spki' }) },
      proofOfPossession: proof.toString('base64'),
    },
  };
  const response = await transport.request({
    method: 'POST',
    url: new URL('api/v2/signingCert', baseUrl(authority)),
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(body)),
  });
  if (response.status !== 200 && response.status !== 201)
    throw serviceFailure('The certificate authority Fulcio', response);
  const { signedCertificateEmbeddedSct } = parseDocument(answer, response.body, 'the answer of Fulcio', {
    code: 'signing-failed',
  });
  try {
    const [certificate, ...issuers] = (signedCertificateEmbeddedSct?.chain.certificates ?? []).map(
      pem => new X509Certificate(pem),
    );
    return { certificate: certificate ?? new X509Certificate(''), chain: issuers };
  } catch (error) {
    throw new ManifoldError(
      'signing-failed',
      `Fulcio answered without a legible certificate: ${messageOf(error)}.`,
      { cause: error },
    );
  }
}
