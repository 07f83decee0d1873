import { createHash, createPublicKey, createVerify, type KeyObject, sign } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import { type Endpoint, readBody, sendJson, serve } from '../../lab/parts/http.ts';
import { readClaims } from '../../lab/parts/jwt.ts';
import { octets, oid, sequence, text } from './der.ts';
import {
  alternativeName,
  extension,
  type Identity,
  newAuthority,
  newKeys,
  newSerial,
  signCertificate,
  toBeSigned,
} from './x509.ts';

export type Answer = (body: Record<string, never>, response: ServerResponse) => void | Promise<void>;

/** A Sigstore in one process: Fulcio, a certificate log and Rekor v1, whose signatures really verify. */
export interface TestSigstore extends Endpoint {
  readonly root: TrustedRoot;
  readonly config: SigningConfig;
  /** Requests so far, by path. */
  readonly log: string[];
  /** Answers the next requests to a path by hand; where it does not answer, the service does. */
  on(path: string, answer: Answer, times?: number): void;
}

const ISSUER = '1.3.6.1.4.1.57264.1.8';
const SCT_LIST = '1.3.6.1.4.1.11129.2.4.2';

export async function startSigstore(): Promise<TestSigstore> {
  const core = new Sigstore();
  const endpoint = await serve((request, response) => core.answer(request, response));
  core.host = `127.0.0.1:${endpoint.port}`;
  const validFor = { start: '2020-01-01T00:00:00Z' };
  const service = { majorApiVersion: 1, validFor, operator: 'test' };
  const config = SigningConfig.fromJSON({
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    caUrls: [{ ...service, url: endpoint.url }],
    rekorTlogUrls: [{ ...service, url: endpoint.url }],
    rekorTlogConfig: { selector: 'ANY' },
  });
  const on = (path: string, answer: Answer, times = Number.POSITIVE_INFINITY): void =>
    void core.rules.push({ path, answer, left: times });
  return {
    ...endpoint,
    root: TrustedRoot.fromJSON(core.trustedRoot(endpoint.url)),
    config,
    log: core.log,
    on,
  };
}

interface Log {
  readonly privateKey: KeyObject;
  readonly spki: Buffer;
  readonly id: Buffer;
}

function newLog(): Log {
  const { privateKey, publicKey } = newKeys();
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { privateKey, spki, id: sha256(spki) };
}

class Sigstore {
  host = '';
  readonly log: string[] = [];
  readonly rules: { path: string; answer: Answer; left: number }[] = [];
  readonly #authority: Identity = newAuthority('test authority');
  readonly #certificates = newLog();
  readonly #signatures = newLog();
  #entries = 0;

