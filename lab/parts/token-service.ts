import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  authorization,
  type Endpoint,
  readBody,
  requestUrl,
  type ServerTls,
  sendJson,
  serve,
} from './http.ts';
import { publicJwk, signJwt } from './jwt.ts';

export type Action = 'pull' | 'push' | 'delete';

/** What may be done where. `repository` is exact, or ends in `/*` for everything below it, or is `*` for all. */
export interface Right {
  readonly repository: string;
  readonly actions: readonly Action[];
}

export interface RegistryUser {
  readonly password: string;
  readonly rights: readonly Right[];
}

export interface TokenServiceOptions {
  /** The registry's name for itself: the token's audience. */
  service?: string;
  users: Readonly<Record<string, RegistryUser>>;
  /** Rights without a password; without them a request without credentials is refused. */
  anonymous?: readonly Right[];
  /** Clients of a registry with TLS take no realm without. */
  tls?: ServerTls;
  /** Seconds; distribution adds a leeway of 60. */
  lifetime?: number;
}

/** One request for a token and what became of it. */
export interface TokenRequest {
  readonly method: string;
  readonly account: string | undefined;
  readonly scopes: readonly string[];
  readonly status: number;
  readonly access: readonly Access[];
}

/** An entry of the token's `access` claim. */
export interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

export interface TokenService extends Endpoint {
  /** The `realm` of the registry's challenge. */
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** JSON Web Key Set for the registry's `auth.token.jwks` file. */
  readonly jwks: string;
  readonly requests: readonly TokenRequest[];
  /** Changes a user, or adds one, while the service runs. */
  setUser(name: string, user: RegistryUser): void;
}

/**
 * A registry's token service (distribution's "Token Authentication Specification"): GET with Basic credentials, and
 * POST of the OAuth 2 flow. As real services do, it answers 200 with fewer actions than were asked for.
 */
export async function startTokenService(options: TokenServiceOptions): Promise<TokenService> {
  const core = new TokenIssuer(options);
  const endpoint = await serve((request, response) => core.answer(request, response), options.tls);
  return {
    ...endpoint,
    realm: `${endpoint.url}/token`,
    service: core.service,
    issuer: core.issuer,
    jwks: JSON.stringify({ keys: [core.publicKey] }),
    requests: core.requests,
    setUser: (name, user) => core.users.set(name, user),
  };
}

interface Question {
  readonly account: string | undefined;
  readonly password: string | undefined;
  readonly service: string | null;
  readonly scopes: readonly string[];
}

class TokenIssuer {
  readonly service: string;
  readonly issuer = 'lab-token-service';
  readonly requests: TokenRequest[] = [];
  readonly users: Map<string, RegistryUser>;
  readonly publicKey;
  readonly #lifetime: number;
  readonly #anonymous: readonly Right[] | undefined;
  readonly #key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

  constructor(options: TokenServiceOptions) {
    this.service = options.service ?? 'lab-registry';
    this.users = new Map(Object.entries(options.users));
    this.#lifetime = options.lifetime ?? 300;
    this.#anonymous = options.anonymous;
    this.publicKey = publicJwk(this.#key);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = requestUrl(request);
    if (url.pathname !== '/token') {
      sendJson(response, 404, { message: `the token service has no ${url.pathname}` });
      return;
    }
    const question = request.method === 'POST' ? await readForm(request) : readQuery(request, url);
    const rights = this.#rights(question);
    const asked = question.scopes.flatMap(parseScope);
    const known = question.service === null || question.service === this.service;
    const status = known ? (rights ? 200 : 401) : 400;
    const access = status === 200 && rights ? reduce(asked, rights) : [];
    const method = request.method ?? 'GET';
    this.requests.push({ method, account: question.account, scopes: question.scopes, status, access });
    if (status === 200) {
      sendJson(response, 200, this.#token(question.account, access));
    } else {
      const message = known ? 'authentication required' : `unknown service ${question.service}`;
      sendJson(response, status, { errors: [{ code: 'UNAUTHORIZED', message }] });
    }
  }

  /** Undefined when the caller is nobody we know. */
  #rights(question: Question): readonly Right[] | undefined {
    if (question.account === undefined) return this.#anonymous;
    const user = this.users.get(question.account);
    return user && user.password === question.password ? user.rights : undefined;
  }

  #token(account: string | undefined, access: readonly Access[]): Record<string, unknown> {
    const now = Math.floor(Date.now() / 1000);
    const token = signJwt(
      {
        iss: this.issuer,
        sub: account ?? '',
        aud: this.service,
        iat: now,
        nbf: now - 5,
        exp: now + this.#lifetime,
        jti: randomUUID(),
        access,
      },
      this.#key,
      this.publicKey.kid,
    );
    const issued = new Date(now * 1000).toISOString();
    return { token, access_token: token, expires_in: this.#lifetime, issued_at: issued };
  }
}

function readQuery(request: IncomingMessage, url: URL): Question {
  const basic = Buffer.from(authorization(request, 'basic') ?? '', 'base64').toString();
  const colon = basic.indexOf(':');
  return {
    account: colon < 0 ? undefined : basic.slice(0, colon),
    password: colon < 0 ? undefined : basic.slice(colon + 1),
    service: url.searchParams.get('service'),
    scopes: url.searchParams.getAll('scope').flatMap(scope => scope.split(' ')),
  };
}

/** The OAuth 2 flow: `grant_type=password`. The service hands out no refresh tokens, so it knows none. */
async function readForm(request: IncomingMessage): Promise<Question> {
  const form = new URLSearchParams((await readBody(request)).toString());
  return {
    account: form.get('username') ?? (form.get('grant_type') === 'refresh_token' ? '<token>' : undefined),
    password: form.get('password') ?? undefined,
    service: form.get('service'),
    scopes: form.getAll('scope').flatMap(scope => scope.split(' ')),
  };
}

/** `repository:NAME:ACTION,ACTION`; the name may hold a colon (host and port), so it is cut from both ends. */
function parseScope(scope: string): Access[] {
  const first = scope.indexOf(':');
  const last = scope.lastIndexOf(':');
  if (first < 0 || first === last) return [];
  const actions = scope
    .slice(last + 1)
    .split(',')
    .filter(action => action !== '');
  return [{ type: scope.slice(0, first), name: scope.slice(first + 1, last), actions }];
}

function reduce(asked: readonly Access[], rights: readonly Right[]): Access[] {
  return asked.flatMap(({ type, name, actions }) => {
    if (type !== 'repository') return [];
    const granted = rights.filter(right => covers(right.repository, name)).flatMap(right => right.actions);
    const kept = actions.filter(action => granted.includes(action as Action));
    return kept.length === 0 ? [] : [{ type, name, actions: kept }];
  });
}

function covers(pattern: string, repository: string): boolean {
  if (pattern === '*') return true;
  return pattern.endsWith('/*') ? repository.startsWith(pattern.slice(0, -1)) : pattern === repository;
}
