import type { HttpRequest, HttpResponse, HttpStream } from '../http/transport.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { Credential } from './credentials.ts';
import { type Access, type Action, isCovered, scopesOf } from './scope.ts';
import { basicAuthorization, type Challenger, fetchToken, type Token } from './token-service.ts';

export interface AuthenticatorOptions extends Challenger {
  readonly findCredential: () => Promise<Credential | undefined>;
}

/** A token, or the fetching of one. */
interface KeptToken {
  readonly scopes: readonly string[];
  readonly fetching: Promise<Token>;
  /** Undefined while it is fetched. */
  token: Token | undefined;
}

type Answer = Pick<HttpResponse, 'status' | 'headers' | 'url'>;

/**
 * Answers one registry's challenges with one login: Bearer tokens by scope (distribution docs/spec/auth/token.md and
 * oauth.md) and Basic. Requests go out bare until the registry asks for something; what it asks for is remembered, and
 * one token serves all requests that its scopes cover.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #tokens = new Map<string, KeptToken>();
  /** What the registry wanted besides, by the scopes that were not enough for it. */
  readonly #wanted = new Map<string, readonly string[]>();
  #challenge: Challenge | undefined;
  #credential: Promise<Credential | undefined> | undefined;
  #isLoggedIn = false;
  #knowsBasic = false;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** Tells whether there is a login; no, as long as the registry has not asked for one. */
  get isLoggedIn(): boolean {
    return this.#isLoggedIn;
  }

  /**
   * Sends a request with what is known, and once more when the registry asks for (other) credentials.
   * @param also what else the request does: a mount reads another repository
   */
  send(
    request: HttpRequest,
    repository: string,
    action: Action,
    also: readonly Access[] = [],
  ): Promise<HttpResponse> {
    const { transport } = this.#options;
    return this.#exchange(request, [{ repository, action }, ...also], ready => transport.request(ready));
  }

  /** The same for an answer that is read while it comes. */
  open(request: HttpRequest, repository: string, action: Action): Promise<HttpStream | HttpResponse> {
    const { transport } = this.#options;
    return this.#exchange(request, [{ repository, action }], ready => transport.open(ready));
  }

  /** Sends a request without any credentials. */
  sendBare(request: HttpRequest): Promise<HttpResponse> {
    return this.#options.transport.request(request);
  }

  async #exchange<T extends Answer>(
    request: HttpRequest,
    accesses: readonly Access[],
    transmit: (request: HttpRequest) => Promise<T>,
  ): Promise<T> {
    const scopes = scopesOf(accesses);
    let known = await this.#authorization(scopes);
    let response = await transmit(withAuthorization(request, known));
    for (let answered = 0; ; answered++) {
      // Another host, where a redirect led, is not asked what it would like to have.
      const challenge = response.url.origin === request.url.origin ? challengeOf(response) : undefined;
      if (challenge === undefined) return response;
      this.#challenge = challenge;
      const wantsMore = this.#learnScopes(scopes, challenge);
      // What was fetched just now is no better the next time, unless it is for more; and who goes on wanting gets no more.
      if (answered > 1 || (answered === 1 && !wantsMore)) return response;
      const fresh = await this.#authorization(scopes, known);
      if (fresh === undefined || fresh === known) return response;
      known = fresh;
      response = await transmit(withAuthorization(request, known));
    }
  }

  /**
   * Some registries want more for a request than the specification says, and name it in their refusal (RFC 6750, 3.1).
   * @returns whether there was something new to learn
   */
  #learnScopes(scopes: readonly string[], challenge: Challenge): boolean {
    if (!isInsufficient(challenge)) return false;
    const key = scopes.join(' ');
    const wanted = this.#wanted.get(key) ?? [];
    const named = (challenge.parameters.get('scope') ?? '').split(' ').filter(scope => scope !== '');
    const more = named.filter(scope => !isCovered(scope, [...scopes, ...wanted]));
    this.#wanted.set(key, [...wanted, ...more]);
    return more.length > 0;
  }

  /** @param refused the header that the registry no longer takes: a token like it is fetched anew, once for all */
  async #authorization(scopes: readonly string[], refused?: string): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    if (challenge.scheme === 'basic') return this.#basic();
    const asked = [...scopes, ...(this.#wanted.get(scopes.join(' ')) ?? [])];
    const key = asked.join(' ');
    const kept = this.#findToken(key, asked, refused);
    if (kept?.token !== undefined) return kept.token.header;
    if (kept !== undefined) {
      // Who waits for a token of the same scopes shares its failure; a wider one may be refused where ours is not.
      await (this.#tokens.get(key) === kept ? kept.fetching : kept.fetching.catch(() => {}));
      return this.#authorization(scopes, refused);
    }
    return (await this.#fetchToken(challenge, key, asked)).header;
  }

  /**
   * A token that covers these scopes, the one that was fetched for just them before all others. After a refusal only its
   * renewal counts: another old one may have ended at the same time.
   */
  #findToken(key: string, scopes: readonly string[], refused: string | undefined): KeptToken | undefined {
    const isUsable = ({ token }: KeptToken): boolean =>
      token === undefined || (token.header !== refused && token.expires > Date.now());
    const own = this.#tokens.get(key);
    if (own !== undefined && isUsable(own)) return own;
    if (refused !== undefined) return undefined;
    return [...this.#tokens.values()].find(
      kept => isUsable(kept) && scopes.every(scope => isCovered(scope, kept.scopes)),
    );
  }

  #fetchToken(challenge: Challenge, key: string, scopes: readonly string[]): Promise<Token> {
    const fetching = this.#login().then(credential =>
      fetchToken(this.#options, challenge, scopes, credential),
    );
    const kept: KeptToken = { scopes, fetching, token: undefined };
    this.#tokens.set(key, kept);
    fetching.then(
      token => {
        kept.token = token;
      },
      () => this.#tokens.delete(key),
    );
    return fetching;
  }

  async #basic(): Promise<string | undefined> {
    const credential = await this.#login();
    if (credential?.kind !== 'password') return undefined;
    const authorization = basicAuthorization(credential.username, credential.password);
    if (!this.#knowsBasic) this.#options.onSecret(authorization.slice('Basic '.length));
    this.#knowsBasic = true;
    return authorization;
  }

  async #login(): Promise<Credential | undefined> {
    this.#credential ??= this.#options.findCredential().then(credential => {
      this.#isLoggedIn = credential !== undefined;
      if (credential !== undefined)
        this.#options.onSecret(credential.kind === 'password' ? credential.password : credential.token);
      return credential;
    });
    return this.#credential;
  }
}

function withAuthorization(request: HttpRequest, authorization: string | undefined): HttpRequest {
  return authorization === undefined
    ? request
    : { ...request, headers: { ...request.headers, authorization } };
}

/** What a registry asks for: with 401, or with 403 when it says that the token is not enough (RFC 6750, section 3.1). */
function challengeOf(response: Answer): Challenge | undefined {
  if (response.status !== 401 && response.status !== 403) return undefined;
  const challenges = parseChallenges(response.headers['www-authenticate'] ?? '');
  const bearers = challenges.filter(({ scheme }) => scheme === 'bearer');
  const complete = bearers.filter(({ parameters }) => parameters.has('realm'));
  if (response.status === 403) return complete.find(isInsufficient);
  // Bearer before Basic, as it says more precisely what is asked for; one without a realm says nothing.
  return complete[0] ?? challenges.find(({ scheme }) => scheme === 'basic') ?? bearers[0];
}

function isInsufficient({ parameters }: Challenge): boolean {
  return parameters.get('error') === 'insufficient_scope';
}
