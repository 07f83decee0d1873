import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** What a server is about to answer. */
export interface Answer {
  status: number;
  headers: OutgoingHttpHeaders;
  body: Buffer;
}

/** What becomes of an answer: it goes out, perhaps changed, or the connection breaks before it or in the middle. */
export type Fate = 'send' | 'reset' | 'cut';

/** Lets the server do its work, and then decides what becomes of its answer. */
export function afterwards(response: ServerResponse, decide: (answer: Answer) => Fate): void {
  const writeHead = response.writeHead.bind(response);
  const end = response.end.bind(response);
  const answer: Answer = { status: 200, headers: {}, body: Buffer.alloc(0) };
  response.writeHead = ((status: number, headers: OutgoingHttpHeaders = {}) => {
    answer.status = status;
    answer.headers = headers;
    return response;
  }) as typeof writeHead;
  response.end = ((chunk?: unknown) => {
    response.writeHead = writeHead;
    response.end = end;
    if (chunk !== undefined && typeof chunk !== 'function') answer.body = Buffer.from(chunk as Buffer);
    const fate = response.destroyed ? 'reset' : decide(answer);
    if (fate === 'send') send(response, answer);
    else if (fate === 'cut') cut(response, answer);
    else reset(response);
    return response;
  }) as typeof end;
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers);
  if (body.length === 0) response.end();
  else response.end(body);
}

/** Half of the body comes, and then the connection ends. What has no body breaks before it. */
function cut(response: ServerResponse, { status, headers, body }: Answer): void {
  if (body.length < 2) return reset(response);
  response.writeHead(status, { ...headers, 'content-length': body.length });
  response.write(body.subarray(0, body.length / 2), () => reset(response));
}

export function reset(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
  response.destroy();
}
