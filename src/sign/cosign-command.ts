import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import { Patience, type RetryPolicy } from '../http/retry.ts';
import { Gate } from '../parallel.ts';

export interface CosignCommandOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly retry: RetryPolicy;
  /** Milliseconds until a cosign that does not end is ended. */
  readonly timeout: number;
  /** Told of each try that failed and will be repeated, one sentence. */
  readonly onRetry: (message: string) => void;
}

/** How a cosign that failed did so. */
export interface CosignFailure {
  /** What it said, in one line; never empty. */
  readonly reason: string;
  /** It may pass: it still failed so when the retry budget was used up. */
  readonly isPassing: boolean;
  readonly tries: number;
}

/** What came of a command: its standard output, or why there is none. */
export type CosignResult = { readonly output: string } | { readonly failure: CosignFailure };

/** At most so many at a time: a key in a file takes 130 MB and a whole core for 0.2 s each, one in a key store waits for its network. */
const AT_A_TIME = 4;

/** A signature has some hundred bytes, as has a key. Characters of each stream. */
const LONGEST_OUTPUT = 64 * 1024;

/** The cosign of this runner: never at a prompt, and tried again where a key store is unwell. */
export class CosignCommand {
  readonly #options: CosignCommandOptions;
  readonly #closed = new AbortController();
  readonly #gate = new Gate(AT_A_TIME);

  constructor(options: CosignCommandOptions) {
    this.#options = options;
  }

  /**
   * @param input for its standard input
   * @throws ManifoldError `cosign-unusable` when there is no cosign that can be started
   */
  run(args: readonly string[], input: Uint8Array = new Uint8Array()): Promise<CosignResult> {
    return this.#gate.run(() => this.#persist(args, input));
  }

  /** Ends what runs; what is begun later ends at once. */
  close(): void {
    this.#closed.abort();
  }

  /** The exit code is 1 for everything: only its words tell whether a fault may pass. */
  async #persist(args: readonly string[], input: Uint8Array): Promise<CosignResult> {
    const { retry, onRetry } = this.#options;
    const patience = new Patience(retry);
    for (;;) {
      const tried = await this.#try(args, input);
      if (tried.reason === undefined) return { output: tried.stdout };
      const { reason, isPassing } = tried;
      const delay = isPassing ? patience.afterFailure() : undefined;
      if (delay === undefined) {
        return { failure: { reason, isPassing, tries: patience.failures + (isPassing ? 0 : 1) } };
      }
      onRetry(`cosign ${args[0]}: ${reason}; trying again in ${(delay / 1000).toFixed(1)} s`);
      await sleep(delay, undefined, { signal: this.#closed.signal }).catch(() => {}); // ended: so is the next try
    }
  }

  #try(args: readonly string[], input: Uint8Array): Promise<Tried> {
    const { env, timeout } = this.#options;
    const limit = AbortSignal.timeout(timeout);
    const signal = AbortSignal.any([this.#closed.signal, limit]);
    return new Promise((resolve, reject) => {
      const child = spawn('cosign', args, { env, stdio: 'pipe', signal });
      const said = { stdout: '', stderr: '' };
      const end = (outcome: Failed): void => {
        child.kill('SIGKILL');
        // What it started itself (a plugin for a key store) may live on and hold the pipes open.
        for (const pipe of child.stdio) pipe?.destroy();
        resolve(outcome);
      };
      for (const name of ['stdout', 'stderr'] as const) {
        child[name].setEncoding('utf8');
        child[name].on('data', (chunk: string) => {
          said[name] += chunk;
          if (said[name].length > LONGEST_OUTPUT)
            end({ reason: 'it says more than any key or signature needs', isPassing: false });
        });
      }
      child.on('error', error => {
        if (this.#closed.signal.aborted) end(ENDED);
        else if (limit.aborted) end({ reason: `it did not end within ${timeout / 1000} s`, isPassing: true });
        else reject(cannotStart(error));
      });
      child.on('close', (code, killed) =>
        resolve(code === 0 ? { stdout: said.stdout } : failed(said.stderr, killed)),
      );
      child.stdin.on('error', () => {}); // a cosign that ends without reading tells by its exit code
      child.stdin.end(input);
    });
  }
}

interface Failed {
  readonly reason: string;
  readonly isPassing: boolean;
}

const ENDED: Failed = { reason: 'it was ended', isPassing: false };

type Tried = Failed | { readonly reason?: undefined; readonly stdout: string };

function failed(stderr: string, killed: NodeJS.Signals | null): Failed {
  if (killed !== null) return { reason: `it was ended by ${killed}`, isPassing: false };
  const words = wordsOf(stderr);
  return { reason: words || 'it failed and did not say why', isPassing: mayPass(words) };
}

/** What cosign says of itself while all goes well. */
const CHATTER = /^(?:Flag --\S+ has been deprecated|Signing artifact|Using payload from:|Enter password)/;

/** Its last words, in one line: it repeats each error, with another beginning. */
function wordsOf(stderr: string): string {
  // What follows is the stack of a program that nobody here has written.
  const panic = /^panic: .*$/m.exec(stderr)?.[0];
  if (panic !== undefined) return oneLine(panic);
  const lines = stderr
    .split('\n')
    .map(line => line.replace(/^(?:main\.go:\d+: )?(?:Error: |error during command execution: )/, '').trim())
    .filter(line => line !== '' && !CHATTER.test(line));
  return oneLine([...new Set(lines)].slice(-3).join('; '), 500).replace(/\.$/, '');
}

/** Faults of a network, and of servers, in the words of Go and of the clients of key stores. */
const PASSING = [
  /connection (?:refused|reset|timed out)|broken pipe|i\/o timeout|unexpected EOF|: EOF\b|TLS handshake timeout/i,
  /network is unreachable|no route to host|server misbehaving|temporary failure in name resolution/i,
  /deadline exceeded|Client\.Timeout exceeded|timed? ?out (?:awaiting|waiting)/i,
  /too many requests|rate.?limit|rate exceeded|throttl|RequestLimitExceeded|ResourceExhausted|RESOURCE_EXHAUSTED/i,
  /\bcode = (?:Unavailable|DeadlineExceeded|Aborted)\b|KMSInternalException|DependencyTimeoutException/,
  /\b(?:StatusCode|status code|status|Code|HTTP|RESPONSE):? +(?:408|425|429|500|502|503|504)\b/i,
];

/** Tells whether the same command may succeed a moment later. */
export function mayPass(words: string): boolean {
  return PASSING.some(pattern => pattern.test(words));
}

function cannotStart(error: Error): ManifoldError {
  const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return new ManifoldError(
    'cosign-unusable',
    isMissing
      ? 'Signing with a key needs cosign, which is not on this runner.'
      : `cosign cannot be started: ${oneLine(messageOf(error))}.`,
    { hint: INSTALL, cause: error },
  );
}

export const INSTALL = 'Add the step "uses: sigstore/cosign-installer@v4.1.2" before this one.';
