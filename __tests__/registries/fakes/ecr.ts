import { opened } from '../../servers/clients.ts';
import { PASSWORD } from '../../servers/protected.ts';
import { type Answer, type Contents, type RegistryOptions, refuse } from '../../servers/registry.ts';
import { EVERYTHING, type Fake, type FakeOptions, loginOf, started } from './fake.ts';
import { type Habit, immutableTags, inTurn, lagging, onlyThere, saying, storedIn, within } from './habits.ts';
import { S3, startStorage } from './storage.ts';

export interface EcrOptions extends FakeOptions {
  readonly referrers?: RegistryOptions['referrers'];
  /** As reported until spring 2026: see the fact on artifacts below. */
  readonly refusesArtifacts?: boolean;
}

/**
 * Amazon Elastic Container Registry (private). Its hosts are `ACCOUNT.dkr.ecr.REGION.amazonaws.com`; nothing that a client
 * of this kind does hangs on them, as the login comes from Docker's configuration.
 * - Basic authentication; the challenge has the host as realm and a `service` (mayflower/docker-ls#28). The user is AWS,
 *   the password a token for twelve hours (aws/containers-roadmap#1447).
 * - A push makes no repository: reading is 404 NAME_UNKNOWN with a sentence (plexsystems/sinker#55), and the beginning of
 *   an upload has been a connection that is cut (aws/containers-roadmap#1970).
 * - A lack of rights is 403 with the missing action (aws-actions/amazon-ecr-login#232; the status is in
 *   ministryofjustice/aws-root-account#1146). The code DENIED is how Docker prints it: "denied:".
 * - An immutable tag is 400 TAG_INVALID (moby/buildkit#3776; CircleCI-Public/aws-ecr-orb#200 for the status), also for
 *   the image that it points at already (aws/containers-roadmap#2380).
 * - GET of a manifest has had no `Docker-Content-Digest`, HEAD has (oras-project/oras-go#237).
 * - A blob is mounted only where a manifest of the other repository uses it; otherwise an upload begins
 *   (aws/containers-roadmap#2860).
 * - Manifests are checked: one without `mediaType`, or with fields that it does not know, is 405 UNSUPPORTED
 *   (containers/image#584; opcr-io/policy#149 quotes the body; aws/containers-roadmap#2439). So were artifacts with a
 *   `subject` (moby/buildkit#5747, aws/containers-roadmap#2783); moby/buildkit#6914 found in June 2026 that it takes them.
 * - Media types with a parameter are not taken (sigstore/sigstore-js#1058).
 * - `OCI-Subject` was once confirmed without a referrers API (sigstore/sigstore-js#1183); today it lists them, at most
 *   50 at a time in its own API (AmazonECR API reference, ListImageReferrers). That the OCI address has such pages, too,
 *   is our inference.
 * - Blobs come from signed addresses of Amazon S3, which there are only for what an image uses (AmazonECR API reference,
 *   GetDownloadUrlForLayer: "used by the Amazon ECR proxy"). The 307 is our inference.
 */
export async function ecr(options: EcrOptions = {}): Promise<Fake> {
  const { rights = EVERYTHING, lag = 0, immutable, repositories, referrers = 'api' } = options;
  const storage = await opened(startStorage(S3));
  return {
    options: {
      referrers,
      pageSize: 50,
      basic: { AWS: PASSWORD },
      habits: {
        challenge: ({ seen }) => `Basic realm="http://${seen.headers.host}/",service="ecr.amazonaws.com"`,
        manifestHeaders: (usual, { seen }) => {
          const { 'docker-content-digest': _, ...others } = usual;
          return seen.method === 'HEAD' ? usual : others;
        },
        mounts: usedByManifest,
        answer: inTurn(
          onlyThere(repositories, inTurn(cutOff, nameUnknown)),
          within(rights, notAuthorized),
          options.refusesArtifacts ? noArtifacts : undefined,
          checked,
          immutableTags(immutable, tagInvalid, true),
          lagging(lag),
          storedIn(storage, 307),
        ),
      },
    },
    login: loginOf('AWS'),
    rateLimit: rateExceeded,
    storage,
  };
}

export const startEcr = (options?: EcrOptions) => started(ecr(options));

/** awsdocs/amazon-ecr-user-guide#11 quotes it. */
const rateExceeded: Answer = (_, response) => refuse(response, 429, 'TOOMANYREQUESTS', 'Rate exceeded');

const cutOff: Habit = ({ seen }, response) => {
  if (seen.method === 'POST') response.socket?.destroy();
};

const nameUnknown = saying(
  404,
  'NAME_UNKNOWN',
  ({ name }) => `The repository with name '${name}' does not exist in the registry with id '123456789012'`,
);

const notAuthorized = saying(
  403,
  'DENIED',
  'User: arn:aws:sts::123456789012:assumed-role/ci is not authorized to perform: ecr:InitiateLayerUpload because no identity-based policy allows the action',
);

const tagInvalid = saying(
  400,
  'TAG_INVALID',
  ({ reference, name }) =>
    `The image tag '${reference}' already exists in the '${name}' repository and cannot be overwritten because the repository is immutable.`,
);

const invalid = saying(
  405,
  'UNSUPPORTED',
  "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'",
);

const checked: Habit = (asked, response) => {
  if (asked.kind !== 'manifests' || asked.seen.method !== 'PUT') return;
  const document = JSON.parse(asked.seen.body.toString());
  const types: unknown[] = [
    document.mediaType,
    document.artifactType ?? '',
    ...[document.config, ...(document.layers ?? [])].filter(Boolean).map(({ mediaType }) => mediaType),
  ];
  if (!types.every(type => typeof type === 'string' && !type.includes(';'))) invalid(asked, response);
};

const noArtifacts: Habit = (asked, response) => {
  if (asked.kind !== 'manifests' || asked.seen.method !== 'PUT') return;
  const { artifactType, subject } = JSON.parse(asked.seen.body.toString());
  if (artifactType !== undefined && subject !== undefined) invalid(asked, response);
};

function usedByManifest({ manifests }: Contents, digest: string): boolean {
  return [...manifests.values()].some(({ bytes }) => bytes.includes(digest));
}
