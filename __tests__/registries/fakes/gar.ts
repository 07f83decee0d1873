import { opened } from '../../servers/clients.ts';
import { PASSWORD } from '../../servers/protected.ts';
import { type Answer, refuse } from '../../servers/registry.ts';
import { EVERYTHING, type Fake, type FakeOptions, loginOf, started } from './fake.ts';
import { type Habit, immutableTags, inTurn, lagging, onlyThere, saying } from './habits.ts';
import { type StorageRefusal, startStorage } from './storage.ts';
import { tokenService } from './tokens.ts';

export interface GarOptions extends FakeOptions {
  /** As before it had the referrers API: see the fact on its sign-in page below. */
  readonly referrers?: 'api' | 'sign-in page';
  /** Wants `PROJECT/REPOSITORY/IMAGE`; off by default, as names of two parts serve all other tests. */
  readonly wantsImageName?: boolean;
}

/**
 * Google Artifact Registry. Its hosts are `LOCATION-docker.pkg.dev`; nothing that a client does hangs on them.
 * - The realm is `/v2/token` on the same host and `service` is the host (oras-project/oras#157). That `token` is what its
 *   answer has is our inference. The user is `oauth2accesstoken`, the password a token from Google
 *   (actions/attest-build-provenance#73).
 * - The location of an upload is relative and lies outside `/v2/` (gitpod-io/gitpod#10214). Its predecessor's could be used
 *   once (containerd/containerd#1318); as an upload ends with its PUT, that is no matter here.
 * - Blobs come by 302 from another path of the same host, which takes no authorization, and has a signature
 *   (ahmetb/serverless-registry-proxy#8). The fake's storage therefore lies on the registry's own host.
 * - A push makes no repository: 404 NAME_UNKNOWN (GoogleCloudPlatform/developer-journey-app#117). Who lacks the right
 *   gets 403 "or it may not exist" for both (GoogleCloudPlatform/cymbal-superstore#4).
 * - A name without an image is 400 NAME_INVALID (docker/build-push-action#171).
 * - An immutable tag is MANIFEST_INVALID, "The repository has enabled tag immutability", unless it points at this image
 *   already (Artifact Registry documentation, docker/troubleshoot, "push"; GoogleContainerTools/kaniko, pkg/executor/push.go,
 *   looks for the sentence). The status 400 is our inference from the code.
 * - Immutability is for all tags of a repository, the fallback tags of referrers included
 *   (actions/attest-build-provenance#80).
 * - Before it had the referrers API, asking it led to Google's sign-in page: 200, and HTML (awslabs/soci-snapshotter#512).
 *   sigstore/sigstore-js#1187 found such false successes, too.
 * - Quotas are 429 TOOMANYREQUESTS with a sentence (kubernetes/k8s.io#6431).
 */
export async function gar(options: GarOptions = {}): Promise<Fake> {
  const { rights = EVERYTHING, open = [], lifetime = 3600, lag = 0, immutable, repositories } = options;
  const google = await opened(startStorage(SIGN_IN));
  const tokens = tokenService({
    path: '/v2/token',
    users: { oauth2accesstoken: PASSWORD },
    rights,
    open,
    lifetime,
    answer: token => ({ token }),
  });
  const downloads = new Map<string, Buffer>();
  const signIn: Habit = ({ kind }, response) => {
    if (kind !== 'referrers') return;
    response.writeHead(302, { location: google.keep('v3/signin', Buffer.from('<!doctype html>')) }).end();
  };
  const download: Habit = ({ contents, kind, seen, reference }, response) => {
    const bytes = contents.blobs.get(reference);
    if (kind !== 'blobs' || seen.method !== 'GET' || bytes === undefined) return;
    const path = `/artifacts-downloads/namespaces/acme/repositories/app/downloads/${reference.replace(':', '-')}`;
    downloads.set(path, bytes);
    response.writeHead(302, { location: path }).end();
  };
  return {
    options: {
      referrers: options.referrers === 'sign-in page' ? 'none' : 'api',
      bearer: { realm: '/v2/token', service: 'us-docker.pkg.dev' },
      besides: async (seen, response) => {
        await tokens.answer(seen, response);
        const bytes = downloads.get(seen.path);
        if (bytes !== undefined) response.end(bytes);
      },
      location: path =>
        `/artifacts-uploads/namespaces/acme/repositories/app/uploads/${path.split('/').at(-1) ?? ''}`,
      habits: {
        refuse: denied,
        answer: inTurn(
          options.wantsImageName ? threeParts : undefined,
          onlyThere(repositories, nameUnknown),
          options.referrers === 'sign-in page' ? signIn : undefined,
          immutableTags(immutable, enabledImmutability),
          lagging(lag),
          download,
        ),
      },
    },
    login: loginOf('oauth2accesstoken'),
    rateLimit: quota,
    tokens,
  };
}

export const startGar = (options?: GarOptions) => started(gar(options));

const SIGN_IN: StorageRefusal = { status: 401, body: '' };

const quota: Answer = (_, response) =>
  refuse(
    response,
    429,
    'TOOMANYREQUESTS',
    "Quota exceeded for quota metric 'Requests per project per user' and limit 'Requests per project per user per minute per user' of service 'artifactregistry.googleapis.com'",
  );

const denied = saying(
  403,
  'DENIED',
  'Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/acme/locations/us/repositories/app" (or it may not exist)',
);

const nameUnknown = saying(404, 'NAME_UNKNOWN', ({ name }) => `Repository "${name.split('/')[1]}" not found`);

const threeParts: Habit = ({ name }, response) => {
  if (name.split('/').length < 3)
    refuse(
      response,
      400,
      'NAME_INVALID',
      'Missing image name. Pushes should be of the form docker push HOST-NAME/PROJECT-ID/REPOSITORY/IMAGE',
    );
};

const enabledImmutability = saying(
  400,
  'MANIFEST_INVALID',
  ({ reference }) => `cannot update tag ${reference}. The repository has enabled tag immutability`,
);
