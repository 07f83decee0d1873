import { createPublicKey, createVerify } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import { type Endpoint, readBody, sendJson, serve } from '../../lab/parts/http.ts';
import { readClaims } from '../../lab/parts/jwt.ts';
import { CertificateAuthority } from './certification.ts';
import { type LoggedEntry, type LogKey, type ProposedEntry, sha256, TransparencyLog } from './log.ts';
import { TimestampAuthority } from './timestamp-authority.ts';
import { pem } from './x509.ts';

/** @param body what came as JSON, and the same as bytes: what is no JSON comes as these alone */
export type Answer = (
  body: Record<string, never>,
  response: ServerResponse,
  bytes: Buffer,
) => void | Promise<void>;

export interface SigstoreOptions {
  /** The signing config names the timestamp authority, too; the trusted root always does. */
  readonly timestamps?: boolean;
}

/** The parts of a Sigstore, to have anything made that its services would not make. */
export interface SigstoreParts {
  readonly authority: CertificateAuthority;
  readonly transparency: TransparencyLog;
  readonly clock: TimestampAuthority;
}

/** A Sigstore in one process: Fulcio, a certificate log, Rekor v1 and a timestamp authority, whose words really verify. */
export interface TestSigstore extends Endpoint, SigstoreParts {
  readonly root: TrustedRoot;
  readonly config: SigningConfig;
  /** Requests so far, by path. */
  readonly log: string[];
  /** Answers the next requests to a path, or to all that begin with it and a star, by hand; else the service does. */
  on(path: string, answer: Answer, times?: number): void;
}

const TIMESTAMP_PATH = '/api/v1/timestamp';
const ENTRIES_PATH = '/api/v1/log/entries';

export async function startSigstore(options: SigstoreOptions = {}): Promise<TestSigstore> {
  const core = new Sigstore();
  const endpoint = await serve((request, response) => core.answer(request, response));
  core.transparency.host = `127.0.0.1:${endpoint.port}`;
  const validFor = { start: '2020-01-01T00:00:00Z' };
  const service = { majorApiVersion: 1, validFor, operator: 'test' };
  const stamps = {
    tsaUrls: [{ ...service, url: `${endpoint.url}${TIMESTAMP_PATH}` }],
    tsaConfig: { selector: 'ANY' },
  };
  const config = SigningConfig.fromJSON({
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    caUrls: [{ ...service, url: endpoint.url }],
    rekorTlogUrls: [{ ...service, url: endpoint.url }],
    rekorTlogConfig: { selector: 'ANY' },
    ...(options.timestamps === true ? stamps : {}),
  });
  const on = (path: string, answer: Answer, times = Number.POSITIVE_INFINITY): void =>
    void core.rules.push({ path, answer, left: times });
  const { authority, transparency, clock, log } = core;
  const root = trustedRoot(core, endpoint.url);
  return { ...endpoint, root, config, authority, transparency, clock, log, on };
}

/** Whom to believe of these parts, which are said to be found at an address. */
export function trustedRoot({ authority, transparency, clock }: SigstoreParts, url: string): TrustedRoot {
  const validFor = { start: '2020-01-01T00:00:00Z' };
  const log = ({ spki, id }: LogKey) => ({
    baseUrl: url,
    hashAlgorithm: 'SHA2_256',
    publicKey: { rawBytes: spki.toString('base64'), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor },
    logId: { keyId: id.toString('base64') },
  });
  const chain = (certificates: readonly Buffer[]) => ({
    uri: url,
    certChain: { certificates: certificates.map(bytes => ({ rawBytes: bytes.toString('base64') })) },
    validFor,
  });
  return TrustedRoot.fromJSON({
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    certificateAuthorities: [chain([authority.root.certificate])],
    tlogs: [log(transparency.key)],
    ctlogs: [log(authority.log)],
    timestampAuthorities: [chain(clock.chain)],
  });
}

function isNamed(path: string, rule: string): boolean {
  return rule.endsWith('*') ? path.startsWith(rule.slice(0, -1)) : path === rule;
}

class Sigstore implements SigstoreParts {
  readonly log: string[] = [];
  readonly rules: { path: string; answer: Answer; left: number }[] = [];
  readonly authority = new CertificateAuthority();
  readonly transparency = new TransparencyLog();
  readonly clock = new TimestampAuthority();
  readonly #entries = new Map<string, LoggedEntry>();

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    this.log.push(path);
    const bytes = await readBody(request);
    const body = path === TIMESTAMP_PATH ? {} : JSON.parse(bytes.toString() || '{}');
    for (const rule of this.rules) {
      if (!isNamed(path, rule.path) || rule.left < 1) continue;
      rule.left--;
      await rule.answer(body, response, bytes);
      if (response.headersSent) return;
    }
    if (path === '/api/v2/signingCert') this.#certify(body, response);
    else if (path === ENTRIES_PATH) this.#enter(body, response);
    else if (path.startsWith(`${ENTRIES_PATH}/`)) this.#find(path, response);
    else if (path === TIMESTAMP_PATH) this.#stamp(bytes, response);
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
    const name = `https://github.com/${claims.job_workflow_ref}`;
    const certificate = this.authority.certify({ publicKey, name, issuer: String(claims.iss) });
    const chain = { certificates: [pem(certificate)] };
    sendJson(response, 200, { signedCertificateEmbeddedSct: { chain } });
  }

  /** What is in the log already is not entered again: it is said where it is (rekor/openapi.yaml, createLogEntry). */
  #enter(body: ProposedEntry, response: ServerResponse): void {
    const uuid = sha256(Buffer.from(JSON.stringify(body))).toString('hex');
    if (this.#entries.has(uuid)) {
      const message = `an equivalent entry already exists in the transparency log with UUID ${uuid}`;
      sendJson(response, 409, { code: 409, message }, { location: `${ENTRIES_PATH}/${uuid}` });
      return;
    }
    const entry = this.transparency.enter(body);
    this.#entries.set(uuid, entry);
    sendJson(response, 201, { [uuid]: entry });
  }

  #find(path: string, response: ServerResponse): void {
    const uuid = path.slice(ENTRIES_PATH.length + 1);
    const entry = this.#entries.get(uuid);
    if (entry === undefined) sendJson(response, 404, { code: 404, message: 'entry not found' });
    else sendJson(response, 200, { [uuid]: entry });
  }

  #stamp(request: Buffer, response: ServerResponse): void {
    const headers = { 'content-type': 'application/timestamp-reply' };
    response.writeHead(201, headers).end(this.clock.answer(request));
  }
}

interface FulcioRequest {
  readonly credentials: { readonly oidcIdentityToken: string };
  readonly publicKeyRequest: {
    readonly publicKey: { readonly content: string };
    readonly proofOfPossession: string;
  };
}
