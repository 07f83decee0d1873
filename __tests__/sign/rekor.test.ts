import { createHash, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readBody, sendJson, serve } from '../../lab/parts/http.ts';
import { logSignature } from '../../src/sign/rekor.ts';
import { FAST, failureOf, opened, SHORT, transport } from '../servers/clients.ts';
import { newAuthority } from '../servers/x509.ts';

const AUTHORITY = newAuthority('test');
const ENVELOPE = {
  payloadType: 'application/vnd.in-toto+json',
  payload: Buffer.from('{"größe":1}'),
  signature: Buffer.from('a signature'),
  certificate: new X509Certificate(AUTHORITY.certificate),
};
const PROOF = {
  logIndex: '7',
  rootHash: 'AAAA',
  treeSize: '8',
  hashes: ['AQID'],
  checkpoint: { envelope: 'note' },
};
const ENTRY = {
  logIndex: '7',
  logId: { keyId: 'AAAA' },
  kindVersion: { kind: 'hashedrekord', version: '0.0.2' },
  inclusionProof: PROOF,
  canonicalizedBody: 'e30=',
};

interface Seen {
  readonly line: string;
  readonly body: string;
}

/** A log that answers with these, the last again and again. */
async function logOf(
  version: 1 | 2,
  ...answers: [status: number, body: unknown, headers?: Record<string, string>][]
) {
  const seen: Seen[] = [];
  const server = await opened(
    serve(async (request, response) => {
      seen.push({ line: `${request.method} ${request.url}`, body: (await readBody(request)).toString() });
      const [status, body, headers] = answers[Math.min(seen.length, answers.length) - 1] ?? [500, ''];
      sendJson(response, status, body, headers);
    }),
  );
  const enter = (path = '', retry = FAST) =>
    logSignature({ url: new URL(`${server.url}${path}`), version }, ENVELOPE, transport({ retry }));
  return { seen, enter };
}

const V1 = {
  uuid: {
    body: 'e30=',
    integratedTime: 1_700_000_000,
    logID: 'c0ffee',
    logIndex: 123_456_789,
    verification: {
      signedEntryTimestamp: 'AAAA',
      inclusionProof: {
        logIndex: 5,
        rootHash: '0102',
        treeSize: 6,
        hashes: ['0a', '0b'],
        checkpoint: 'note',
      },
    },
  },
};

describe('a log of version 2', () => {
  it('gets the hash of what was signed, the signature and the certificate', async () => {
    const { seen, enter } = await logOf(2, [201, ENTRY]);
    const entry = await enter();
    expect(seen[0]?.line).toBe('POST /api/v2/log/entries');
    const encoded = Buffer.concat([Buffer.from(`DSSEv1 28 ${ENVELOPE.payloadType} 13 `), ENVELOPE.payload]);
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({
      hashedRekordRequestV002: {
        digest: createHash('sha256').update(encoded).digest('base64'),
        signature: {
          content: ENVELOPE.signature.toString('base64'),
          verifier: {
            keyDetails: 'PKIX_ECDSA_P256_SHA_256',
            x509Certificate: { rawBytes: AUTHORITY.certificate.toString('base64') },
          },
        },
      },
    });
    expect(entry.logIndex).toBe('7');
    expect(entry.inclusionProof?.hashes).toEqual([Buffer.from([1, 2, 3])]);
  });

  it('may be below a path, with a slash at its end or without', async () => {
    const { seen, enter } = await logOf(2, [200, ENTRY]);
    await enter('/tiles');
    await enter('/tiles/');
    expect(seen.map(({ line }) => line)).toEqual(Array(2).fill('POST /tiles/api/v2/log/entries'));
  });

  it.each([
    {},
    null,
    [],
    5,
    { ...ENTRY, inclusionProof: undefined },
    { ...ENTRY, logId: undefined },
    { ...ENTRY, kindVersion: undefined },
  ])('that answers %j did not log', async body => {
    const { enter } = await logOf(2, [200, body]);
    expect((await failureOf(() => enter())).code).toBe('signing-failed');
  });

  it.each([400, 401, 409, 500])('that answers %d is an error with its words', async status => {
    const { enter } = await logOf(2, [status, { message: 'no room' }]);
    const error = await failureOf(() => enter('', SHORT));
    expect(error.code).toBe('signing-failed');
    expect(error.message).toContain(`${status}`);
    expect(error.message).toContain('no room');
  });
});

describe('a log of version 1', () => {
  it('gets the envelope and the certificate', async () => {
    const { seen, enter } = await logOf(1, [201, V1]);
    await enter();
    expect(seen[0]?.line).toBe('POST /api/v1/log/entries');
    const { apiVersion, kind, spec } = JSON.parse(seen[0]?.body ?? '');
    expect([apiVersion, kind]).toEqual(['0.0.1', 'dsse']);
    expect(JSON.parse(spec.proposedContent.envelope)).toEqual({
      payloadType: ENVELOPE.payloadType,
      payload: ENVELOPE.payload.toString('base64'),
      signatures: [{ sig: ENVELOPE.signature.toString('base64') }],
    });
    const [verifier] = spec.proposedContent.verifiers;
    expect(new X509Certificate(Buffer.from(verifier, 'base64')).raw).toEqual(AUTHORITY.certificate);
  });

  it('answers in hexadecimal, and the bundle holds bytes', async () => {
    const { enter } = await logOf(1, [201, V1]);
    expect(await enter()).toMatchObject({
      logIndex: '123456789',
      logId: { keyId: Buffer.from('c0ffee', 'hex') },
      kindVersion: { kind: 'dsse', version: '0.0.1' },
      integratedTime: '1700000000',
      inclusionPromise: { signedEntryTimestamp: Buffer.alloc(3) },
      inclusionProof: {
        logIndex: '5',
        treeSize: '6',
        rootHash: Buffer.from([1, 2]),
        hashes: [Buffer.from([10]), Buffer.from([11])],
      },
    });
  });

  it('that has the entry already gives it out: an earlier try arrived', async () => {
    const { seen, enter } = await logOf(
      1,
      [503, {}],
      [409, {}, { location: '/api/v1/log/entries/uuid' }],
      [200, V1],
    );
    expect((await enter()).logIndex).toBe('123456789');
    expect(seen.map(({ line }) => line)).toEqual([
      'POST /api/v1/log/entries',
      'POST /api/v1/log/entries',
      'GET /api/v1/log/entries/uuid',
    ]);
  });

  it.each([[409], [400], [500]])('that answers %d without a place is an error', async status => {
    const { enter } = await logOf(1, [status, { message: 'no' }]);
    expect((await failureOf(() => enter('', SHORT))).code).toBe('signing-failed');
  });
});
