import { createSign, type KeyObject, X509Certificate } from 'node:crypto';
import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import type { HttpResponse, Transport } from '../http/transport.ts';
import { baseUrl } from '../http/url.ts';
import { askService, GOES_ON, serviceFailure, wrongAnswer } from './failure.ts';
import type { IdentityToken } from './identity-token.ts';

const answer = v.object({
  signedCertificateEmbeddedSct: v.object({
    chain: v.object({ certificates: v.tupleWithRest([v.string()], v.string()) }),
  }),
});
const claims = v.object({ aud: v.union([v.string(), v.array(v.string())]) });

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
  if (response.status !== 200 && response.status !== 201) throw refusalOf(response, identity);
  const certified = read(response);
  if (!certified.certificate.checkPrivateKey(keys.privateKey))
    throw wrongAnswer(FULCIO, url, 'certified another key than ours');
  return certified;
}

/** Fulcio itself says 400 for a token that is no longer good (grpc_server.go), and what stands before it may say 401. */
function refusalOf(response: HttpResponse, identity: IdentityToken): ManifoldError {
  const { status, body } = response;
  const { code, message } = serviceFailure(FULCIO, response);
  const isPermanent = status === 400 || status === 401 || status === 403;
  const failure = new ManifoldError(code, message, {
    hint: isPermanent ? `${demandsOn(identity)} ${GOES_ON}` : GOES_ON,
  });
  const isOfToken = status === 401 || (status === 400 && /\btoken\b/i.test(body.toString('utf8', 0, 2000)));
  return isOfToken ? new TokenRefused(failure) : failure;
}

/** No re-run changes that an authority does not know the issuer of a token, or wants it for another audience. */
function demandsOn(identity: IdentityToken): string {
  const audience = audienceOf(identity);
  const forWhom = audience === undefined ? '' : ` for the audience "${oneLine(audience)}"`;
  return `The identity token is of ${oneLine(identity.issuer)}${forWhom}. The authority must know this issuer, as the public Sigstore knows that of github.com, and must be set up for this audience: the input "oidc-audience" names another.`;
}

/** As the token itself says it (RFC 7519, section 4.1.3). */
function audienceOf({ token }: IdentityToken): string | undefined {
  try {
    const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return [v.parse(claims, payload).aud].flat().join(', ');
  } catch {
    return undefined;
  }
}

function read({ body, url }: HttpResponse): Certified {
  const what = `the answer of Fulcio (${url.origin})`;
  const reading = { code: 'signing-failed', hint: GOES_ON } as const;
  const { signedCertificateEmbeddedSct } = parseDocument(answer, body, what, reading);
  const [certificate, ...issuers] = signedCertificateEmbeddedSct.chain.certificates;
  try {
    return {
      certificate: new X509Certificate(certificate),
      chain: issuers.map(issuer => new X509Certificate(issuer)),
    };
  } catch (error) {
    throw wrongAnswer(FULCIO, url, `gave no legible certificate: ${oneLine(messageOf(error))}`, error);
  }
}
