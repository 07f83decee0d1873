import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { FAST } from '../servers/clients.ts';
import {
  type Answer,
  AUTHORITY,
  BEARER,
  FULCIO,
  ISSUER,
  REKOR_1,
  REKOR_2,
  says,
  started,
  TOKEN,
} from './services-asked.ts';

const resets: Answer = (_, __, request) => void request.socket.resetAndDestroy();
const breaksOff: Answer = (_, response) => {
  response.writeHead(200, { 'content-length': '1000' });
  response.write('{"half":', () => response.destroy());
};
const isSilent: Answer = () => {};
const page = '<!doctype html>\n<title>Back soon</title>\n::error::';

/** What passes is tried again. */
const PASSING: [string, Answer][] = [
  ['429 with Retry-After', says(429, 'slow down', { 'retry-after': '0' })],
  ['429 without', says(429)],
  ['500', says(500)],
  ['502', says(502, page)],
  ['503', says(503)],
  ['504', says(504)],
  ['a reset connection', resets],
  ['half an answer', breaksOff],
  ['silence', isSilent],
];

describe.each([
  ['an issuer', ISSUER],
  ['Fulcio', FULCIO],
  ['Rekor 1', REKOR_1],
  ['Rekor 2', REKOR_2],
  ['a timestamp authority', AUTHORITY],
])('%s', (_, service) => {
  it.each(PASSING)('is asked again after %s', async (_fault, answer) => {
    const { ask, asked } = await started(service, answer, answer, service.good);
    await ask({ retry: FAST, idleTimeout: 200 });
    expect(asked()).toBe(3);
  });

  it.each(PASSING)('is named with its address when nothing but %s comes', async (_fault, answer) => {
    const { url, fail } = await started(service, answer);
    const error = await fail({ idleTimeout: 20 });
    expect(['signing-failed', 'service-unreachable']).toContain(error.code);
    expect(error.message).toContain(`${service.name} (${url})`);
    expect(error.hint).toContain('Re-run this job: it goes on from here.');
  });

  it.each([429, 500, 503])('that says %d for good is quoted', async status => {
    const { fail } = await started(service, says(status, 'no room\n::error::'));
    const error = await fail();
    expect(error.code).toBe('signing-failed');
    expect(error.message).toContain(`answered ${status}: no room ::error::.`);
  });

  it.each([
    ['is refused', says(400, 'not like this')],
    ['meets a page of HTML', says(200, page)],
    ['meets nothing at all', says(200)],
    ['has no end', (_body: Buffer, response: ServerResponse) => endless(response)],
  ])('is asked once where the request %s, and named', async (_fault, answer) => {
    const { url, fail, asked } = await started(service, answer);
    const error = await fail({ retry: FAST });
    expect(asked()).toBe(1);
    expect(['signing-failed', 'no-id-token']).toContain(error.code);
    expect(error.message).toContain(url);
    expect(error.message).not.toContain('\n');
    expect(error.hint).toContain('Re-run this job: it goes on from here.');
  });

  it.each([302, 307])('that leads elsewhere with %d is not followed there', async status => {
    const other = await started(service, service.good);
    const { url, fail } = await started(
      service,
      says(status, '', { location: `${other.url}/sEcReT?token=sEcReT` }),
    );
    const error = await fail();
    expect(other.asked()).toBe(0);
    expect(error.code).toBe('signing-failed');
    expect(error.message).toContain(
      `${service.name} (${url}) answered ${status} and leads to ${other.url}, which is not followed.`,
    );
    expect(error.message).not.toContain('sEcReT');
  });

  it('never gets a secret into an error, also where it sends back what it was sent', async () => {
    const echo: Answer = (body, response, { headers }) =>
      void response.writeHead(400).end(`${headers.authorization} ${body.toString()}`);
    const { fail } = await started(service, echo);
    const { message, hint } = await fail();
    for (const secret of [BEARER, ...TOKEN.split('.')]) expect(`${message} ${hint}`).not.toContain(secret);
  });
});

/** Sends until nobody listens any more. */
function endless(response: ServerResponse): void {
  const chunk = Buffer.alloc(1024 * 1024, ' ');
  response.writeHead(200);
  const send = () => {
    if (!response.destroyed) response.write(chunk, send);
  };
  send();
}
