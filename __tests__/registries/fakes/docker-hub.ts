import { opened } from '../../servers/clients.ts';
import { PASSWORD } from '../../servers/protected.ts';
import { type Answer, type RegistryOptions, refuse } from '../../servers/registry.ts';
import { EVERYTHING, type Fake, type FakeOptions, loginOf, started } from './fake.ts';
import { type Habit, immutableTags, inTurn, lagging, saying, storedIn } from './habits.ts';
import { S3, startStorage } from './storage.ts';
import { startTokenHost } from './tokens.ts';

export interface DockerHubOptions extends FakeOptions {
  readonly referrers?: RegistryOptions['referrers'];
}

/**
 * Docker Hub. Its images are `docker.io/…`, its API is registry-1.docker.io, its login stands under
 * `https://index.docker.io/v1/`, and names without a slash begin with `library/`: what hangs on these names cannot be
 * shown on loopback and is tested where names are read.
 * - The token service is on a host of its own, auth.docker.io (docker/docs, manuals/docker-hub/usage/pulls.md). The four
 *   fields of its answer are those of the specification (distribution, docs/spec/auth/token.md); 300 seconds is our
 *   inference.
 * - A login that does not reach, and a repository that there is not, are the same 401 with `error="insufficient_scope"`
 *   (microsoft/vscode-docker#4379; docker/hub-feedback#1222 for the text).
 * - Reading a manifest by GET counts as a pull, HEAD does not; answers carry `ratelimit-limit` and
 *   `ratelimit-remaining` (docker/docs, the same page).
 * - An immutable tag is refused with 403 (docker/hub-feedback#2466), in the words of a lack of rights and with the reason
 *   behind them (kimai/kimai#5791).
 * - A manifest about an unknown subject was refused (oras-project/oras#666: 400, "manifest blob unknown").
 * - `OCI-Subject` was confirmed without a referrers API (docker/hub-feedback#2372, 2024); since the autumn of 2025 it has
 *   the API (awslabs/soci-snapshotter#1828).
 * - Blobs come from the storage's host (osism/ansible-collection-services#1049 lists it).
 * - The location of an upload is absolute, with a `_state` of its own: our inference, as it runs distribution
 *   (distribution/distribution#1723 shows the `_state`).
 */
export async function dockerHub(options: DockerHubOptions = {}): Promise<Fake> {
  const { rights = EVERYTHING, open = [], lifetime = 300, lag = 0, immutable, referrers = 'none' } = options;
  const storage = await opened(startStorage(S3));
  const tokens = await startTokenHost({
    path: '/token',
    users: { ci: PASSWORD },
    rights,
    open,
    lifetime,
    answer: (token, seconds) => ({
      token,
      access_token: token,
      expires_in: seconds,
      issued_at: new Date().toISOString(),
    }),
  });
  return {
    options: {
      referrers,
      bearer: { realm: tokens.realm, service: 'registry.docker.io' },
      location: (path, { headers }) => `http://${headers.host}${path}?_state=a%2Bb%3D%26c`,
      habits: {
        refuse: insufficientScope(tokens.realm),
        manifestHeaders: usual => ({
          ...usual,
          'ratelimit-limit': '100;w=21600',
          'ratelimit-remaining': '76;w=21600',
        }),
        answer: inTurn(
          immutableTags(immutable, saying(403, 'DENIED', IMMUTABLE)),
          subjectFirst,
          lagging(lag),
          storedIn(storage, 307),
        ),
      },
    },
    login: loginOf('ci'),
    rateLimit: pullLimit,
    tokens,
    storage,
  };
}

export const startDockerHub = (options?: DockerHubOptions) => started(dockerHub(options));

const IMMUTABLE =
  'requested access to the resource is denied - This tag is already assigned to an image in this repository and cannot be updated due to immutability settings. To push this image, use a different tag.';

/** The body is quoted in apache/incubator-kie-kogito-runtimes#2865. */
const pullLimit: Answer = (_, response) =>
  refuse(response, 429, 'TOOMANYREQUESTS', 'You have reached your pull rate limit.');

/**
 * The limit for abuse is answered by a proxy, in plain text whose lines end without a carriage return: no legal HTTP, so
 * that its Retry-After of 60 seconds cannot be read (docker/hub-feedback#1907).
 */
export const abuseLimit: Answer = (_, response) => {
  const lines = ['HTTP/1.1 429 Too Many Requests', 'Connection: close', 'Content-Type: text/plain'];
  response.socket?.end(`${lines.join('\n')}\nRetry-After: 60\n\nToo Many Requests (HAP429).\n`);
};

const insufficientScope =
  (realm: string): Habit =>
  ({ name }, response) => {
    const scope = `repository:${name}:pull,push`;
    const challenge = `Bearer realm="${realm}",service="registry.docker.io",scope="${scope}",error="insufficient_scope"`;
    response.setHeader('www-authenticate', challenge);
    refuse(response, 401, 'DENIED', 'requested access to the resource is denied');
  };

const subjectFirst: Habit = ({ contents, kind, seen }, response) => {
  if (kind !== 'manifests' || seen.method !== 'PUT') return;
  const { subject } = JSON.parse(seen.body.toString());
  if (subject !== undefined && !contents.manifests.has(subject.digest))
    refuse(response, 400, 'MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry');
};
