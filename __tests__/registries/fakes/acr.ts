import { opened } from '../../servers/clients.ts';
import { PASSWORD } from '../../servers/protected.ts';
import { type Answer, refuse } from '../../servers/registry.ts';
import { EVERYTHING, type Fake, type FakeOptions, started } from './fake.ts';
import { immutableTags, inTurn, lagging, saying, storedIn } from './habits.ts';
import { type StorageRefusal, startStorage } from './storage.ts';
import { tokenService } from './tokens.ts';

export interface AcrOptions extends FakeOptions {
  /** How to log in: with a refresh token, as `az acr login` does, or with a name and password. */
  readonly by?: 'refresh token' | 'password';
}

const REFRESH_TOKEN = 'acr-refresh-token';

/**
 * Azure Container Registry. Its hosts are `NAME.azurecr.io`; what hangs on them is `az`'s affair and not a client's.
 * - The realm is `/oauth2/token` on the same host, `service` is the host. A refresh token goes there by POST, a name and
 *   password by GET; both are answered with `access_token` and nothing else (Azure/acr, docs/AAD-OAuth.md and
 *   docs/Token-BasicAuth.md). docs/AAD-OAuth.md shows a token that lives 75 minutes, of which the answer says nothing.
 * - Docker keeps the refresh token as the login (the same page, "Authenticating docker with an ACR refresh token"). Helpers
 *   give it with the name `<token>` (google/go-containerregistry#421).
 * - The location of an upload is relative, with `_nouploadcache` and `_state` in its query (Azure/azure-sdk-for-go,
 *   azcontainerregistry, the examples of BlobClient).
 * - Blobs come by 307 from Azure storage, which takes no second authorization (Azure/acr#217).
 * - A locked tag is 405 REGISTRY_DISALLOWED_OPERATION: locks are set tag by tag, after the push (Azure/acr-cli#70 and
 *   Azure/azure-sdk-for-net#22827 quote it; Azure/acr#84 has it from a push). It does not tell a lock from another policy.
 *   That the image which it points at is refused too is our inference: the lock forbids writing.
 * - It has the referrers API and confirms subjects (opencontainers/oci-conformance#103).
 * - An upload may be forgotten between its beginning and its end: 404 BLOB_UPLOAD_UNKNOWN (Azure/azure-sdk-for-net#42293).
 * - 429 is "Too many requests" (Azure documentation, "Troubleshoot registry performance").
 * - A manifest has at most 4 MiB (Azure documentation, "Registry pricing plan features and limits").
 */
export async function acr(options: AcrOptions = {}): Promise<Fake> {
  const {
    rights = EVERYTHING,
    open = [],
    lifetime = 4500,
    lag = 0,
    immutable,
    by = 'refresh token',
  } = options;
  const storage = await opened(startStorage(AZURE));
  const tokens = tokenService({
    path: '/oauth2/token',
    users: { ci: PASSWORD },
    refreshTokens: [REFRESH_TOKEN],
    rights,
    open,
    lifetime,
    answer: token => ({ access_token: token }),
  });
  return {
    options: {
      referrers: 'api',
      bearer: { realm: '/oauth2/token', service: 'contosoregistry.azurecr.io' },
      besides: tokens.answer,
      location: path => `${path}?_nouploadcache=false&_state=VYABvUSCNW2yY5e5VabLHppX%2Bw%3D`,
      habits: {
        answer: inTurn(immutableTags(immutable, disallowed, true), lagging(lag), storedIn(storage, 307)),
      },
    },
    login:
      by === 'password'
        ? { auth: Buffer.from(`ci:${PASSWORD}`).toString('base64') }
        : { identitytoken: REFRESH_TOKEN },
    rateLimit: tooManyRequests,
    tokens,
    storage,
  };
}

export const startAcr = (options?: AcrOptions) => started(acr(options));

/** The sentence is in Azure/acr#217; that it comes with 400 is our inference from Azure's list of error codes. */
const AZURE: StorageRefusal = {
  status: 400,
  body: '<?xml version="1.0"?><Error><Code>InvalidAuthenticationInfo</Code><Message>Authentication information is not given in the correct format.</Message></Error>',
};

const tooManyRequests: Answer = (_, response) =>
  refuse(response, 429, 'TOOMANYREQUESTS', 'too many requests');

const disallowed = saying(
  405,
  'REGISTRY_DISALLOWED_OPERATION',
  'The operation is disallowed on this registry, repository or image. View troubleshooting steps at https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation',
);

/** The registry has forgotten an upload that it began. */
export const forgottenUpload: Answer = (_, response) =>
  refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry');
