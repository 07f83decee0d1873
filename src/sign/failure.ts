import { type ErrorCode, ManifoldError, oneLine } from '../errors.ts';
import type { HttpRequest, HttpResponse, Transport } from '../http/transport.ts';

/** What is true of every failure while signatures are made. */
export const GOES_ON = 'No tag was moved. Re-run this job: it goes on from here.';

/** Faults that have nothing to do with what the service answered. */
const OF_THE_WAY: readonly ErrorCode[] = ['service-unreachable', 'invalid-input'];

/**
 * Asks a service of a Sigstore; what gets no answer names it.
 * @param service as it begins a sentence: `The certificate authority Fulcio`
 * @throws ManifoldError `service-unreachable`; `signing-failed` for an answer that has no end or leads nowhere
 */
export async function askService(
  service: string,
  request: HttpRequest,
  transport: Transport,
): Promise<HttpResponse> {
  try {
    return await transport.request(request);
  } catch (error) {
    if (!(error instanceof ManifoldError)) throw error;
    const code = OF_THE_WAY.includes(error.code) ? error.code : 'signing-failed';
    const hint = error.hint === undefined ? GOES_ON : `${error.hint} ${GOES_ON}`;
    const where = `${service} (${request.url.origin}) gave no answer that can be used`;
    throw new ManifoldError(code, `${where}: ${error.message}`, { hint, cause: error });
  }
}

/** A service's refusal, with what it answered. */
export function serviceFailure(
  service: string,
  response: HttpResponse,
  code: ErrorCode = 'signing-failed',
): ManifoldError {
  const text = oneLine(response.body.toString('utf8'), 300);
  const answer = `${service} (${response.url.origin}) answered ${response.status}${leadOf(response)}`;
  return new ManifoldError(code, `${answer}${text === '' ? '' : `: ${text}`}.`, {
    hint:
      code === 'no-id-token' ? 'The job needs "permissions: id-token: write". No tag was moved.' : GOES_ON,
  });
}

/** A good answer with a content that is not what was asked for. @param what `certified another key than ours` */
export function wrongAnswer(service: string, url: URL, what: string, cause?: unknown): ManifoldError {
  return new ManifoldError('signing-failed', `${service} (${url.origin}) ${what}.`, { hint: GOES_ON, cause });
}

/** Where an answer wanted to lead what was not to leave its origin. Without the path, which may hold a secret. */
function leadOf({ status, headers: { location }, url }: HttpResponse): string {
  const target = status >= 300 && status < 400 && location ? URL.parse(location, url.href) : null;
  return target === null ? '' : ` and leads to ${oneLine(target.origin)}, which is not followed`;
}
