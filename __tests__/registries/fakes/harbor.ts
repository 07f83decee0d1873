import { sendJson } from '../../../lab/parts/http.ts';
import { opened } from '../../servers/clients.ts';
import { PASSWORD } from '../../servers/protected.ts';
import { type Answer, type Asked, refuse } from '../../servers/registry.ts';
import { covers, EVERYTHING, type Fake, type FakeOptions, loginOf, started } from './fake.ts';
import { type Habit, immutableTags, inTurn, lagging, saying, storedIn } from './habits.ts';
import { S3, startStorage } from './storage.ts';
import { tokenService } from './tokens.ts';

export interface HarborOptions extends FakeOptions {
  /** The projects that there are: what stands before the first slash. */
  readonly projects?: readonly string[];
}

/**
 * Harbor, as its source of August 2026 says (goharbor/harbor at c50c7ddd; the file stands with each fact). It runs under
 * any host's name.
 * - The realm is `/service/token` on the host that was asked, `service="harbor-registry"`; the answer has an empty
 *   `access_token` beside `token` (src/core/service/token, src/common/models/token.go).
 * - A request without an Authorization header is challenged for a Bearer token, one whose token does not reach, or is no
 *   longer good, for `Basic realm="harbor"`; and Basic is taken (src/server/middleware/v2auth/auth.go).
 * - Lack of rights is 401 with a sentence, never 403, and so is a project that there is not (the same file; the
 *   sentence is in goharbor/harbor#17097). A push makes its repository, in a project that there is.
 * - Mounting from a project that there is not is 401 instead of an upload (goharbor/harbor#17097).
 * - An immutable tag that exists is 412 PRECONDITION, also for the image that it points at already
 *   (src/server/middleware/immutable/pushmf.go, error.go).
 * - Errors are `application/json; charset=utf-8` (src/lib/http/error.go).
 * - It has the referrers API and confirms subjects, in whichever order they come (src/server/registry/referrers.go,
 *   src/server/middleware/subject/subject.go).
 * - The location of an upload is absolute, with a `_state`, and blobs may come from S3: our inference, as distribution
 *   runs behind it (distribution/distribution#1723).
 */
export async function harbor(options: HarborOptions = {}): Promise<Fake> {
  const { rights = EVERYTHING, open = [], lifetime = 1800, lag = 0, immutable, projects } = options;
  const storage = await opened(startStorage(S3));
  const tokens = tokenService({
    path: '/service/token',
    users: { ci: PASSWORD },
    rights,
    open,
    lifetime,
    answer: (token, seconds) => ({
      token,
      access_token: '',
      expires_in: seconds,
      issued_at: new Date().toISOString(),
    }),
  });
  const basicWithin: Habit = (asked, response) => {
    const basic = asked.seen.headers.authorization?.startsWith('Basic ') === true;
    if (basic && !covers(rights, asked.name, actionOf(asked))) unauthorized(asked, response);
  };
  return {
    options: {
      referrers: 'api',
      bearer: { realm: '/service/token', service: 'harbor-registry' },
      basic: { ci: PASSWORD },
      besides: tokens.answer,
      location: (path, { headers }) => `http://${headers.host}${path}?_state=a%2Bb%3D%26c`,
      habits: {
        challenge: challengeOf,
        refuse: unauthorized,
        answer: inTurn(
          noProject(projects),
          basicWithin,
          immutableTags(immutable, precondition, true),
          lagging(lag),
          storedIn(storage, 307),
        ),
      },
    },
    login: loginOf('ci'),
    rateLimit: tooManyRequests,
    tokens,
    storage,
  };
}

export const startHarbor = (options?: HarborOptions) => started(harbor(options));

const actionOf = ({ seen }: Asked): string =>
  seen.method === 'GET' || seen.method === 'HEAD' ? 'pull' : 'push';

function challengeOf(asked: Asked): string {
  const { headers } = asked.seen;
  if (headers.authorization !== undefined) return 'Basic realm="harbor"';
  const scope = `repository:${asked.name}:${actionOf(asked) === 'pull' ? 'pull' : 'pull,push'}`;
  return `Bearer realm="http://${headers.host}/service/token",service="harbor-registry",scope="${scope}"`;
}

const errorBody = (code: string, message: string) => ({ errors: [{ code, message }] });
const JSON_UTF8 = { 'content-type': 'application/json; charset=utf-8' };

const unauthorized: Habit = (asked, response) => {
  const what = `unauthorized to access repository: ${asked.name}, action: ${actionOf(asked)}`;
  sendJson(response, 401, errorBody('UNAUTHORIZED', `${what}: ${what}`), JSON_UTF8);
};

function noProject(projects: readonly string[] | undefined): Habit {
  return (asked, response) => {
    const named = [asked.name, asked.url.searchParams.get('from') ?? asked.name];
    const missing = named
      .map(name => name.split('/')[0] ?? '')
      .find(name => projects?.includes(name) === false);
    if (missing === undefined) return;
    const what = `project ${missing} not found`;
    sendJson(response, 401, errorBody('UNAUTHORIZED', `${what}: ${what}`), JSON_UTF8);
  };
}

const precondition = saying(
  412,
  'PRECONDITION',
  ({ name, reference }) =>
    `Failed to process request due to '${name.split('/').slice(1).join('/')}:${reference}' configured as immutable.`,
);

/** As for a project that there is not, where the specification has an upload begin (goharbor/harbor#17097). */
export const mountRefused: Answer = (_, response) => {
  const what = 'project acme not found';
  sendJson(response, 401, errorBody('UNAUTHORIZED', `${what}: ${what}`), JSON_UTF8);
};

/** src/lib/errors/const.go spells the code otherwise than the specification does. */
const tooManyRequests: Answer = (_, response) =>
  refuse(response, 429, 'TOO_MANY_REQUEST', 'too many requests');
