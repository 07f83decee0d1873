import * as v from 'valibot';
import { type ErrorCode, ManifoldError, oneLine } from '../errors.ts';
import { isRateLimit } from '../http/retry.ts';
import type { HttpResponse } from '../http/transport.ts';
import { isLoopback } from '../http/url.ts';

/** The error body of the distribution specification, "Error Codes". */
const errorBody = v.object({
  errors: v.array(v.object({ code: v.nullish(v.string()), message: v.nullish(v.string()) })),
});

type RegistryError = v.InferOutput<typeof errorBody>['errors'][number];

function errorsOf(response: HttpResponse): readonly RegistryError[] {
  try {
    const body = v.safeParse(errorBody, JSON.parse(response.body.toString('utf8')));
    return body.success ? body.output.errors : [];
  } catch {
    return []; // many proxies answer with HTML
  }
}

/** Tells whether a registry says that it does not have a blob or manifest that a manifest names. */
export function lacksPart(response: HttpResponse): boolean {
  if (response.status !== 404 && response.status !== 400) return false;
  return errorsOf(response).some(({ code }) =>
    /^(?:MANIFEST_)?BLOB_UNKNOWN$|^MANIFEST_UNKNOWN$/.test(code ?? ''),
  );
}

/** What was asked of the registry, as far as it tells refusals apart. */
export interface Attempt {
  /** The tag that was to be written. */
  readonly tag?: string | undefined;
  /** There is a login for this repository. */
  readonly isLoggedIn?: boolean;
}

/**
 * A registry's refusal as an error that tells the kinds apart and says what to do. Code `tag-immutable` is a tag that the
 * registry lets nobody move.
 * @param doing what failed, as the beginning of a sentence: `Pushing ghcr.io/acme/app:1.0`
 */
export function registryFailure(
  response: HttpResponse,
  doing: string,
  repository: string,
  attempt: Attempt = {},
): ManifoldError {
  const [error] = errorsOf(response);
  const text =
    error === undefined
      ? response.body.toString('utf8')
      : [error.code, error.message].filter(Boolean).join(': ');
  const { code, hint } = kindOf(response, repository, attempt);
  const answer = text === '' ? `${response.status}` : `${response.status} ${oneLine(text)}`;
  return new ManifoldError(code, `${doing} failed: the registry answered ${answer}.`, { hint });
}

interface Kind {
  readonly code: ErrorCode;
  readonly hint: string;
}

/**
 * The words of an immutable tag, whatever the status is:
 * - Harbor, 412: "configured as immutable, cannot be updated" (goharbor/harbor, src/controller/tag);
 * - Amazon ECR, TAG_INVALID: "cannot be overwritten because the tag (or: the repository) is immutable" (moby/buildkit 3776);
 * - Google Artifact Registry: "cannot update tag …. The repository has enabled tag immutability" (grafana/tempo 7428);
 * - Docker Hub, 403 DENIED: "cannot be updated due to immutability settings" (docker/hub-feedback 2466, kimai/kimai 5791);
 * - Quay: "tag is immutable and cannot be overwritten" (PROJQUAY-10859);
 * - Alibaba Cloud: "The requested tag already exists and cannot be overwritten" (its user guide).
 */
const IMMUTABLE = /immutab|TagAlreadyExists|already exists and cannot be overwritten/i;
/** Azure's word for a locked tag, image or repository, 405 (Azure/acr-cli 70). */
const LOCKED = /REGISTRY_DISALLOWED_OPERATION/;
/** Harbor, 403 DENIED: "… will exceed the configured upper limit of 10.0 MiB" (goharbor/harbor 17390). */
const FULL =
  /exceed the configured upper limit|quota (?:has been |is )?exceeded|(?:over|exceeds?) (?:the |its )?(?:storage )?quota|storage limit/i;
/**
 * Amazon ECR, 404 NAME_UNKNOWN: "The repository with name … does not exist" (actions/starter-workflows 2647); Harbor, 401:
 * "project … not found".
 */
const UNKNOWN_REPOSITORY = /NAME_UNKNOWN|(?:repository|project)\b.{0,300}?(?:not found|does not exist)/i;

/** What servers with TLS say to plain HTTP, 400: Go's, and nginx's. */
const WANTS_TLS = /client sent an HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS port/i;

