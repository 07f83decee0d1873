import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readBody, serve } from '../../lab/parts/http.ts';
import { requestTimestamp } from '../../src/sign/timestamp.ts';
import { failureOf, opened, SHORT, transport } from '../servers/clients.ts';
import { TimestampAuthority } from '../servers/timestamp-authority.ts';

const SIGNATURE = Buffer.from('a signature');
const STAMP = new TimestampAuthority().stamp(SIGNATURE);

async function authority(status: number, answer: Buffer | string) {
  const seen: { type: string | undefined; body: Buffer }[] = [];
  const server = await opened(
    serve(async (request, response) => {
      seen.push({ type: request.headers['content-type'], body: await readBody(request) });
      response.writeHead(status).end(answer);
    }),
  );
  return {
    seen,
    ask: () =>
      requestTimestamp(new URL(`${server.url}/api/v1/timestamp`), SIGNATURE, transport({ retry: SHORT })),
  };
}

describe('a timestamp', () => {
  it('is asked for by RFC 3161: the hash of the signature, a nonce, and the certificates', async () => {
    const { seen, ask } = await authority(201, STAMP);
    expect(await ask()).toEqual(STAMP);
    const [{ type, body } = { type: '', body: Buffer.alloc(0) }] = seen;
    expect(type).toBe('application/timestamp-query');
    const imprint = `3031300d060960864801650304020105000420${createHash('sha256').update(SIGNATURE).digest('hex')}`;
    // SEQUENCE { version 1, MessageImprint, nonce of 9 bytes and positive, certReq TRUE }
    expect(body.toString('hex')).toMatch(new RegExp(`^3044020101${imprint}020900[89a-f][0-9a-f]{15}0101ff$`));
  });

  it('has another nonce each time', async () => {
    const { seen, ask } = await authority(200, STAMP);
    await ask();
    await ask();
    expect(seen[0]?.body.equals(seen[1]?.body ?? Buffer.alloc(0))).toBe(false);
    expect(seen[0]?.body.length).toBe(seen[1]?.body.length);
  });

  it.each([400, 403, 500])('that is refused with %d is an error that names the authority', async status => {
    const { ask } = await authority(status, 'no clock');
    const error = await failureOf(ask);
    expect(error.code).toBe('signing-failed');
    expect(error.message).toMatch(/timestamp authority .*no clock/);
  });
});
