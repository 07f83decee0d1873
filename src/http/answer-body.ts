import type { ClientRequest, IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { ManifoldError } from '../errors.ts';
import { passingFault } from './faults.ts';

export interface AnswerBodyOptions {
  /** Where the answer comes from, for messages. */
  readonly host: string;
  /** A longer body is an error. Bytes; absent: no limit. */
  readonly maxBytes: number | undefined;
  /** What has come when the connection breaks is all that can be had, and counts as the end. */
  readonly mayBreakOff: boolean;
  /** Milliseconds that a reader who wants bytes waits for the next ones. */
  readonly idleTimeout: number;
  /** Ends the body. */
  readonly signal: AbortSignal;
}

/**
 * The body of an answer, which ends only if it is whole. Node's own socket time-out also counts while nobody reads;
 * here the server's silence counts, and a slow reader may take its time.
 */
export class AnswerBody extends Readable {
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ClientRequest;
  readonly #silence: NodeJS.Timeout;
  #isWanted = false;
  #length = 0;

  constructor(incoming: IncomingMessage, outgoing: ClientRequest, options: AnswerBodyOptions) {
    super({ signal: options.signal });
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    const { host, maxBytes = Number.POSITIVE_INFINITY, mayBreakOff, idleTimeout } = options;
    this.#silence = setTimeout(() => {
      if (this.#isWanted) this.destroy(passingFault('ETIMEDOUT', `no byte came for ${idleTimeout / 1000} s`));
    }, idleTimeout);
    incoming.on('data', (chunk: Buffer) => {
      this.#length += chunk.byteLength;
      if (this.#length > maxBytes) this.destroy(tooLong(host, maxBytes));
      else this.#take(chunk);
    });
    incoming.on('end', () => this.push(null));
    let cause: Error | undefined;
    incoming.on('error', fault => {
      cause = fault;
    });
    incoming.on('close', () => {
      // A connection that ends early must not pass for a short body.
      if (mayBreakOff) this.push(null);
      else if (!incoming.complete) this.destroy(cutOff(cause));
    });
    incoming.pause();
  }

  /** Asked for again after each chunk, as long as the reader keeps up. */
  override _read(): void {
    this.#isWanted = true;
    this.#silence.refresh();
    this.#incoming.resume();
  }

  #take(chunk: Buffer): void {
    this.#isWanted = this.push(chunk);
    if (!this.#isWanted) this.#incoming.pause();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#silence);
    this.#incoming.destroy();
    // A server may answer before it has the whole request. Such a connection serves no other.
    if (!this.#outgoing.writableFinished) this.#outgoing.destroy();
    done(error);
  }
}

/** The whole body. */
export async function collect(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The first bytes of a body; the rest is left where it is. */
export async function beginning(body: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length >= maxBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxBytes);
}

function cutOff(cause?: Error): Error {
  return Object.assign(passingFault('ECONNRESET', 'the answer was cut off'), { cause });
}

function tooLong(host: string, maxBytes: number): ManifoldError {
  return new ManifoldError('invalid-document', `The answer of ${host} is longer than ${maxBytes} bytes.`);
}
