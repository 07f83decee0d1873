import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { keepSecret, ManifoldError } from '../errors.ts';
import { outcomeOf } from '../http/judgement.ts';
import { isTransient } from '../http/retry.ts';
import type { Transport } from '../http/transport.ts';
import { askService, GOES_ON, serviceFailure } from './failure.ts';
import type { Identity } from './identity.ts';

/** An OIDC token that says who this job is. It lives for five minutes. */
export interface IdentityToken {
  readonly token: string;
  /** The claim that the certificate authority wants signed as proof that we hold the key. */
  readonly subject: string;
  /** Who gave the token. */
  readonly issuer: string;
  /** The workflow that defines the job, with its ref: `acme/app/.github/workflows/release.yml@refs/tags/v1`. */
  readonly workflowRef: string | undefined;
  /** Whom a certificate for this token will name, as far as the token tells. */
  readonly identity: Identity | undefined;
  /** The repository whose run it is, as a certificate will name it. */
  readonly sourceRepository: string | undefined;
  /** When it was given, by the monotonic clock, in milliseconds. */
  readonly received: number;
  /** For how many milliseconds it is good, as far as it tells; clocks differ, and by none of them can more be said. */
  readonly lifetime: number | undefined;
}

const ISSUER = 'The issuer of identity tokens';

const answer = v.object({ value: v.pipe(v.string(), v.nonEmpty()) });
const claims = v.looseObject({
  iss: v.string(),
  sub: v.string(),
  iat: v.optional(v.number()),
  exp: v.optional(v.number()),
  job_workflow_ref: v.optional(v.string()),
  repository: v.optional(v.string()),
  email: v.optional(v.string()),
  email_verified: v.optional(v.boolean()),
});

/** Says what is missing before anything is pushed. @throws ManifoldError `no-id-token` */
export function requireIdTokenPermission(env: NodeJS.ProcessEnv): { url: URL; bearer: string } {
  const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = env;
  if (url && bearer && URL.canParse(url)) return { url: new URL(url), bearer };
  throw new ManifoldError(
    'no-id-token',
    'Keyless signing needs an identity token, and this job may not ask for one.',
    {
      hint: 'Add to the job:\n    permissions:\n      id-token: write\n      packages: write\nor say "sign: none".',
    },
  );
}

export interface TokenRequest {
  readonly env: NodeJS.ProcessEnv;
  /** For whom the token is. */
  readonly audience: string;
  readonly transport: Transport;
  readonly onSecret: (secret: string) => void;
}

/**
 * Asks the runner for a token for Sigstore (GitHub's OIDC reference, "Using the request token").
 * @throws ManifoldError `no-id-token`, `service-unreachable`
 */
export async function fetchIdentityToken({
  env,
  audience,
  transport,
  onSecret,
}: TokenRequest): Promise<IdentityToken> {
  const { url, bearer } = requireIdTokenPermission(env);
  keepSecret(bearer);
  url.searchParams.set('audience', audience);
  const headers = { authorization: `Bearer ${bearer}`, accept: 'application/json' };
  // Nobody but the runner's own issuer is to say who this job is.
  const request = { method: 'GET', url, headers, staysAtOrigin: true } as const;
  const response = await askService(ISSUER, request, transport);
  if (response.status !== 200) {
    // A fault of the issuer is no lack of permission.
    const isRefusal =
      (response.status === 401 || response.status === 403) && !isTransient(outcomeOf(response));
    throw serviceFailure(ISSUER, response, isRefusal ? 'no-id-token' : 'signing-failed');
  }
  const what = `the answer of the issuer of identity tokens (${url.origin})`;
  const reading = { code: 'no-id-token', hint: GOES_ON, secret: true } as const;
  const token = parseDocument(answer, response.body, what, reading).value;
  onSecret(token);
  return { token, received: performance.now(), ...readClaims(token, env) };
}

function readClaims(token: string, env: NodeJS.ProcessEnv): Omit<IdentityToken, 'token' | 'received'> {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url');
  // A token that cannot be read must not end up in the message.
  const read = parseDocument(claims, payload, 'the identity token', { code: 'no-id-token', secret: true });
  const { iss, sub, iat, exp, email, email_verified, job_workflow_ref, repository } = read;
  const server = env.GITHUB_SERVER_URL || 'https://github.com';
  return {
    issuer: iss,
    lifetime: iat === undefined || exp === undefined ? undefined : (exp - iat) * 1000,
    workflowRef: job_workflow_ref,
    sourceRepository: repository === undefined ? undefined : `${server}/${repository}`,
    subject: email !== undefined && email_verified !== false ? email : sub,
    // Fulcio's rule for GitHub Actions (fulcio/docs/oidc.md): the workflow that defines the job, with its ref.
    identity:
      job_workflow_ref === undefined ? undefined : { name: `${server}/${job_workflow_ref}`, issuer: iss },
  };
}
