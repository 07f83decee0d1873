import http from 'node:http';
import https from 'node:https';
import type { SecureContext } from 'node:tls';
import { AnswerBody } from './answer-body.ts';
import { passingFault } from './faults.ts';
import type { HttpRequest, HttpStream } from './message.ts';
import { Upload } from './upload.ts';

/** How one try goes out. Times are milliseconds. */
export interface Wire {
  readonly agent: http.Agent;
  readonly secureContext?: SecureContext | undefined;
  readonly userAgent: string;
  /** Ends the try, and the body of its answer. */
  readonly signal: AbortSignal;
  /** Without a byte from the server until the try is given up. */
  readonly idleTimeout: number;
  /** The body of a good answer may take any time, as long as bytes come. */
  readonly isStreamed: boolean;
  /** Told once, when the connection is no longer in use. */
  readonly onClose: () => void;
}

/** From the beginning of a try to the last byte, however busily the bytes drip. Milliseconds. */
const LONGEST_TRY = 300_000;
/** A server reads a big body once more (for its digest, to its place) before it answers. Bytes per millisecond. */
const SERVER_SPEED = 20_000;

type Body = Uint8Array | Upload | undefined;

/**
 * Sends a request once. The answer has begun when the promise is kept; its body waits to be read or destroyed.
 * @param body the request's, opened where it comes from a source
 */
export function exchange(request: HttpRequest, body: Body, wire: Wire): Promise<HttpStream> {
  const { url } = request;
  const { signal, idleTimeout } = wire;
  return new Promise((resolve, reject) => {
    const outgoing = begin(request, body, wire);
    let answer: AnswerBody | undefined;
    const fail = (fault: Error): void => {
      reject(fault);
      (answer ?? outgoing).destroy(fault);
    };
    const deadline = new Deadline(() => {
      fail(passingFault('ETIMEDOUT', `the answer was not complete after ${LONGEST_TRY / 1000} s`));
    });
    outgoing.on('response', incoming => {
      const status = incoming.statusCode ?? 0;
      // A refusal may come before the server has the whole request, and break it off.
      const isEarly = !outgoing.writableEnded;
      if (body instanceof Upload) body.stop();
      if (wire.isStreamed && status < 300) deadline.clear();
      answer = new AnswerBody(incoming, outgoing, {
        host: url.host,
        maxBytes: status < 300 ? request.maxBytes : undefined,
        mayBreakOff: isEarly && status >= 300,
        idleTimeout,
        signal,
      });
      resolve({ status, headers: incoming.headers, url, body: answer });
    });
    // From here on the body of the answer watches: over silence, and over what becomes of the connection.
    outgoing.on('timeout', () => {
      if (!answer) fail(passingFault('ETIMEDOUT', `no byte came for ${idleTimeout / 1000} s`));
    });
    outgoing.on('error', fault => {
      if (!answer) fail(fault);
    });
    outgoing.on('close', () => {
      deadline.clear();
      if (body instanceof Upload) body.stop();
      reject(passingFault('ECONNRESET', 'the connection was closed without an answer'));
      wire.onClose();
    });
    if (!(body instanceof Upload)) {
      deadline.begin();
      outgoing.end(body);
      return;
    }
    // However long a big body takes: what counts is that its bytes are taken.
    outgoing.once('finish', () => {
      deadline.begin();
      outgoing.setTimeout(idleTimeout + body.size / SERVER_SPEED);
    });
    body.sendTo(outgoing, fail);
  });
}

function begin(request: HttpRequest, body: Body, wire: Wire): http.ClientRequest {
  const { url, method } = request;
  const { agent, secureContext, signal, idleTimeout, userAgent, onClose } = wire;
  const send = url.protocol === 'https:' ? https.request : http.request;
  try {
    return send(url, {
      method,
      headers: headersOf(request, body, userAgent),
      agent,
      ...(secureContext === undefined ? {} : { secureContext }),
      signal,
      // As an option it holds for connecting too; set later, it would begin only with the connection.
      timeout: idleTimeout,
    });
  } catch (error) {
    // A header that cannot be sent, for example.
    if (body instanceof Upload) body.stop();
    onClose();
    throw error;
  }
}

function headersOf(request: HttpRequest, body: Body, userAgent: string): Record<string, string | number> {
  const headers: Record<string, string | number> = { 'user-agent': userAgent, ...request.headers };
  const { method } = request;
  if (body instanceof Upload) headers['content-length'] = body.size;
  else if (body !== undefined || method === 'POST' || method === 'PUT' || method === 'PATCH')
    headers['content-length'] = body?.byteLength ?? 0;
  return headers;
}

/** A time-out that begins when it is told to. */
class Deadline {
  readonly #onEnd: () => void;
  #timer: NodeJS.Timeout | undefined;
  #isCleared = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  begin(): void {
    if (!this.#isCleared) this.#timer = setTimeout(this.#onEnd, LONGEST_TRY);
  }

  clear(): void {
    this.#isCleared = true;
    clearTimeout(this.#timer);
  }
}
