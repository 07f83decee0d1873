import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, oneLine } from '../errors.ts';
import type { HttpRequest, HttpResponse, Transport } from '../http/transport.ts';
import { isLoopback } from '../http/url.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { Credential } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';

export type Action = 'pull' | 'push';

export interface AuthenticatorOptions {
  readonly registry: string;
  readonly endpoint: Endpoint;
  readonly transport: Transport;
  readonly findCredential: () => Promise<Credential | undefined>;
  /** Told of every token and password before it is used, so that the log masks it. */
  readonly onSecret: (secret: string) => void;
}

interface Token {
  readonly header: string;
  /** Milliseconds since 1970 after which it is not used any more. */
  readonly expires: number;
}

const tokenAnswer = v.object({
  token: v.optional(v.string()),
  access_token: v.optional(v.string()),
  expires_in: v.optional(v.number()),
});

// The distribution specification's default where a token service says nothing (docs/spec/auth/token.md).
const DEFAULT_LIFETIME = 60;
const CLIENT = 'manifold';

/**
 * Answers one registry's challenges: Bearer tokens by scope (distribution docs/spec/auth/token.md and oauth.md) and
 * Basic. Requests go out bare until the registry asks for something; what it asks for is remembered, and one token serves
 * all requests of its scope.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #tokens = new Map<string, Promise<Token>>();
  #challenge: Challenge | undefined;
  #credential: Promise<Credential | undefined> | undefined;
  #knowsBasic = false;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** Sends a request with what is known, and once more when the registry asks for (other) credentials. */
  async send(request: HttpRequest, repository: string, action: Action): Promise<HttpResponse> {
    const known = await this.#authorization(repository, action);
    const response = await this.#options.transport.request(withAuthorization(request, known));
    // Another host, where a redirect led, is not asked what it would like to have.
    if (response.status !== 401 || response.url.origin !== request.url.origin) return response;
    const challenge = usableChallenge(response);
    if (challenge === undefined) return response;
    this.#challenge = challenge;
    const fresh = await this.#authorization(repository, action, known);
    if (fresh === undefined || fresh === known) return response;
    return this.#options.transport.request(withAuthorization(request, fresh));
  }

  /** Sends a request without any credentials. */
  sendBare(request: HttpRequest): Promise<HttpResponse> {
    return this.#options.transport.request(request);
  }

  /** @param refused the header that the registry no longer takes: a token like it is fetched anew, once for all */
  async #authorization(repository: string, action: Action, refused?: string): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    if (challenge.scheme === 'basic') return this.#basic();
    // Push rights are of no use without pull: every write is preceded or followed by a look.
    const scope = `repository:${repository}:${action === 'push' ? 'pull,push' : 'pull'}`;
    const kept = this.#tokens.get(scope);
    if (kept !== undefined) {
      const { header, expires } = await kept;
      if (header !== refused && expires > Date.now()) return header;
      // Somebody else may have begun to renew it while we waited.
      if (this.#tokens.get(scope) !== kept) return this.#authorization(repository, action, refused);
    }
    const token = this.#fetchToken(challenge, scope);
    this.#tokens.set(scope, token);
    token.catch(() => this.#tokens.delete(scope));
    return (await token).header;
  }

  async #basic(): Promise<string | undefined> {
    const credential = await this.#login();
    if (credential?.kind !== 'password') return undefined;
    const pair = Buffer.from(`${credential.username}:${credential.password}`).toString('base64');
    if (!this.#knowsBasic) this.#options.onSecret(pair);
    this.#knowsBasic = true;
    return `Basic ${pair}`;
  }

  async #login(): Promise<Credential | undefined> {
    this.#credential ??= this.#options.findCredential().then(credential => {
      if (credential !== undefined)
        this.#options.onSecret(credential.kind === 'password' ? credential.password : credential.token);
      return credential;
    });
    return this.#credential;
  }

  async #fetchToken(challenge: Challenge, scope: string): Promise<Token> {
    const requested = Date.now();
    const response = await this.#options.transport.request(
      this.#tokenRequest(challenge, scope, await this.#login()),
    );
    if (response.status !== 200) throw tokenRefused(this.#options.registry, response);
    const answer = parseDocument(
      tokenAnswer,
      response.body,
      `the answer of the token service of ${this.#options.registry}`,
      { code: 'registry-unauthorized', secret: true },
    );
    const token = answer.token ?? answer.access_token;
    if (!token) {
      throw new ManifoldError(
        'registry-unauthorized',
        `The token service of ${this.#options.registry} answered without a token.`,
      );
    }
    this.#options.onSecret(token);
    // Given up a little early, so that it does not expire on the way.
    const lifetime = Math.max((answer.expires_in ?? DEFAULT_LIFETIME) * 0.9, 1);
    return { header: `Bearer ${token}`, expires: requested + lifetime * 1000 };
  }

  #tokenRequest(challenge: Challenge, scope: string, credential: Credential | undefined): HttpRequest {
    const { registry, endpoint } = this.#options;
    const realm = parseRealm(challenge.parameters.get('realm'), registry, endpoint);
    const service = challenge.parameters.get('service');
    const trust =
      endpoint.ca !== undefined && realm.hostname === endpoint.url.hostname ? { ca: endpoint.ca } : {};
    if (credential?.kind === 'refresh-token') {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: credential.token,
        client_id: CLIENT,
        scope,
      });
      if (service !== undefined) form.set('service', service);
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      return { method: 'POST', url: realm, headers, body: Buffer.from(form.toString()), ...trust };
    }
    if (service !== undefined) realm.searchParams.set('service', service);
    realm.searchParams.append('scope', scope);
    if (credential === undefined) return { method: 'GET', url: realm, ...trust };
    const pair = Buffer.from(`${credential.username}:${credential.password}`).toString('base64');
    this.#options.onSecret(pair);
    return { method: 'GET', url: realm, headers: { authorization: `Basic ${pair}` }, ...trust };
  }
}

