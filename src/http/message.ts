import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

/** Bytes that are too many for memory. */
export interface BodySource {
  /** Bytes in all; what is sent as `content-length`. */
  readonly size: number;
  /** Begins the bytes from the start, once for each try. The stream is always read to its end or destroyed. */
  open(): Promise<Readable>;
  /** Opened once; a second `open` throws `GivenOnce`. So no redirect is followed. */
  readonly isGivenOnce?: boolean;
}

/** Thrown where such a body is wanted again: the try before was the last, and what it came to counts. */
export class GivenOnce extends Error {}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | BodySource;
  /**
   * A longer body is cut off and is an error. Default for `request` 4 MiB, what registries allow a manifest to be; for
   * `open` no limit.
   */
  readonly maxBytes?: number;
  /** Certificates (PEM) to trust for this host besides the system's. */
  readonly ca?: string;
  /** A redirect to another origin is the answer, and is not followed; so it always is for what writes. */
  readonly staysAtOrigin?: boolean;
  /** Answers that are tried again besides those that always are: 404 just after our own push. */
  readonly alsoTransient?: (response: HttpResponse) => boolean;
  /**
   * Called before the request is sent once more, when its wait is over. What it throws ends the request: a write that rests
   * on what was read before must not overwrite what has come since.
   */
  readonly beforeRetry?: () => Promise<void>;
}

/** What every answer begins with. */
interface AnswerHead {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
}

/** An answer that has come as a whole. */
export interface HttpResponse extends AnswerHead {
  readonly body: Buffer;
}

/** A good answer (status below 300) whose body is still coming. */
export interface HttpStream extends AnswerHead {
  /**
   * Must be read to its end or destroyed: until then it holds a connection. A body that is cut off or falls silent ends
   * in an error that `mayPass`, never as if it were whole.
   */
  readonly body: Readable;
}

/** Tells what `open` came to: a body that is coming, or an answer that has come as a whole because it is not good. */
export function isStream(answer: HttpStream | HttpResponse): answer is HttpStream {
  return answer.status < 300;
}

/** Method, host and path. Never the query, which may hold a signature. */
export function describe({ method, url }: HttpRequest): string {
  return `${method} ${url.origin}${url.pathname}`;
}
