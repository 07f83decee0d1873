import { generateKeyPair, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { authorization, type Endpoint, requestUrl, sendJson, serve } from './http.ts';
import { type Claims, publicJwk, signJwt } from './jwt.ts';
import { type JobClaims, jobClaims } from './oidc-claims.ts';

export interface OidcIssuerOptions {
  /** Claims of every job that does not say otherwise. */
  claims?: JobClaims;
  /** Seconds until a token expires; GitHub's live 300. */
  lifetime?: number;
  /** Subjects as repositories created after 2026-07-15 have them: `repo:OWNER@ID/REPO@ID:...`. */
  immutableSubject?: boolean;
}

/** One ID token that was given out. */
export interface GivenToken {
  readonly audience: string;
  readonly claims: Claims;
}

export interface OidcIssuer extends Endpoint {
  /** Every ID token given so far, in order. */
  readonly given: readonly GivenToken[];
  /** Token requests that were refused. */
  readonly refused: number;
  /**
   * The two variables by which a job with `id-token: write` asks for tokens. Each call makes an identity of its own.
   * `through` is the address of a proxy in front of the issuer.
   */
  jobEnvironment(claims?: JobClaims, through?: string): Record<string, string>;
  /** An ID token without asking over HTTP; it counts as given. */
  issue(audience: string, claims?: JobClaims): string;
  /** A well-formed token signed by a key that nobody trusts, or one that expired: for tests of refusal. */
  issueBad(kind: 'foreign key' | 'expired', audience: string): string;
}

/** The OIDC provider of GitHub Actions (docs.github.com, "OpenID Connect reference"): discovery, keys, and the runner's token endpoint. */
export async function startOidcIssuer(options: OidcIssuerOptions = {}): Promise<OidcIssuer> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const issuer = new Issuer(options, privateKey);
  const endpoint = await serve((request, response) => issuer.answer(request, response));
  issuer.url = endpoint.url;
  return {
    ...endpoint,
    get given() {
      return issuer.given;
    },
    get refused() {
      return issuer.refused;
    },
    jobEnvironment: (claims, through) => issuer.jobEnvironment(claims ?? {}, through ?? endpoint.url),
    issue: (audience, claims) => issuer.issue(audience, claims ?? {}),
    issueBad: (kind, audience) => issuer.issueBad(kind, audience),
  };
}

class Issuer {
  url = '';
  readonly given: GivenToken[] = [];
  refused = 0;
  readonly #options: OidcIssuerOptions;
  readonly #key: KeyObject;
  readonly #jobs = new Map<string, JobClaims>();

  constructor(options: OidcIssuerOptions, key: KeyObject) {
    this.#options = options;
    this.#key = key;
  }

  jobEnvironment(claims: JobClaims, base: string): Record<string, string> {
    const requestToken = randomUUID();
    this.#jobs.set(requestToken, claims);
    return {
      // The URL holds a `?` already, as on a runner: clients append `&audience=`.
      ACTIONS_ID_TOKEN_REQUEST_URL: `${base}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: requestToken,
    };
  }

  issue(audience: string, claims: JobClaims): string {
    const all = this.#claims(audience, claims, 0);
    this.given.push({ audience, claims: all });
    return signJwt(all, this.#key, publicJwk(this.#key).kid);
  }

  issueBad(kind: 'foreign key' | 'expired', audience: string): string {
    if (kind === 'expired') {
      return signJwt(this.#claims(audience, {}, -86_400), this.#key, publicJwk(this.#key).kid);
    }
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    return signJwt(this.#claims(audience, {}, 0), stranger, publicJwk(this.#key).kid);
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const url = requestUrl(request);
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        sendJson(response, 200, this.#discovery());
        break;
      case '/.well-known/jwks':
        sendJson(response, 200, { keys: [publicJwk(this.#key)] });
        break;
      case '/token':
        this.#token(request, response, url.searchParams.get('audience'));
        break;
      default:
        sendJson(response, 404, { message: `the issuer has no ${url.pathname}` });
    }
  }

  #token(request: IncomingMessage, response: ServerResponse, audience: string | null): void {
    const job = this.#jobs.get(authorization(request, 'bearer') ?? '');
    if (!job) {
      this.refused++;
      sendJson(response, 401, { message: 'the request token is not one of this run' });
      return;
    }
    const claims = jobClaims({ ...this.#options.claims, ...job }, false);
    const value = this.issue(audience ?? `https://github.com/${claims.repository_owner}`, job);
    sendJson(response, 200, { count: value.length, value });
  }

  #discovery(): Record<string, unknown> {
    return {
      issuer: this.url,
      jwks_uri: `${this.url}/.well-known/jwks`,
      subject_types_supported: ['public', 'pairwise'],
      response_types_supported: ['id_token'],
      id_token_signing_alg_values_supported: ['RS256'],
      scopes_supported: ['openid'],
    };
  }

  #claims(audience: string, claims: JobClaims, shift: number): Claims {
    const now = Math.floor(Date.now() / 1000) + shift;
    return {
      ...jobClaims({ ...this.#options.claims, ...claims }, this.#options.immutableSubject ?? false),
      jti: randomUUID(),
      aud: audience,
      iss: this.url,
      // GitHub dates `nbf` back, against clocks that go slow.
      nbf: now - 300,
      iat: now,
      exp: now + (this.#options.lifetime ?? 300),
    };
  }
}
