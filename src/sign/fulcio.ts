import { createSign, type KeyObject, X509Certificate } from 'node:crypto';
import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import type { HttpResponse, Transport } from '../http/transport.ts';
import { baseUrl } from '../http/url.ts';
import { askService, GOES_ON, serviceFailure, wrongAnswer } from './failure.ts';
import type { IdentityToken } from './identity-token.ts';

const chain = v.object({ chain: v.object({ certificates: v.pipe(v.array(v.string()), v.minLength(1)) }) });
const answer = v.object({
  signedCertificateEmbeddedSct: v.optional(chain),
});

const FULCIO = 'The certificate authority Fulcio';

/** Fulcio does not take the identity token: it may have run out on its way. */
export class TokenRefused extends ManifoldError {
  constructor({ code, message, hint = '' }: ManifoldError) {
    super(code, message, { hint });
  }
}

/** A certificate for a key, and who vouches for it. */
export interface Certified {
  readonly certificate: X509Certificate;
  /** From the certificate's issuer to the root. */
  readonly chain: readonly X509Certificate[];
}

/**
 * Asks Fulcio for a certificate that ties a key to the identity of the token (fulcio.proto, CreateSigningCertificate).
 * @throws TokenRefused; ManifoldError `signing-failed`, `service-unreachable`
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
  const url = new URL('api/v2/signingCert', baseUrl(authority));
  const headers = { 'content-type': 'application/json' };
  const request = { method: 'POST', url, headers, body: Buffer.from(JSON.stringify(body)) } as const;
  const response = await askService(FULCIO, request, transport);
  if (response.status !== 200 && response.status !== 201) throw refusalOf(response);
  const certified = read(response);
  if (!certified.certificate.checkPrivateKey(keys.privateKey))
    throw wrongAnswer(FULCIO, url, 'certified another key than ours');
  return certified;
}

/** Fulcio itself says 400 for a token that is no longer good (grpc_server.go), and what stands before it may say 401. */
function refusalOf(response: HttpResponse): ManifoldError {
  const failure = serviceFailure(FULCIO, response);
  const { status, body } = response;
  const isOfToken = status === 401 || (status === 400 && /\btoken\b/i.test(body.toString('utf8', 0, 2000)));
  return isOfToken ? new TokenRefused(failure) : failure;
}

function read({ body, url }: HttpResponse): Certified {
  const what = `the answer of Fulcio (${url.origin})`;
  const reading = { code: 'signing-failed', hint: GOES_ON } as const;
  const { signedCertificateEmbeddedSct } = parseDocument(answer, body, what, reading);
  try {
    const [certificate, ...issuers] = (signedCertificateEmbeddedSct?.chain.certificates ?? []).map(
      pem => new X509Certificate(pem),
    );
    return { certificate: certificate ?? new X509Certificate(''), chain: issuers };
  } catch (error) {
    throw wrongAnswer(FULCIO, url, `gave no legible certificate: ${oneLine(messageOf(error))}`, error);
  }
}
