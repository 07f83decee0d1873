import { describe, expect, it } from 'vitest';
import { readBody, sendJson, serve } from '../../lab/parts/http.ts';
import { SignatureMaker } from '../../src/sign/maker.ts';
import { failureOf, opened, transport } from '../servers/clients.ts';
import { newKeySigner } from '../servers/key.ts';
import { DIGEST } from '../servers/keyless.ts';

const ENTRY = {
  logIndex: '7',
  logId: { keyId: 'AAAA' },
  kindVersion: { kind: 'hashedrekord', version: '0.0.2' },
  inclusionProof: {
    logIndex: '7',
    rootHash: 'AAAA',
    treeSize: '8',
    hashes: [],
    checkpoint: { envelope: 'note' },
  },
};

const bodyWith = (signature: string | undefined) =>
  Buffer.from(JSON.stringify({ signature })).toString('base64');

/** A log of version 2 that has got so many signatures already, although nobody heard of it. */
async function logThatKnows(known: number) {
  const signatures: string[] = [];
  const log = await opened(
    serve(async (request, response) => {
      const body = JSON.parse((await readBody(request)).toString());
      signatures.push(body.hashedRekordRequestV002.signature.content);
      if (signatures.length <= known)
        sendJson(response, 409, { message: 'an equivalent entry already exists' });
      else sendJson(response, 201, { ...ENTRY, canonicalizedBody: bodyWith(signatures.at(-1)) });
    }),
  );
  const witnesses = { logs: [{ url: new URL(log.url), version: 2 as const }], timestampAuthorities: [] };
  const maker = new SignatureMaker({
    signer: newKeySigner(),
    witnessesOf: () => witnesses,
    annotations: {},
    transport: transport(),
  });
  return { signatures, maker };
}

describe('a signature that a log of version 2 has already, and whose entry got lost', () => {
  it('gives place to another one, whose entry comes', async () => {
    const { signatures, maker } = await logThatKnows(1);
    const bundle = JSON.parse((await maker.bundle(DIGEST)).toString());
    expect(new Set(signatures).size).toBe(2);
    expect(bundle.dsseEnvelope.signatures[0].sig).toBe(signatures[1]);
  });

  it('again and again is an error with the words of the log', async () => {
    const { signatures, maker } = await logThatKnows(Number.POSITIVE_INFINITY);
    const error = await failureOf(() => maker.bundle(DIGEST));
    expect(error.code).toBe('signing-failed');
    expect(error.message).toContain('an equivalent entry already exists');
    expect(error.hint).toContain('No tag was moved');
    expect(new Set(signatures).size).toBe(5);
  });
});