function kindOf(response: HttpResponse, repository: string, attempt: Attempt): Kind {
  const { tag, isLoggedIn = false } = attempt;
  const { status } = response;
  const retryAfter = response.headers['retry-after'];
  const text = response.body.toString('utf8', 0, 2000);
  if (tag !== undefined && status < 500 && (IMMUTABLE.test(text) || LOCKED.test(text))) {
    return {
      code: 'tag-immutable',
      hint: `${repository} does not let anybody move the tag ${tag}. Publish under another tag, or change that rule in the registry.`,
    };
  }
  if (isRateLimit({ status, retryAfter, text })) {
    return {
      code: 'registry-rate-limited',
      hint: 'The registry limits requests. Wait a while, then re-run this job: it goes on from here.',
    };
  }
  if (status === 507 || FULL.test(text)) {
    return {
      code: 'registry-refused',
      hint: `There is no room left for ${repository}: delete what is not needed any more, or raise its quota.`,
    };
  }
  return UNKNOWN_REPOSITORY.test(text) && [401, 403, 404].includes(status)
    ? {
        code: 'registry-not-found',
        hint: `Check the spelling of ${repository}. This registry wants a repository, or the project that it lies in, to be created before the first push.`,
      }
    : kindOfStatus(response, repository, text, isLoggedIn);
}

function kindOfStatus(response: HttpResponse, repository: string, text: string, isLoggedIn: boolean): Kind {
  const { status } = response;
  if (status === 403 || (isLoggedIn && isInsufficient(response)))
    return { code: 'registry-forbidden', hint: forbiddenHint(repository, isLoggedIn) };
  if (status === 401) {
    return {
      code: 'registry-unauthorized',
      hint: `Log in before this step (docker/login-action) with an account that may write to ${repository}.`,
    };
  }
  if (status === 404) {
    return {
      code: 'registry-not-found',
      hint: `Check the spelling of ${repository}; some registries want a repository to be created first.`,
    };
  }
  if (status >= 500) {
    return {
      code: 'registry-unavailable',
      hint: 'The registry has a fault of its own. Re-run this job later: it goes on from here.',
    };
  }
  if (status === 400 && WANTS_TLS.test(text)) {
    return { code: 'registry-refused', hint: tlsHint(repository.split('/')[0] ?? '') };
  }
  // Quay takes no Docker-type child in an OCI index and says only this.
  if (/MANIFEST_INVALID/.test(text)) {
    return {
      code: 'registry-refused',
      hint: 'The registry does not take this kind of manifest. Some take no index whose images are of Docker\'s type: build with "oci-mediatypes=true".',
    };
  }
  if (status === 413) {
    return {
      code: 'registry-refused',
      hint: 'This is larger than the registry, or a proxy before it, takes in one request.',
    };
  }
  return { code: 'registry-refused', hint: 'The registry does not take this. Its answer above says why.' };
}

/** A host on the loopback interface is spoken to without TLS unless a certificate was installed for it. */
function tlsHint(host: string): string {
  return isLoopback(host)
    ? `${host} speaks TLS: install its certificate as certs.d/${host}/ca.crt in the folder of Docker's configuration.`
    : `${host} speaks TLS: take it out of "insecure-registries".`;
}

/** A token that is good and does not reach so far (RFC 6750, section 3.1); Docker Hub's word for a lack of rights. */
function isInsufficient({ headers }: HttpResponse): boolean {
  return /\berror="?insufficient_scope\b/.test(headers['www-authenticate'] ?? '');
}

/** Several registries say "forbidden" for what is not there, so that nobody can find out what is. */
function forbiddenHint(repository: string, isLoggedIn: boolean): string {
  const who = isLoggedIn ? 'The account' : 'Nobody is logged in (docker/login-action), and a stranger';
  const known = `${who} may not do this in ${repository}, or there is no such repository.`;
  if (repository.startsWith('docker.io/'))
    return `${known} The account, or its access token, needs the right to write, and the organisation must exist.`;
  return `${known} For ghcr.io the job needs "permissions: packages: write" and the package must be connected to this repository.`;
}

/** The error of something that a registry said it took. */
export function lost(kind: 'manifest' | 'blob', name: string): ManifoldError {
  return new ManifoldError(
    'registry-not-found',
    `The registry took the ${kind} ${name}, but does not show it.`,
    { hint: 'The registry has lost it, or shows it late. No tag was moved: re-run this job later.' },
  );
}
