import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as send } from 'node:http';
import { dirname, join } from 'node:path';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import type { Contents, SeenRequest, TestRegistry } from '../../__tests__/servers/registry.ts';
import { startSigstore, type TestSigstore } from '../../__tests__/servers/sigstore.ts';
import { type ArtifactService, startArtifactService } from '../parts/artifact-service.ts';
import { type Endpoint, readBody, serve } from '../parts/http.ts';
import { type OidcIssuer, startOidcIssuer } from '../parts/oidc-issuer.ts';
import { startTokenService, type TokenService } from '../parts/token-service.ts';
import { Consumer } from './consumer.ts';
import type { RequestKind } from './fault.ts';
import { ForeignSigner } from './foreign-signatures.ts';
import { makeSigningKey, type SigningKey } from './key.ts';
import { SignatureJudge } from './signatures.ts';
import { Stranger } from './strangers.ts';
import { Weather } from './weather.ts';

export const USER = 'ci';
export const PASSWORD = 'chaos-password';

/** The services that all runs share, one after the other, with the weather of the day in front of each. */
export interface Services {
  readonly sky: Sky;
  readonly artifacts: ArtifactService;
  readonly issuer: OidcIssuer;
  readonly tokens: TokenService;
  readonly sigstore: TestSigstore;
  /** Addresses behind which the weather is. */
  readonly fronts: { readonly artifacts: string; readonly issuer: string; readonly tokens: string };
  /** What the inputs `trusted-root` and `signing-config` name. */
  readonly trust: {
    readonly root: string;
    readonly config: string;
    /** The same without the timestamp authority. */
    readonly configWithoutStamps: string;
  };
  readonly key: SigningKey;
  readonly stranger: Stranger;
  /** By the library. */
  readonly signatures: SignatureJudge;
  /** By cosign. */
  readonly consumer: Consumer;
  close(): Promise<void>;
}

/** The weather of the run that is under way. */
interface Sky {
  weather: Weather;
}

export async function startServices(): Promise<Services> {
  const sky: Sky = { weather: new Weather() };
  const rights = [{ repository: '*', actions: ['pull', 'push'] as const }];
  const [artifacts, issuer, tokens, sigstore] = await Promise.all([
    startArtifactService(),
    startOidcIssuer(),
    startTokenService({ users: { [USER]: { password: PASSWORD, rights } } }),
    startSigstore({ timestamps: true }),
  ]);
  const key = makeSigningKey();
  const fronts = await Promise.all([
    front(artifacts, 'artifacts', sky),
    front(issuer, 'issuer', sky),
    front(tokens, 'tokens', sky),
  ]);
  watchSigstore(sigstore, sky);
  const { root, config } = sigstore;
  const trust = {
    root: JSON.stringify(TrustedRoot.toJSON(root)),
    config: JSON.stringify(SigningConfig.toJSON(config)),
    configWithoutStamps: JSON.stringify(
      SigningConfig.toJSON({ ...config, tsaUrls: [], tsaConfig: undefined }),
    ),
  };
  const consumer = await openConsumer(trust.root, issuer, key);
  const all = [artifacts, issuer, tokens, sigstore, key, consumer, ...fronts];
  return {
    sky,
    artifacts,
    issuer,
    tokens,
    sigstore,
    fronts: { artifacts: fronts[0].url, issuer: fronts[1].url, tokens: fronts[2].url },
    trust,
    key,
    stranger: new Stranger(new ForeignSigner(sigstore, issuer.url)),
    signatures: new SignatureJudge({ root, issuer: issuer.url, key: key.publicKey }),
    consumer,
    close: async () => void (await Promise.all(all.map(service => service.close()))),
  };
}

async function openConsumer(root: string, issuer: OidcIssuer, key: SigningKey): Promise<Consumer> {
  const home = dirname(key.publicFile);
  const trustedRoot = join(home, 'trusted_root.json');
  writeFileSync(trustedRoot, root);
  return Consumer.open({ trustedRoot, issuer: issuer.url, publicKey: key.publicFile, home });
}

/** A server that lets a service answer, if the weather allows. */
function front(service: Endpoint, name: string, sky: Sky): Promise<Endpoint> {
  return serve(async (incoming, response) => {
    const { method = 'GET', url: path = '/', headers } = incoming;
    const body = await readBody(incoming);
    const passing = { service: name, kind: 'request' as const, method, path, headers, body };
    if (!(await sky.weather.meet(passing, response))) await forward(service, incoming, body, response);
  });
}

function forward(
  { port }: Endpoint,
  { method, url: path, headers }: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = send({ port, method, path, headers }, answer => {
      readBody(answer).then(read => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        response.end(read);
        resolve();
      }, reject);
    });
    outgoing.on('error', reject).end(body);
  });
}

function watchSigstore(sigstore: TestSigstore, sky: Sky): void {
  const { transparency } = sigstore;
  const watch = (path: string, service: string): void =>
    sigstore.on(path, async (_, response, body) => {
      const method = body.length === 0 ? 'GET' : 'POST';
      const passing = { service, kind: 'request' as const, method, path, headers: {}, body, transparency };
      const answered = await sky.weather.meet(passing, response);
      // The server only looks whether there is an answer: a broken connection must not let it act.
      if (answered && !response.headersSent) throw new Error('the connection is gone');
    });
  watch('/api/v2/signingCert', 'fulcio');
  watch('/api/v1/log/entries*', 'rekor');
  watch('/api/v1/timestamp', 'tsa');
}

export function watchRegistry(
  registry: TestRegistry,
  name: string,
  { sky, stranger }: Pick<Services, 'sky' | 'stranger'>,
): void {
  registry.on({
    answer: async (request, response) => {
      await sky.weather.meet(
        {
          ...describe(request, path => registry.repository(path)),
          service: name,
          revoke: token => registry.revoked.add(token),
          stranger,
        },
        response,
      );
    },
  });
}

function describe(request: SeenRequest, find: (path: string) => Contents) {
  const { method, path, headers, body } = request;
  const match = /^\/v2\/(.+)\/(manifests|blobs|referrers)\/([^?]*)/.exec(path);
  const [, name, area = '', reference = ''] = match ?? [];
  return {
    kind: kindOf(method, area, reference),
    method,
    path,
    headers,
    body,
    reference,
    repository: name === undefined ? undefined : find(name),
  };
}

function kindOf(method: string, area: string, reference: string): RequestKind {
  const doing = method === 'GET' || method === 'HEAD' ? 'read' : 'write';
  if (area === 'referrers') return 'listing';
  if (area === 'blobs') {
    if (method === 'POST') return 'upload start';
    if (method === 'HEAD') return 'blob look';
    return doing === 'read' ? 'blob read' : 'upload';
  }
  if (area !== 'manifests') return 'request';
  if (reference.startsWith('sha256:')) return `manifest ${doing}`;
  if (!reference.startsWith('sha256-')) return `tag ${doing}`;
  return reference.endsWith('.sig') ? `signatures ${doing}` : `fallback ${doing}`;
}