  trustedRoot(url: string): unknown {
    const validFor = { start: '2020-01-01T00:00:00Z' };
    const log = ({ spki, id }: Log) => ({
      baseUrl: url,
      hashAlgorithm: 'SHA2_256',
      publicKey: { rawBytes: spki.toString('base64'), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor },
      logId: { keyId: id.toString('base64') },
    });
    const certificates = [{ rawBytes: this.#authority.certificate.toString('base64') }];
    return {
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      certificateAuthorities: [{ uri: url, certChain: { certificates }, validFor }],
      tlogs: [log(this.#signatures)],
      ctlogs: [log(this.#certificates)],
      timestampAuthorities: [],
    };
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    this.log.push(path);
    const body = JSON.parse((await readBody(request)).toString() || '{}');
    for (const rule of this.rules) {
      if (rule.path !== path || rule.left < 1) continue;
      rule.left--;
      await rule.answer(body, response);
      if (response.headersSent) return;
    }
    if (path === '/api/v2/signingCert') this.#certify(body, response);
    else if (path === '/api/v1/log/entries') this.#enter(body, response);
    else sendJson(response, 404, { message: 'not found' });
  }

  #certify(body: FulcioRequest, response: ServerResponse): void {
    const claims = readClaims(body.credentials.oidcIdentityToken);
    const { content } = body.publicKeyRequest.publicKey;
    const proof = Buffer.from(body.publicKeyRequest.proofOfPossession, 'base64');
    const publicKey = createPublicKey(content);
    if (!createVerify('sha256').update(String(claims.sub)).verify(publicKey, proof)) {
      sendJson(response, 400, { code: 3, message: 'the proof of possession is not valid' });
      return;
    }
    const extensions = [
      alternativeName({ uri: `https://github.com/${claims.job_workflow_ref}` }),
      extension(ISSUER, text(String(claims.iss))),
      extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.3'))),
    ];
    const certificate = this.#issue(publicKey, extensions);
    const pem = `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64')}\n-----END CERTIFICATE-----\n`;
    sendJson(response, 200, { signedCertificateEmbeddedSct: { chain: { certificates: [pem] } } });
  }

  /** The certificate log signs what is certified before its own word is put in (RFC 6962, section 3.2). */
  #issue(publicKey: KeyObject, extensions: Buffer[]): Buffer {
    const serial = newSerial();
    const notBefore = new Date();
    const notAfter = new Date(Date.now() + 600_000);
    const options = { name: '', publicKey, issuer: this.#authority, extensions, notBefore, notAfter };
    const time = uint(Date.now(), 8);
    const issuer = sha256(this.#authority.publicKey.export({ type: 'spki', format: 'der' }));
    const tbs = toBeSigned(options, serial);
    const signed = Buffer.concat([
      uint(0, 2),
      time,
      uint(1, 2),
      issuer,
      uint(tbs.length, 3),
      tbs,
      uint(0, 2),
    ]);
    const signature = sign('sha256', signed, this.#certificates.privateKey);
    const sct = Buffer.concat([
      uint(0, 1),
      this.#certificates.id,
      time,
      uint(0, 2),
      Buffer.from([4, 3]),
      uint(signature.length, 2),
      signature,
    ]);
    const list = Buffer.concat([uint(sct.length + 2, 2), uint(sct.length, 2), sct]);
    return signCertificate(
      toBeSigned(options, serial, [...extensions, extension(SCT_LIST, octets(list))]),
      this.#authority.privateKey,
    );
  }

  #enter(body: RekorRequest, response: ServerResponse): void {
    const { envelope, verifiers } = body.spec.proposedContent;
    const { payload, signatures } = JSON.parse(envelope) as Envelope;
    const content = {
      apiVersion: '0.0.1',
      kind: 'dsse',
      spec: {
        envelopeHash: { algorithm: 'sha256', value: sha256(Buffer.from(envelope)).toString('hex') },
        payloadHash: { algorithm: 'sha256', value: sha256(Buffer.from(payload, 'base64')).toString('hex') },
        signatures: signatures.map(({ sig }) => ({ signature: sig, verifier: verifiers[0] })),
      },
    };
    const canonical = Buffer.from(JSON.stringify(content));
    const logIndex = this.#entries++;
    const entry = {
      body: canonical.toString('base64'),
      integratedTime: Math.floor(Date.now() / 1000) + 1,
      logID: this.#signatures.id.toString('hex'),
      logIndex,
    };
    const promise = sign('sha256', Buffer.from(JSON.stringify(entry)), this.#signatures.privateKey);
    const verification = {
      signedEntryTimestamp: promise.toString('base64'),
      inclusionProof: this.#proof(canonical),
    };
    sendJson(response, 201, { [`uuid${logIndex}`]: { ...entry, verification } });
  }

  /** Every entry stands alone in a tree of its own: what is proved is that the parts fit, not how trees grow. */
  #proof(content: Buffer): object {
    const root = sha256(Buffer.concat([Buffer.from([0]), content]));
    const note = `${this.host}\n1\n${root.toString('base64')}\n`;
    const signature = sign('sha256', Buffer.from(note), this.#signatures.privateKey);
    const line = Buffer.concat([this.#signatures.id.subarray(0, 4), signature]).toString('base64');
    const checkpoint = `${note}\n— ${this.host} ${line}\n`;
    return { logIndex: 0, rootHash: root.toString('hex'), treeSize: 1, hashes: [], checkpoint };
  }
}

interface FulcioRequest {
  readonly credentials: { readonly oidcIdentityToken: string };
  readonly publicKeyRequest: {
    readonly publicKey: { readonly content: string };
    readonly proofOfPossession: string;
  };
}

interface RekorRequest {
  readonly spec: {
    readonly proposedContent: { readonly envelope: string; readonly verifiers: readonly string[] };
  };
}

interface Envelope {
  readonly payload: string;
  readonly signatures: readonly { readonly sig: string }[];
}

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

/** Big-endian, of so many bytes. */
function uint(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer.subarray(8 - bytes);
}
