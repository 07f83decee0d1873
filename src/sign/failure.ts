import { type ErrorCode, ManifoldError, oneLine } from '../errors.ts';
import type { HttpResponse } from '../http/transport.ts';

/** A service's refusal, with what it answered. */
export function serviceFailure(
  service: string,
  response: HttpResponse,
  code: ErrorCode = 'signing-failed',
): ManifoldError {
  // A service may send back what it was sent; a token cut short is one that the runner's mask does not know.
  const text = oneLine(response.body.toString('utf8').replace(/\bey[\w-]{10,}[\w.-]*/g, '***'), 300);
  return new ManifoldError(
    code,
    `${service} (${response.url.origin}) answered ${response.status}${text === '' ? '' : `: ${text}`}.`,
    {
      hint: 'No tag was moved. Re-run this job: it goes on from here.',
    },
  );
}
