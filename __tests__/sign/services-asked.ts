import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody, sendJson, serve } from '../../lab/parts/http.ts';
import { signWithSecret } from '../../lab/parts/jwt.ts';
import type { Transport, TransportOptions } from '../../src/http/transport.ts';
import { requestCertificate } from '../../src/sign/fulcio.ts';
import { fetchIdentityToken, type IdentityToken } from '../../src/sign/identity-token.ts';
import type { SignedContent } from '../../src/sign/log-entry.ts';
import { parsePublicKey } from '../../src/sign/public-key.ts';
import { logSignature } from '../../src/sign/rekor.ts';
import { requestTimestamp } from '../../src/sign/timestamp.ts';
import { CertificateAuthority } from '../servers/certification.ts';
import { failureOf, opened, SHORT, transport } from '../servers/clients.ts';
import { TransparencyLog } from '../servers/log.ts';
import { TimestampAuthority } from '../servers/timestamp-authority.ts';
import { pem } from '../servers/x509.ts';

export type Answer = (body: Buffer, response: ServerResponse, request: IncomingMessage) => void;

/** One of the services that a signature takes, and how it is asked. */
export interface Service {
  readonly name: string;
  readonly good: Answer;
  readonly ask: (url: string, by: Transport) => Promise<unknown>;
}

export const BEARER = 'b3arer-of-the-runner';
export const TOKEN = signWithSecret({ iss: 'https://issuer', sub: 'me' }, 'secret');
const IDENTITY: IdentityToken = {
  token: TOKEN,
  subject: 'me',
  issuer: 'https://issuer',
  workflowRef: undefined,
  sourceRepository: undefined,
  identity: undefined,
  received: performance.now(),
  lifetime: undefined,
};
const KEYS = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const SIGNATURE = Buffer.from('a signature');
const PEM = KEYS.publicKey.export({ format: 'pem', type: 'spki' }).toString();
const CONTENT: SignedContent = {
  payload: Buffer.from('{}'),
  payloadType: 'application/vnd.in-toto+json',
  signature: { bytes: SIGNATURE, by: { kind: 'key', key: parsePublicKey(PEM, 'the key') } },
};

const authority = new CertificateAuthority();
export const log = new TransparencyLog();
export const clock = new TimestampAuthority();

export const certificateFor = (publicKey: string) =>
  pem(
    authority.certify({
      publicKey: createPublicKey(publicKey),
      name: 'https://me',
      issuer: 'https://issuer',
    }),
  );

export const chain = (certificate: string) => ({
  signedCertificateEmbeddedSct: { chain: { certificates: [certificate] } },
});

export const entryOfVersion2 = (signature: string) => ({
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
  canonicalizedBody: Buffer.from(JSON.stringify({ signature })).toString('base64'),
});

export const ISSUER: Service = {
  name: 'The issuer of identity tokens',
  good: (_, response) => sendJson(response, 200, { value: TOKEN }),
  ask: (url, by) =>
    fetchIdentityToken({
      env: { ACTIONS_ID_TOKEN_REQUEST_URL: `${url}/token?v=2`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: BEARER },
      audience: 'sigstore',
      transport: by,
      onSecret: () => {},
    }),
};
export const FULCIO: Service = {
  name: 'The certificate authority Fulcio',
  good: (body, response) => {
    const { publicKeyRequest } = JSON.parse(body.toString());
    sendJson(response, 201, chain(certificateFor(publicKeyRequest.publicKey.content)));
  },
  ask: (url, by) => requestCertificate(new URL(url), IDENTITY, KEYS, by),
};
export const REKOR_1: Service = {
  name: 'The transparency log Rekor',
  good: (body, response) => sendJson(response, 201, { uuid: log.enter(JSON.parse(body.toString())) }),
  ask: (url, by) => logSignature({ url: new URL(url), version: 1 }, CONTENT, by),
};
export const REKOR_2: Service = {
  name: 'The transparency log Rekor',
  good: (body, response) => {
    const { signature } = JSON.parse(body.toString()).hashedRekordRequestV002;
    sendJson(response, 201, entryOfVersion2(signature.content));
  },
  ask: (url, by) => logSignature({ url: new URL(url), version: 2 }, CONTENT, by),
};
export const AUTHORITY: Service = {
  name: 'The timestamp authority',
  good: (body, response) => void response.writeHead(201).end(clock.answer(body)),
  ask: (url, by) => requestTimestamp(new URL(`${url}/api/v1/timestamp`), SIGNATURE, by),
};

/** A service behind a server that answers its n-th request by the n-th answer, and all later ones by the last. */
export async function started(service: Service, ...answers: Answer[]) {
  let asked = 0;
  const server = await opened(
    serve(async (request, response) => {
      const body = await readBody(request);
      const answer = answers[Math.min(asked++, answers.length - 1)];
      return answer?.(body, response, request);
    }),
  );
  const ask = (options: TransportOptions = {}) => service.ask(server.url, transport(options));
  const fail = (options: TransportOptions = {}) => failureOf(() => ask({ retry: SHORT, ...options }));
  return { url: server.url, ask, fail, asked: () => asked };
}

export const says =
  (status: number, text = '', headers = {}): Answer =>
  (_, response) =>
    void response.writeHead(status, headers).end(text);
