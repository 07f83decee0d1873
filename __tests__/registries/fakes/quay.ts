import { opened } from '../../servers/clients.ts';
import { PASSWORD } from '../../servers/protected.ts';
import { type Answer, refuse } from '../../servers/registry.ts';
import { EVERYTHING, type Fake, type FakeOptions, loginOf, started } from './fake.ts';
import { type Habit, immutableTags, inTurn, lagging, saying, storedIn } from './habits.ts';
import { S3, startStorage } from './storage.ts';
import { tokenService } from './tokens.ts';

export interface QuayOptions extends FakeOptions {
  /** As before quay/quay#1649 (December 2022). */
  readonly refusesDockerChildren?: boolean;
}

/**
 * Quay, as its source of August 2026 says (quay/quay at ffba0c70e; the file stands with each fact). Nothing in it hangs on
 * the name quay.io.
 * - `GET /v2/auth` gives `{"token"}` and no lifetime, which is an hour; no OAuth 2 flow, and one repository in each
 *   `scope` parameter: two in one are 400 INVALID_REQUEST (endpoints/v2/v2auth.py).
 * - Whatever a token does not reach is 401 with the scope that it takes, never 403, and so is a repository that there is
 *   not (endpoints/v2/__init__.py). A push makes its repository, where the login may.
 * - The location of an upload is absolute; a blob that can be mounted is 201, else an upload begins
 *   (endpoints/v2/blob.py).
 * - Blobs come by 302 from the storage (endpoints/v2/blob.py; 302 is Flask's default).
 * - An immutable tag that would move is 409 TAG_IMMUTABLE (endpoints/v2/errors.py, manifest.py). One that stays where it is
 *   may be set again: our inference.
 * - What a manifest lacks is 400 MANIFEST_INVALID, not a code of its own (endpoints/v2/manifest.py).
 * - The referrers API lists, but no answer to a push has `OCI-Subject`: the specification tells clients then to write the
 *   fallback tag too. A subject that Quay does not hold is 400 (endpoints/v2/referrers.py).
 * - A manifest without a tag lives an hour: PUSH_TEMP_TAG_EXPIRATION_SEC (config.py).
 * - nginx limits rates with 429 and its own page (conf/nginx/rate-limiting.conf.jnj), the token service too
 *   (fonzdm/servarr#68).
 */
export async function quay(options: QuayOptions = {}): Promise<Fake> {
  const { rights = EVERYTHING, open = [], lifetime = 3600, lag = 0, immutable } = options;
  const storage = await opened(startStorage(S3));
  const tokens = tokenService({
    path: '/v2/auth',
    users: { ci: PASSWORD },
    rights,
    open,
    lifetime,
    oneScopeEach: true,
    answer: token => ({ token }),
  });
  return {
    options: {
      referrers: 'list-only',
      bearer: { realm: '/v2/auth', service: 'quay.io' },
      besides: tokens.answer,
      location: (path, { headers }) => `http://${headers.host}${path}`,
      habits: {
        refuse: saying(401, 'UNAUTHORIZED', 'access to the requested resource is not authorized'),
        answer: inTurn(
          immutableTags(
            immutable,
            saying(409, 'TAG_IMMUTABLE', 'tag is immutable and cannot be overwritten'),
          ),
          options.refusesDockerChildren ? noDockerChildren : undefined,
          wholeManifests,
          unknownSubject,
          lagging(lag),
          storedIn(storage, 302),
        ),
      },
    },
    login: loginOf('ci'),
    rateLimit: nginxPage,
    tokens,
    storage,
  };
}

export const startQuay = (options?: QuayOptions) => started(quay(options));

const nginxPage: Answer = (_, response) =>
  void response
    .writeHead(429, { 'content-type': 'text/html' })
    .end('<html><head><title>429 Too Many Requests</title></head></html>');

const DOCKER_CHILD = 'application/vnd.docker.distribution.manifest.v2+json';

/** openshift/oc-mirror#253 quotes the answer. */
const noDockerChildren: Habit = ({ kind, seen }, response) => {
  if (kind !== 'manifests' || seen.headers['content-type'] !== 'application/vnd.oci.image.index.v1+json')
    return;
  const { manifests } = JSON.parse(seen.body.toString()) as { manifests: { mediaType: string }[] };
  if (manifests.some(({ mediaType }) => mediaType === DOCKER_CHILD))
    refuse(response, 400, 'MANIFEST_INVALID', 'manifest invalid');
};

const wholeManifests: Habit = ({ contents, kind, seen }, response) => {
  if (kind !== 'manifests' || seen.method !== 'PUT') return;
  const { config, layers = [], manifests = [] } = JSON.parse(seen.body.toString());
  const blobs: { digest: string }[] = [config, ...layers].filter(Boolean);
  const children: { digest: string }[] = manifests;
  const whole =
    blobs.every(({ digest }) => contents.blobs.has(digest)) &&
    children.every(({ digest }) => contents.manifests.has(digest));
  if (!whole) refuse(response, 400, 'MANIFEST_INVALID', 'manifest invalid');
};

const unknownSubject: Habit = ({ contents, kind, reference }, response) => {
  if (kind === 'referrers' && !contents.manifests.has(reference))
    refuse(response, 400, 'MANIFEST_INVALID', 'manifest invalid');
};
