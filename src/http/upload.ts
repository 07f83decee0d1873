import type { ClientRequest } from 'node:http';
import { finished, type Readable } from 'node:stream';
import { ManifoldError } from '../errors.ts';
import { passingFault } from './faults.ts';
import type { BodySource } from './message.ts';

/** The source of a body failed, and not the way to the server. */
export class SourceFailure extends Error {
  override readonly cause: unknown;

  constructor(cause: unknown) {
    super('The source of a body failed.');
    this.cause = cause;
  }
}

/** The body of one try, on its way from its source. */
export class Upload {
  readonly size: number;
  readonly #source: Readable;
  #isStopped = false;

  private constructor(size: number, source: Readable) {
    this.size = size;
    this.#source = source;
    // What fails before it is sent is found by `sendTo`; unheard, it would end the process.
    source.on('error', () => {});
  }

  /** @throws SourceFailure */
  static async open(body: BodySource): Promise<Upload> {
    try {
      return new Upload(body.size, await body.open());
    } catch (error) {
      throw new SourceFailure(error);
    }
  }

  /**
   * Sends the bytes as fast as they are taken, and ends the request. The last ones wait until the source has ended
   * well: of a source that fails, be it at its very end, no server ever gets a whole body.
   */
  sendTo(outgoing: ClientRequest, fail: (fault: SourceFailure) => void): void {
    const { size } = this;
    const source = this.#source;
    let given = 0;
    let held: Uint8Array | undefined;
    source.on('data', (chunk: Uint8Array) => {
      given += chunk.byteLength;
      if (given > size) {
        source.destroy(tooLong(size));
        return;
      }
      if (held !== undefined && !outgoing.write(held)) {
        source.pause();
        outgoing.once('drain', () => source.resume());
      }
      held = chunk;
    });
    finished(source, error => {
      if (this.#isStopped) return;
      if (error && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') fail(new SourceFailure(error));
      else if (error || given < size) fail(new SourceFailure(tooShort(given, size)));
      else outgoing.end(held);
    });
  }

  /** Nobody wants the rest. */
  stop(): void {
    this.#isStopped = true;
    this.#source.destroy();
  }
}

function tooShort(given: number, size: number): Error {
  return passingFault('ECONNRESET', `they ended after ${given} of ${size}`);
}

function tooLong(size: number): ManifoldError {
  return new ManifoldError(
    'invalid-document',
    `What was to be sent is longer than the ${size} bytes it should have.`,
  );
}
