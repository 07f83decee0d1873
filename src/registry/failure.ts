import * as v from 'valibot';
import { type ErrorCode, ManifoldError, oneLine } from '../errors.ts';
import { isRateLimit } from '../http/retry.ts';
import type { HttpResponse } from '../http/transport.ts';

/** The error body of the distribution specification, "Error Codes". */
const errorBody = v.object({
  errors: v.array(v.object({ code: v.optional(v.string()), message: v.optional(v.nullable(v.string())) })),
});

/** The first error code that a registry gave, `MANIFEST_UNKNOWN` for example. */
export function registryErrorCode(response: HttpResponse): string | undefined {
  return firstError(response)?.code;
}

function firstError(
  response: HttpResponse,
): { code?: string | undefined; message?: string | null | undefined } | undefined {
  try {
    const body = v.safeParse(errorBody, JSON.parse(response.body.toString('utf8')));
    return body.success ? body.output.errors[0] : undefined;
  } catch {
    return undefined; // many proxies answer with HTML
  }
}

/** A registry's refusal as an error that tells the kinds apart and says what to do. */
export function registryFailure(response: HttpResponse, doing: string, repository: string): ManifoldError {
  const error = firstError(response);
  const text =
    error === undefined
      ? response.body.toString('utf8')
      : [error.code, error.message].filter(Boolean).join(': ');
  const { code, hint } = kindOf(response, repository);
  const answer = text === '' ? `${response.status}` : `${response.status} ${oneLine(text)}`;
  return new ManifoldError(code, `${doing} failed: the registry answered ${answer}.`, { hint });
}

function kindOf(response: HttpResponse, repository: string): { code: ErrorCode; hint: string } {
  const { status } = response;
  const outcome = {
    status,
    retryAfter: response.headers['retry-after'],
    text: response.body.toString('utf8', 0, 2000),
  };
  if (isRateLimit(outcome)) {
    return {
      code: 'registry-rate-limited',
      hint: 'The registry limits requests. Wait a while, then re-run this job: it goes on from here.',
    };
  }
  if (status === 401) {
    return {
      code: 'registry-unauthorized',
      hint: `Log in before this step (docker/login-action) with an account that may write to ${repository}.`,
    };
  }
  if (status === 403) {
    return {
      code: 'registry-forbidden',
      hint: `The account is known but may not do this in ${repository}. For ghcr.io the job needs "permissions: packages: write" and the package must be connected to this repository.`,
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
  return { code: 'registry-refused', hint: 'The registry does not take this. Its answer above says why.' };
}
