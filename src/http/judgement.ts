import { mayPass } from './faults.ts';
import type { HttpRequest, HttpResponse, HttpStream } from './message.ts';
import { isTransient, type Outcome } from './retry.ts';

export type Answer = HttpResponse | HttpStream;

/** What a try came to: an answer, or a fault on the way to it. */
export interface Tried<A extends Answer> {
  readonly answer?: A;
  readonly fault?: unknown;
}

/** Tells whether the same request would end the same way again. */
export function isFinal(request: HttpRequest, { answer, fault }: Tried<Answer>): boolean {
  if (answer === undefined) return !mayPass(fault);
  return !isTransient(outcomeOf(answer)) && !isAwaited(request, answer);
}

/** Tells what only this request takes for passing, and what may as well be for good. */
export function isLag(request: HttpRequest, { answer }: Tried<Answer>): boolean {
  return answer !== undefined && !isTransient(outcomeOf(answer)) && isAwaited(request, answer);
}

export function outcomeOf(answer: Answer): Outcome {
  return {
    status: answer.status,
    retryAfter: answer.headers['retry-after'],
    text: answer.status === 403 && isWhole(answer) ? answer.body.toString('utf8', 0, 2000) : '',
  };
}

/** A stream has begun well, and is not looked into. */
function isAwaited(request: HttpRequest, answer: Answer): boolean {
  return isWhole(answer) && request.alsoTransient?.(answer) === true;
}

function isWhole(answer: Answer): answer is HttpResponse {
  return Buffer.isBuffer(answer.body);
}
