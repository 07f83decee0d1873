import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import {
  AUTHORITY,
  certificateFor,
  chain,
  clock,
  entryOfVersion2,
  FULCIO,
  log,
  REKOR_1,
  REKOR_2,
  says,
  started,
} from './services-asked.ts';

describe('the answer of somebody else', () => {
  it('is found: a certificate for another key', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    const certificate = certificateFor(other.export({ format: 'pem', type: 'spki' }).toString());
    const { url, fail } = await started(FULCIO, (_, response) => sendJson(response, 201, chain(certificate)));
    const { code, message } = await fail();
    expect([code, message]).toEqual([
      'signing-failed',
      `The certificate authority Fulcio (${url}) certified another key than ours.`,
    ]);
  });

  it.each([
    ['no certificate', { signedCertificateEmbeddedSct: { chain: { certificates: [] } } }, /certificates/],
    ['one of another kind', { signedCertificateDetachedSct: {} }, /signedCertificateEmbeddedSct" is missing/],
    ['something else in its place', chain('none'), /gave no legible certificate: /],
  ])('is found: %s', async (_, answer, words) => {
    const { fail } = await started(FULCIO, (_body, response) => sendJson(response, 201, answer));
    const { code, message, hint } = await fail();
    expect(code).toBe('signing-failed');
    expect(message).toMatch(words);
    expect(hint).toContain('Re-run this job');
  });

  it.each([
    ['version 1', REKOR_1, (body: Buffer) => ({ uuid: log.enter(JSON.parse(withOtherSignature(body))) })],
    ['version 2', REKOR_2, () => entryOfVersion2(Buffer.from('another').toString('base64'))],
  ])('is found: the entry of another signature, in a log of %s', async (_, service, answer) => {
    const { url, fail } = await started(service, (body, response) => sendJson(response, 201, answer(body)));
    const { code, message } = await fail();
    expect([code, message]).toEqual([
      'signing-failed',
      `The transparency log Rekor (${url}) gave the entry of another signature.`,
    ]);
  });

  it('is found: the entry that another signature left, where the log says that ours is there', async () => {
    const elsewhere = says(409, '{}', { location: '/api/v1/log/entries/other' });
    const other = log.enter({ kind: 'hashedrekord', spec: ofNobody() });
    const { fail } = await started(REKOR_1, elsewhere, (_, response) => sendJson(response, 200, { other }));
    expect((await fail()).message).toContain('gave the entry of another signature');
  });

  it('is found: a time stamp over something else', async () => {
    const { url, fail } = await started(
      AUTHORITY,
      (_, response) => void response.writeHead(201).end(clock.stamp(Buffer.from('another signature'))),
    );
    const { code, message } = await fail();
    expect([code, message]).toEqual([
      'signing-failed',
      `The timestamp authority (${url}) stamped something else than our signature.`,
    ]);
  });

  it('is found: no time stamp, but a refusal', async () => {
    // TimeStampResp { PKIStatusInfo { status rejection } } of RFC 3161, section 2.4.2
    const { fail } = await started(AUTHORITY, says(200, '\x30\x05\x30\x03\x02\x01\x02'));
    expect((await fail()).message).toContain('granted no time stamp, but answered with the status 2');
  });
});

const ofNobody = () => ({
  data: { hash: { algorithm: 'sha256', value: '00' } },
  signature: { content: 'AAAA', publicKey: { content: 'AAAA' } },
});

function withOtherSignature(body: Buffer): string {
  const entry = JSON.parse(body.toString());
  const envelope = JSON.parse(entry.spec.proposedContent.envelope);
  envelope.signatures[0].sig = Buffer.from('another signature').toString('base64');
  entry.spec.proposedContent.envelope = JSON.stringify(envelope);
  return JSON.stringify(entry);
}
