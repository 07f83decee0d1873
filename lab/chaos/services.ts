import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as send } from 'node:http';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import type { Contents, SeenRequest, TestRegistry } from '../../__tests__/servers/registry.ts';
import { startSigstore, type TestSigstore } from '../../__tests__/servers/sigstore.ts';
import { type ArtifactService, startArtifactService } from '../parts/artifact-service.ts';
import { type Endpoint, readBody, serve } from '../parts/http.ts';
import { type OidcIssuer, startOidcIssuer } from '../parts/oidc-issuer.ts';
import { startTokenService, type TokenService } from '../parts/token-service.ts';
import type { RequestKind } from './fault.ts';
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
  readonly trust: { readonly root: string; readonly config: string };
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
    startSigstore(),
  ]);
  const fronts = await Promise.all([
    front(artifacts, 'artifacts', sky),
    front(issuer, 'issuer', sky),
    front(tokens, 'tokens', sky),
  ]);
  watchSigstore(sigstore, sky);
  const all = [artifacts, issuer, tokens, sigstore, ...fronts];
  return {
    sky,
    artifacts,
    issuer,
    tokens,
    sigstore,
    fronts: { artifacts: fronts[0].url, issuer: fronts[1].url, tokens: fronts[2].url },
    trust: {
      root: JSON.stringify(TrustedRoot.toJSON(sigstore.root)),
      config: JSON.stringify(SigningConfig.toJSON(sigstore.config)),
    },
    close: async () => void (await Promise.all(all.map(service => service.close()))),
  };
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

const REKOR = '/api/v1/log/entries';

function watchSigstore(sigstore: TestSigstore, sky: Sky): void {
  const watch = (path: string, service: string): void =>
    sigstore.on(path, async (body, response) => {
      const method = path.endsWith('/logged') ? 'GET' : 'POST';
      const bytes = Buffer.from(JSON.stringify(body));
      const passing = { service, kind: 'request' as const, method, path, headers: {}, body: bytes };
      const answered = await sky.weather.meet(passing, response);
      // The server only looks whether there is an answer: a broken connection must not let it act.
      if (answered && !response.headersSent) throw new Error('the connection is gone');
    });
  watch('/api/v2/signingCert', 'fulcio');
  watch(REKOR, 'rekor');
  watch(`${REKOR}/logged`, 'rekor');
}

export function watchRegistry(registry: TestRegistry, name: string, sky: Sky): void {
  registry.on({
    answer: async (request, response) => {
      await sky.weather.meet(
        {
          ...describe(request, path => registry.repository(path)),
          service: name,
          revoke: token => registry.revoked.add(token),
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
  return reference.startsWith('sha256-') ? `fallback ${doing}` : `tag ${doing}`;
}
