import { type ErrorCode, ManifoldError, oneLine } from '../errors.ts';
import type { HttpResponse } from '../http/transport.ts';

/** A service's refusal, with what it answered. */
export function serviceFailure(
  service: string,
  response: HttpResponse,
  code: ErrorCode = 'signing-failed',
): ManifoldError {
  const text = oneLine(response.body.toString('utf8'), 300);
  return new ManifoldError(
    code,
    `${service} (${response.url.origin}) answered ${response.status}${text === '' ? '' : `: ${text}`}.`,
    {
      hint:
        code === 'no-id-token'
          ? 'The job needs "permissions: id-token: write". No tag was moved.'
          : 'No tag was moved. Re-run this job: it goes on from here.',
    },
  );
}
