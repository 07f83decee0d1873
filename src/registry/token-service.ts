import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { type ErrorCode, ManifoldError, oneLine } from '../errors.ts';
import { isRateLimit } from '../http/retry.ts';
import type { HttpRequest, HttpResponse, Transport } from '../http/transport.ts';
import { isLoopback } from '../http/url.ts';
import type { Challenge } from './challenge.ts';
import type { Credential } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';

/** The registry whose challenges are answered. */
export interface Challenger {
  /** As image names write it. */
  readonly registry: string;
  readonly endpoint: Endpoint;
  readonly transport: Transport;
  /** Hosts, with their ports, that may be spoken to without TLS. */
  readonly insecure?: ReadonlySet<string>;
  /** Told of every token and password before it is used, so that the log masks it. */
  readonly onSecret: (secret: string) => void;
}

export interface Token {
  /** The value of the `Authorization` header. */
  readonly header: string;
  /** Milliseconds since 1970 after which it is not used any more. */
  readonly expires: number;
}

const tokenAnswer = v.object({
  token: v.nullish(v.string()),
  access_token: v.nullish(v.string()),
  expires_in: v.nullish(v.number()),
});

// The distribution specification's default where a token service says nothing (docs/spec/auth/token.md).
const DEFAULT_LIFETIME = 60;
const CLIENT = 'manifold';

/**
 * Asks the token service that a challenge names for a token with these scopes.
 * @throws ManifoldError `registry-unauthorized` when it refuses, answers with something else or may not be asked;
 *   `registry-…` when it fails
 */
export async function fetchToken(
  challenger: Challenger,
  challenge: Challenge,
  scopes: readonly string[],
  credential: Credential | undefined,
): Promise<Token> {
  const { registry, transport, onSecret } = challenger;
  const requested = Date.now();
  const response = await transport.request(tokenRequest(challenger, challenge, scopes, credential));
  if (response.status !== 200) throw tokenRefused(registry, response, credential !== undefined);
  const what = `the answer of the token service of ${registry}`;
  const answer = parseDocument(tokenAnswer, response.body, what, {
    code: 'registry-unauthorized',
    secret: true,
  });
  const token = answer.token || answer.access_token;
  if (!token) {
    throw new ManifoldError(
      'registry-unauthorized',
      `The token service of ${registry} answered without a token.`,
    );
  }
  onSecret(token);
  // Given up a little early, so that it does not expire on the way.
  const lifetime = Math.max((answer.expires_in ?? DEFAULT_LIFETIME) * 0.9, 1);
  return { header: `Bearer ${token}`, expires: requested + lifetime * 1000 };
}

/** The value of an `Authorization` header for a name and password (RFC 7617). */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** GET with the login (docs/spec/auth/token.md), or POST with a refresh token (docs/spec/auth/oauth.md). */
function tokenRequest(
  challenger: Challenger,
  challenge: Challenge,
  scopes: readonly string[],
  credential: Credential | undefined,
): HttpRequest {
  const { endpoint, onSecret } = challenger;
  const realm = parseRealm(challenge.parameters.get('realm'), challenger);
  const service = challenge.parameters.get('service');
  const trust =
    endpoint.ca !== undefined && realm.hostname === endpoint.url.hostname ? { ca: endpoint.ca } : {};
  if (credential?.kind === 'refresh-token') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credential.token,
      client_id: CLIENT,
      scope: scopes.join(' '),
    });
    if (service !== undefined) form.set('service', service);
    // An answer may repeat what it was sent as it was sent.
    onSecret(encoded(credential.token));
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return { method: 'POST', url: realm, headers, body: Buffer.from(form.toString()), ...trust };
  }
  if (service !== undefined) realm.searchParams.set('service', service);
  for (const scope of scopes) realm.searchParams.append('scope', scope);
  if (credential === undefined) return { method: 'GET', url: realm, ...trust };
  const authorization = basicAuthorization(credential.username, credential.password);
  onSecret(authorization.slice('Basic '.length));
  return { method: 'GET', url: realm, headers: { authorization }, ...trust };
}

/** As a form holds it (WHATWG URL, "application/x-www-form-urlencoded serializing"). */
function encoded(value: string): string {
  return new URLSearchParams({ '': value }).toString().slice('='.length);
}

/** A realm decides where the password goes: over TLS, or nowhere that plain HTTP was not allowed for. */
function parseRealm(realm: string | undefined, { registry, endpoint, insecure }: Challenger): URL {
  const url = URL.parse(realm ?? '');
  if (url?.protocol === 'https:') return url;
  const isPlain = url?.protocol === 'http:' && endpoint.url.protocol === 'http:';
  if (isPlain && (isLoopback(url.host) || insecure?.has(url.host) === true)) return url;
  throw new ManifoldError(
    'registry-unauthorized',
    `${registry} sends its clients to the token service "${oneLine(realm ?? '')}", which is no https address.`,
  );
}

function tokenRefused(registry: string, response: HttpResponse, loggedIn: boolean): ManifoldError {
  const { status } = response;
  const text = oneLine(response.body.toString('utf8'));
  const code = refusalCode(response, text);
  if (code !== 'registry-unauthorized')
    return new ManifoldError(code, `The token service of ${registry} answered ${status}: ${text}`);
  return loggedIn
    ? new ManifoldError(code, `The token service of ${registry} refuses the login (${status}): ${text}`, {
        hint: 'Check the user name and password that docker/login-action was given for this registry.',
      })
    : new ManifoldError(
        code,
        `The token service of ${registry} gives nothing to who is not logged in (${status}): ${text}`,
        { hint: `Log in to ${registry} before this step (docker/login-action).` },
      );
}

function refusalCode(response: HttpResponse, text: string): ErrorCode {
  const { status } = response;
  if (isRateLimit({ status, retryAfter: response.headers['retry-after'], text }))
    return 'registry-rate-limited';
  if (status === 401 || status === 403) return 'registry-unauthorized';
  return status >= 500 ? 'registry-unavailable' : 'registry-refused';
}
