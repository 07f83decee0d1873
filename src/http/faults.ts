import { ManifoldError, messageOf, oneLine } from '../errors.ts';

/** Codes of faults on the way to a server that may pass. Certificates, names and addresses do not mend themselves. */
const PASSING = new Set([
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EAI_AGAIN',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
]);

/** A fault that we found in an answer ourselves, under the code that the system would give it. */
export function passingFault(code: 'ECONNRESET' | 'ETIMEDOUT', message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** The same fault, with the place where it happened. */
export function faultAt(where: string, fault: unknown): Error {
  const code = codeOf(innermost(fault));
  const error = new Error(`${where}: ${reasonOf(fault)}`, { cause: fault });
  return code === undefined ? error : Object.assign(error, { code });
}

export function hasCode(fault: unknown): boolean {
  return codeOf(innermost(fault)) !== undefined;
}

/** Tells whether a request that ended without an answer is worth another try. */
export function mayPass(fault: unknown): boolean {
  const code = codeOf(innermost(fault));
  // HPE_…: what came is no HTTP, as when a connection breaks in the middle of a header.
  return code !== undefined && (PASSING.has(code) || code.startsWith('HPE_'));
}

/** @param elapsed milliseconds from the beginning to the last failure */
export function unreachable(
  what: string,
  host: string,
  fault: unknown,
  tries: number,
  elapsed: number,
): ManifoldError {
  const times = tries === 1 ? 'once' : `${tries} times`;
  return new ManifoldError(
    'service-unreachable',
    `${what} got no answer, tried ${times} in ${(elapsed / 1000).toFixed(1)} s: ${reasonOf(fault)}.`,
    { hint: `Check that ${host} can be reached from this runner, and run again.`, cause: fault },
  );
}

/** Why a request got no answer, in one line. */
export function reasonOf(fault: unknown): string {
  const inner = innermost(fault);
  const code = codeOf(inner);
  const message = oneLine(messageOf(inner));
  return code === undefined || message.includes(code) ? message : `${message} (${code})`;
}

/** Node puts the attempts of "happy eyeballs" into an AggregateError whose own message is empty. */
function innermost(fault: unknown): unknown {
  return fault instanceof AggregateError ? fault.errors[0] : fault;
}

function codeOf(fault: unknown): string | undefined {
  return (fault as NodeJS.ErrnoException | undefined)?.code;
}
