import { createHash, createHmac, createPublicKey, type KeyObject, sign, timingSafeEqual } from 'node:crypto';

export type Claims = Record<string, unknown>;

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs with RS256 or ES256, whichever the private key is made for; `kid` names it to the verifier. */
export function signJwt(claims: Claims, privateKey: KeyObject, kid: string): string {
  const algorithm = privateKey.asymmetricKeyType === 'rsa' ? 'RS256' : 'ES256';
  const content = `${encode({ typ: 'JWT', alg: algorithm, kid })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${content}.${signature.toString('base64url')}`;
}

/** Signs with a secret that only the lab knows (HS256): enough where issuer and reader are one service. */
export function signWithSecret(claims: Claims, secret: string): string {
  const content = `${encode({ typ: 'JWT', alg: 'HS256' })}.${encode(claims)}`;
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
}

/** The claims of a token made by `signWithSecret`, or undefined when it is forged, malformed or expired. */
export function verifyWithSecret(token: string, secret: string): Claims | undefined {
  const end = token.lastIndexOf('.');
  const expected = createHmac('sha256', secret).update(token.slice(0, end)).digest();
  const found = Buffer.from(token.slice(end + 1), 'base64url');
  if (found.length !== expected.length || !timingSafeEqual(found, expected)) return undefined;
  const claims = readClaims(token);
  return typeof claims.exp === 'number' && claims.exp * 1000 < Date.now() ? undefined : claims;
}

/** The claims without any check. */
export function readClaims(token: string): Claims {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims;
}

/** The public half as a JSON Web Key, its `kid` being the RFC 7638 thumbprint. */
export function publicJwk(privateKey: KeyObject): Record<string, string> & { kid: string } {
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' }) as Record<string, string>;
  const members = jwk.kty === 'RSA' ? ['e', 'kty', 'n'] : ['crv', 'kty', 'x', 'y'];
  const canonical = JSON.stringify(Object.fromEntries(members.map(name => [name, jwk[name]])));
  const kid = createHash('sha256').update(canonical).digest('base64url');
  return { ...jwk, kid, use: 'sig', alg: jwk.kty === 'RSA' ? 'RS256' : 'ES256' };
}