function withAuthorization(request: HttpRequest, authorization: string | undefined): HttpRequest {
  return authorization === undefined
    ? request
    : { ...request, headers: { ...request.headers, authorization } };
}

/** Bearer before Basic, as it says more precisely what is asked for. */
function usableChallenge(response: HttpResponse): Challenge | undefined {
  const challenges = parseChallenges(response.headers['www-authenticate'] ?? '');
  return (
    challenges.find(({ scheme }) => scheme === 'bearer') ??
    challenges.find(({ scheme }) => scheme === 'basic')
  );
}

/** A realm decides where the password goes: over TLS, or not beyond this machine. */
function parseRealm(realm: string | undefined, registry: string, endpoint: Endpoint): URL {
  const url = URL.parse(realm ?? '');
  const staysHere = url?.protocol === 'http:' && endpoint.url.protocol === 'http:' && isLoopback(url.host);
  const secure = url?.protocol === 'https:' || staysHere;
  if (url !== null && secure) return url;
  throw new ManifoldError(
    'registry-unauthorized',
    `${registry} sends its clients to the token service "${oneLine(realm ?? '')}", which is no https address.`,
  );
}

function tokenRefused(registry: string, response: HttpResponse): ManifoldError {
  const text = oneLine(response.body.toString('utf8'));
  if (response.status === 401 || response.status === 403) {
    return new ManifoldError(
      'registry-unauthorized',
      `The token service of ${registry} refuses the login (${response.status}): ${text}`,
      {
        hint: 'Check the user name and password that docker/login-action was given for this registry.',
      },
    );
  }
  const code =
    response.status === 429
      ? 'registry-rate-limited'
      : response.status >= 500
        ? 'registry-unavailable'
        : 'registry-refused';
  return new ManifoldError(code, `The token service of ${registry} answered ${response.status}: ${text}`);
}
