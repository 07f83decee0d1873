import { sendJson } from '../../../lab/parts/http.ts';
import { opened } from '../../servers/clients.ts';
import { PASSWORD } from '../../servers/protected.ts';
import { type Answer, refuse } from '../../servers/registry.ts';
import { EVERYTHING, type Fake, type FakeOptions, loginOf, started } from './fake.ts';
import { type Habit, inTurn, lagging, saying, storedIn } from './habits.ts';
import { S3, startStorage } from './storage.ts';
import { tokenService } from './tokens.ts';

export interface GhcrOptions extends FakeOptions {
  /** What its missing referrers API looks like: see the two facts below. */
  readonly referrers?: '404' | 'web page';
}

/**
 * GitHub Container Registry, ghcr.io. It has no immutable tags.
 * - The token service is `/token` on the same host, `service="ghcr.io"`, and is asked by GET (termoshtt/ocipkg#41).
 *   That `token` is the only field of its answer is our inference: Mic92/niks3#229 reads that one.
 * - Nobody gets a token for a package that is private or absent: the token service itself answers 401
 *   (openai/tunnel-client#75).
 * - A token without the right to write is answered 403 DENIED, "permission_denied: write_package"
 *   (benchflow-ai/skillsbench#853; github/docs#22007 for the status).
 * - The location of an upload is relative, and lies below `blobs/upload/` (hpc/charliecloud#1501;
 *   apple/swift-container-plugin#44).
 * - Blobs come by 307 from Amazon S3 (containerd/stargz-snapshotter#167).
 * - Blobs are mounted from other packages (k3s-io/k3s#2401 shows it in a push).
 * - No referrers API, and no `OCI-Subject` (dataaxiom/ghcr-cleanup-action#13, rtvkiz/minimal#7): 404. In spring 2026
 *   it was a 303 to a page of github.com, which limits rates much sooner (artifacthub/hub#4785).
 * - What was pushed is unknown for seconds (p2pool-starter-stack/pithead#429 for tags, VooZ2/terento#165; unknown blobs:
 *   infobloxopen/konk#626).
 */
export async function ghcr(options: GhcrOptions = {}): Promise<Fake> {
  const { rights = EVERYTHING, open = [], lifetime = 300, lag = 0, referrers = '404' } = options;
  const storage = await opened(startStorage(S3));
  const tokens = tokenService({
    path: '/token',
    users: { ci: PASSWORD },
    rights,
    open,
    lifetime,
    refusesNobody: true,
    answer: token => ({ token }),
  });
  return {
    options: {
      bearer: { realm: '/token', service: 'ghcr.io' },
      besides: async (seen, response) => {
        await tokens.answer(seen, response);
        if (!response.headersSent && seen.path.startsWith('/-/v2/packages/'))
          refuse(response, 429, 'TOOMANYREQUESTS');
      },
      location: path => path.replace('/uploads/', '/upload/'),
      habits: {
        refuse: saying(403, 'DENIED', 'permission_denied: write_package'),
        answer: inTurn(
          referrers === 'web page' ? toWebPage : undefined,
          lagging(lag),
          storedIn(storage, 307),
        ),
      },
    },
    login: loginOf('ci'),
    rateLimit: limitOfMinute,
    tokens,
    storage,
  };
}

export const startGhcr = (options?: GhcrOptions) => started(ghcr(options));

/** 429 with the wait in the message, in fractions of milliseconds; no header is mentioned (fermyon/developer#589). */
const limitOfMinute: Answer = (_, response) =>
  refuse(response, 429, 'TOOMANYREQUESTS', 'retry-after: 10.487765ms, allowed: 2000/minute');

/** GitHub's secondary limit comes as 403, in an error that reads like a lack of rights (virtualcell/vcell#1888). */
export const secondaryLimit: Answer = (_, response) =>
  sendJson(response, 403, {
    errors: [
      {
        code: 'DENIED',
        message:
          'permission_denied: Error from intermediary with HTTP status code 403 "Forbidden" - with-body: {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}',
      },
    ],
  });

/** The address is another host's and has lost the digest's end; `localhost` stands for github.com. */
const toWebPage: Habit = ({ kind, name, seen }, response) => {
  if (kind !== 'referrers') return;
  const port = seen.headers.host?.split(':')[1];
  const page = `/-/v2/packages/container/package/${encodeURIComponent(`${name}/referrers/sha256`)}`;
  response.writeHead(303, { location: `http://localhost:${port}${page}` }).end();
};
