import { readBody, sendJson, serve } from '../../../lab/parts/http.ts';
import { signWithSecret } from '../../../lab/parts/jwt.ts';
import type { Right } from '../../../lab/parts/token-service.ts';
import { opened } from '../../servers/clients.ts';
import type { Answer, SeenRequest } from '../../servers/registry.ts';
import { covers } from './fake.ts';

/** In what one registry's token service differs from another's. */
export interface TokenHabits {
  /** The path of the realm. */
  readonly path: string;
  /** User name to password; all users have the same rights. */
  readonly users: Readonly<Record<string, string>>;
  /** Tokens that stand for a login in the OAuth 2 flow (distribution, docs/spec/auth/oauth.md). */
  readonly refreshTokens?: readonly string[];
  readonly rights: readonly Right[];
  readonly open: readonly Right[];
  /** Seconds. */
  readonly lifetime: number;
  /** The JSON that brings a token. */
  readonly answer: (token: string, lifetime: number) => object;
  /** Refuses those without a login who would get nothing, instead of a token that opens nothing. */
  readonly refusesNobody?: boolean;
  /** Takes one scope for each `scope` parameter, and none with a space in it. */
  readonly oneScopeEach?: boolean;
}

/** A question as it came. */
export interface TokenQuestion {
  readonly method: string;
  readonly service: string | null;
  /** The `scope` parameters, as they came. */
  readonly scopes: readonly string[];
  readonly user: string | undefined;
}

export interface Tokens {
  readonly asked: TokenQuestion[];
  /** Answers questions for tokens, and leaves everything else. */
  readonly answer: Answer;
}

export function tokenService(habits: TokenHabits): Tokens {
  const asked: TokenQuestion[] = [];
  const answer: Answer = (seen, response) => {
    const { pathname, searchParams } = new URL(seen.path, 'http://token');
    if (pathname !== habits.path) return;
    const oauth = seen.method === 'POST';
    if (oauth && habits.refreshTokens === undefined) return void response.writeHead(405).end();
    const values = oauth ? new URLSearchParams(seen.body.toString()) : searchParams;
    const login = oauth ? refreshLogin(values, habits) : basicLogin(seen, habits);
    const scopes = values.getAll('scope');
    asked.push({ method: seen.method, service: values.get('service'), scopes, user: login.user });
    if (login.wrong) return sendJson(response, 401, unauthorized);
    if (habits.oneScopeEach && scopes.some(scope => scope.includes(' '))) {
      return sendJson(response, 400, {
        errors: [{ code: 'INVALID_REQUEST', message: 'Unable to decode repository and actions' }],
      });
    }
    const access = grant(scopes, login.user === undefined ? habits.open : habits.rights);
    if (
      habits.refusesNobody &&
      login.user === undefined &&
      access.every(({ actions }) => actions.length === 0)
    )
      return sendJson(response, 401, unauthorized);
    const exp = Date.now() / 1000 + habits.lifetime;
    const token = signWithSecret({ exp, access, nonce: asked.length }, 'secret');
    sendJson(response, 200, habits.answer(token, habits.lifetime));
  };
  return { asked, answer };
}

/** A token service on a host of its own. */
export async function startTokenHost(habits: TokenHabits): Promise<Tokens & { readonly realm: string }> {
  const tokens = tokenService(habits);
  const endpoint = await opened(
    serve(async (request, response) => {
      const { method = 'GET', url: path = '/', headers } = request;
      await tokens.answer(
        { method, path, headers, body: await readBody(request), status: undefined },
        response,
      );
    }),
  );
  return { ...tokens, realm: `${endpoint.url}${habits.path}` };
}

const unauthorized = { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] };

interface Login {
  readonly user: string | undefined;
  readonly wrong: boolean;
}

function basicLogin({ headers }: SeenRequest, { users }: TokenHabits): Login {
  const [scheme, value = ''] = (headers.authorization ?? '').split(' ');
  if (scheme !== 'Basic') return { user: undefined, wrong: false };
  const [user = '', ...password] = Buffer.from(value, 'base64').toString().split(':');
  return { user, wrong: users[user] !== password.join(':') };
}

function refreshLogin(form: URLSearchParams, { refreshTokens = [] }: TokenHabits): Login {
  const known =
    form.get('grant_type') === 'refresh_token' && refreshTokens.includes(form.get('refresh_token') ?? '');
  return { user: '<token>', wrong: !known };
}

/** As real services do, it gives fewer actions than were asked for rather than none at all. */
function grant(scopes: readonly string[], rights: readonly Right[]) {
  return scopes
    .flatMap(scope => scope.split(' '))
    .map(scope => {
      const [, name = '', actions = ''] = /^repository:(.+):([^:]*)$/.exec(scope) ?? [];
      return {
        type: 'repository',
        name,
        actions: actions.split(',').filter(action => covers(rights, name, action)),
      };
    });
}
