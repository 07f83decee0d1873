import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readBody, sendJson, serve } from '../../lab/parts/http.ts';
import type { SignedContent } from '../../src/sign/log-entry.ts';
import { parsePublicKey } from '../../src/sign/public-key.ts';
import { logSignature, requireLoggable } from '../../src/sign/rekor.ts';
import { FAST, failureOf, opened, SHORT, transport } from '../servers/clients.ts';
import { newAuthority } from '../servers/x509.ts';

const AUTHORITY = newAuthority('test');
const CERTIFICATE = new X509Certificate(AUTHORITY.certificate);
const SIGNATURE = Buffer.from('a signature');
/** Of an entry, as far as a client looks into it. */
const BODY = Buffer.from(`{"signature":"${SIGNATURE.toString('base64')}"}`).toString('base64');
const ENVELOPE = {
  payloadType: 'application/vnd.in-toto+json',
  payload: Buffer.from('{"größe":1}'),
  signature: { bytes: SIGNATURE, by: { kind: 'certificate' as const, certificate: CERTIFICATE, chain: [] } },
};

/** The same payload, signed by a key, and not in an envelope. */
function byKey(type: 'ec' | 'rsa' | 'ed25519', options: object): SignedContent {
  const { publicKey } = generateKeyPairSync(type as 'ec', options as { namedCurve: string });
  const key = parsePublicKey(publicKey.export({ format: 'pem', type: 'spki' }).toString(), 'the key');
  return { ...ENVELOPE, payloadType: undefined, signature: { bytes: SIGNATURE, by: { kind: 'key', key } } };
}
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
  canonicalizedBody: BODY,
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
  const enter = (path = '', retry = FAST, content: SignedContent = ENVELOPE) =>
    logSignature({ url: new URL(`${server.url}${path}`), version }, content, transport({ retry }));
  return { seen, enter };
}

const V1 = {
  uuid: {
    body: BODY,
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
          content: SIGNATURE.toString('base64'),
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

  it.each([['ec', { namedCurve: 'P-256' }, 'PKIX_ECDSA_P256_SHA_256']] as const)(
    'gets the hash of a bare payload, and the key, of kind %s',
    async (type, options, keyDetails) => {
      const { seen, enter } = await logOf(2, [201, ENTRY]);
      const content = byKey(type, options);
      await enter('', FAST, content);
      const { by } = content.signature;
      const rawBytes = by.kind === 'key' ? by.key.key.export({ format: 'der', type: 'spki' }) : undefined;
      expect(JSON.parse(seen[0]?.body ?? '').hashedRekordRequestV002).toEqual({
        digest: createHash('sha256').update(ENVELOPE.payload).digest('base64'),
        signature: {
          content: SIGNATURE.toString('base64'),
          verifier: { keyDetails, publicKey: { rawBytes: rawBytes?.toString('base64') } },
        },
      });
    },
  );

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
      signatures: [{ sig: SIGNATURE.toString('base64') }],
    });
    const [verifier] = spec.proposedContent.verifiers;
    expect(new X509Certificate(Buffer.from(verifier, 'base64')).raw).toEqual(AUTHORITY.certificate);
  });

  it('gets the hash of a bare payload, and the key', async () => {
    const { seen, enter } = await logOf(1, [201, V1]);
    const content = byKey('ec', { namedCurve: 'P-256' });
    const entry = await enter('', FAST, content);
    const { by } = content.signature;
    const pem = by.kind === 'key' ? by.key.key.export({ format: 'pem', type: 'spki' }) : '';
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({
      apiVersion: '0.0.1',
      kind: 'hashedrekord',
      spec: {
        data: {
          hash: { algorithm: 'sha256', value: createHash('sha256').update(ENVELOPE.payload).digest('hex') },
        },
        signature: {
          content: SIGNATURE.toString('base64'),
          publicKey: { content: Buffer.from(pem).toString('base64') },
        },
      },
    });
    expect(entry.kindVersion).toEqual({ kind: 'hashedrekord', version: '0.0.1' });
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

describe('a key', () => {
  const P256 = ['ec', { namedCurve: 'P-256' }] as const;
  const RSA = ['rsa', { modulusLength: 3072 }] as const;
  const ED25519 = ['ed25519', {}] as const;

  it.each([
    [P256, 1, 'bundle'],
    [P256, 1, 'legacy'],
    [P256, 2, 'bundle'],
    [RSA, 1, 'bundle'],
    [RSA, 1, 'legacy'],
    [ED25519, 1, 'bundle'],
  ] as const)('%j goes with a log of version %d and the format %s', ([type, options], version, format) => {
    const { by } = byKey(type, options).signature;
    if (by.kind === 'key') requireLoggable(by.key.key, { url: new URL('http://log'), version }, format);
  });

  it.each([
    [RSA, 2, 'bundle', 'rsa 3072'],
    [['ec', { namedCurve: 'P-384' }], 2, 'bundle', 'ec secp384r1'],
    [ED25519, 2, 'bundle', 'ed25519'],
    [ED25519, 1, 'legacy', 'ed25519'],
  ] as const)('%j does not go with version %d and %s', async ([type, options], version, format, kind) => {
    const { by } = byKey(type, options).signature;
    if (by.kind !== 'key') throw new Error('no key');
    const log = { url: new URL('http://log'), version };
    const error = await failureOf(() => requireLoggable(by.key.key, log, format));
    expect(error.code).toBe('key-unusable');
    expect(error.message).toContain(kind);
    expect(error.hint).toContain('P-256');
  });
});
