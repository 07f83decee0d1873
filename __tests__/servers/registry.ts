import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Endpoint, readBody, sendJson, serve } from '../../lab/parts/http.ts';
import { readClaims } from '../../lab/parts/jwt.ts';

/** One request as it came, and what was answered. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  status: number | undefined;
}

export interface StoredManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
}

/** What one repository holds; tests may look into it and change it. */
export interface Contents {
  readonly manifests: Map<string, StoredManifest>;
  readonly tags: Map<string, string>;
  readonly blobs: Map<string, Buffer>;
  readonly uploads: Set<string>;
}

export type Answer = (request: SeenRequest, response: ServerResponse) => void | Promise<void>;

export interface Rule {
  readonly method?: string;
  readonly path?: RegExp;
  /** How many of the matching requests, from the first; all without it. */
  readonly times?: number;
  /** Answers instead of the registry; one that does not answer only watches. */
  readonly answer: Answer;
}

export interface RegistryOptions {
  /** "api" lists referrers, with so many a page; "subject-only" says that it does, and does not. */
  readonly referrers?: 'none' | 'api' | 'subject-only';
  readonly pageSize?: number;
  readonly bearer?: { readonly realm: string; readonly service: string };
  readonly basic?: Readonly<Record<string, string>>;
  /** Location of an upload session; the default is relative. */
  readonly location?: (path: string, request: SeenRequest) => string;
}

export interface TestRegistry extends Endpoint {
  /** `127.0.0.1:PORT`, as an image name begins with it. */
  readonly host: string;
  readonly log: SeenRequest[];
  repository(name: string): Contents;
  on(rule: Rule): void;
  count(method: string, path: RegExp): number;
  /** Tokens that the registry does not take any more. */
  readonly revoked: Set<string>;
}

/** The OCI distribution specification 1.1 in memory, as far as clients here use it. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const core = new Registry(options);
  const endpoint = await serve((request, response) => core.answer(request, response));
  return {
    ...endpoint,
    host: `127.0.0.1:${endpoint.port}`,
    log: core.log,
    revoked: core.revoked,
    repository: name => core.repository(name),
    on: rule => core.rules.push({ rule, left: rule.times ?? Number.POSITIVE_INFINITY }),
    count: (method, path) => core.log.filter(seen => seen.method === method && path.test(seen.path)).length,
  };
}

export const sha256 = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const refuse = (response: ServerResponse, status: number, code: string, message = code): void =>
  sendJson(response, status, { errors: [{ code, message }] });

class Registry {
  readonly log: SeenRequest[] = [];
  readonly revoked = new Set<string>();
  readonly rules: { rule: Rule; left: number }[] = [];
  readonly #repositories = new Map<string, Contents>();
  readonly #options: RegistryOptions;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  repository(name: string): Contents {
    const empty = { manifests: new Map(), tags: new Map(), blobs: new Map(), uploads: new Set<string>() };
    const found = this.#repositories.get(name) ?? empty;
    this.#repositories.set(name, found);
    return found;
  }

  async answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = incoming;
    const seen: SeenRequest = { method, path, headers, body: await readBody(incoming), status: undefined };
    this.log.push(seen);
    response.once('finish', () => {
      seen.status = response.statusCode;
    });
    for (const entry of this.rules) {
      const { rule } = entry;
      if (entry.left < 1 || (rule.method ?? method) !== method || rule.path?.test(path) === false) continue;
      entry.left--;
      await rule.answer(seen, response);
      if (response.headersSent || response.destroyed) return;
    }
    this.#route(seen, response);
  }

  #route(seen: SeenRequest, response: ServerResponse): void {
    const url = new URL(seen.path, 'http://registry');
    const match = /^\/v2\/(.+)\/(manifests|blobs|referrers)\/(.*)$/.exec(url.pathname);
    if (match === null) return refuse(response, 404, 'UNSUPPORTED');
    const [, name = '', kind = '', reference = ''] = match;
    if (!this.#allowed(seen, name)) return this.#challenge(response, name);
    const contents = this.repository(name);
    if (kind === 'manifests') return this.#manifest(contents, seen, response, reference);
    if (kind === 'referrers') return this.#referrers(contents, response, reference, url);
    return this.#blob(contents, seen, response, reference, url);
  }

  #allowed(seen: SeenRequest, name: string): boolean {
    const { basic, bearer } = this.#options;
    const [scheme = '', value = ''] = (seen.headers.authorization ?? '').split(' ');
    if (basic !== undefined) {
      const [user = '', ...password] = Buffer.from(value, 'base64').toString().split(':');
      return scheme === 'Basic' && basic[user] === password.join(':');
    }
    if (bearer === undefined) return true;
    if (scheme !== 'Bearer' || this.revoked.has(value)) return false;
    const { exp, access } = readClaims(value) as {
      exp: number;
      access: { name: string; actions: string[] }[];
    };
    const wanted = seen.method === 'GET' || seen.method === 'HEAD' ? 'pull' : 'push';
    return (
      exp * 1000 > Date.now() && access.some(entry => entry.name === name && entry.actions.includes(wanted))
    );
  }

  #challenge(response: ServerResponse, name: string): void {
    const { bearer } = this.#options;
    const scope = `repository:${name}:pull`;
    const challenge = bearer
      ? `Bearer realm="${bearer.realm}",service="${bearer.service}",scope="${scope}"`
      : 'Basic realm="test"';
    response.setHeader('www-authenticate', challenge);
    refuse(response, 401, 'UNAUTHORIZED', 'authentication required');
  }

  #manifest(contents: Contents, seen: SeenRequest, response: ServerResponse, reference: string): void {
    if (seen.method === 'PUT') return this.#putManifest(contents, seen, response, reference);
    const digest = contents.tags.get(reference) ?? reference;
    const found = contents.manifests.get(digest);
    if (found === undefined) return refuse(response, 404, 'MANIFEST_UNKNOWN');
    const { bytes, mediaType } = found;
    response.writeHead(200, {
      'content-type': mediaType,
      'content-length': bytes.length,
      'docker-content-digest': digest,
    });
    response.end(seen.method === 'HEAD' ? undefined : bytes);
  }

  #putManifest(contents: Contents, seen: SeenRequest, response: ServerResponse, reference: string): void {
    const digest = sha256(seen.body);
    if (reference.startsWith('sha256:') && reference !== digest)
      return refuse(response, 400, 'DIGEST_INVALID');
    const document = JSON.parse(seen.body.toString());
    const blobs: { digest: string }[] = [document.config, ...(document.layers ?? [])].filter(Boolean);
    const children: { digest: string }[] = document.manifests ?? [];
    const known = blobs.every(blob => contents.blobs.has(blob.digest));
    if (!known || !children.every(child => contents.manifests.has(child.digest))) {
      return refuse(response, 404, 'MANIFEST_BLOB_UNKNOWN');
    }
    contents.manifests.set(digest, { bytes: seen.body, mediaType: seen.headers['content-type'] ?? '' });
    if (reference !== digest) contents.tags.set(reference, digest);
    const subject =
      this.#options.referrers === undefined || this.#options.referrers === 'none'
        ? undefined
        : document.subject;
    response.writeHead(201, {
      'docker-content-digest': digest,
      ...(subject === undefined ? {} : { 'oci-subject': subject.digest }),
    });
    response.end();
  }

  #referrers(contents: Contents, response: ServerResponse, subject: string, url: URL): void {
    if (this.#options.referrers !== 'api') return refuse(response, 404, 'NOT_FOUND', 'page not found');
    const all = [...contents.manifests].flatMap(([digest, { bytes, mediaType }]) => {
      const document = JSON.parse(bytes.toString());
      if (document.subject?.digest !== subject) return [];
      const { artifactType = document.config?.mediaType, annotations } = document;
      return [{ mediaType, digest, size: bytes.length, artifactType, annotations }];
    });
    const { pageSize = all.length + 1 } = this.#options;
    const first = Number(url.searchParams.get('from') ?? 0);
    if (first + pageSize < all.length) {
      response.setHeader('link', `<${url.pathname}?from=${first + pageSize}>; rel="next"`);
    }
    const manifests = all.slice(first, first + pageSize);
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    sendJson(response, 200, { schemaVersion: 2, mediaType, manifests }, { 'content-type': mediaType });
  }

  #blob(contents: Contents, seen: SeenRequest, response: ServerResponse, reference: string, url: URL): void {
    if (seen.method === 'POST') return this.#startUpload(contents, seen, response, url);
    if (seen.method === 'PUT') return this.#finishUpload(contents, seen, response, url);
    const bytes = contents.blobs.get(reference);
    if (bytes === undefined) return refuse(response, 404, 'BLOB_UNKNOWN');
    response.writeHead(200, { 'content-length': bytes.length, 'docker-content-digest': reference });
    response.end(seen.method === 'HEAD' ? undefined : bytes);
  }

  #startUpload(contents: Contents, seen: SeenRequest, response: ServerResponse, url: URL): void {
    const session = randomUUID();
    contents.uploads.add(session);
    const path = `${url.pathname}${session}`;
    response.writeHead(202, { location: this.#options.location?.(path, seen) ?? path }).end();
  }

  /** A session ends with the blob: who asks again hears that it is unknown, as from the real ones. */
  #finishUpload(contents: Contents, seen: SeenRequest, response: ServerResponse, url: URL): void {
    const session = url.pathname.split('/').at(-1) ?? '';
    if (!contents.uploads.has(session)) return refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN');
    const digest = url.searchParams.get('digest') ?? '';
    if (sha256(seen.body) !== digest) return refuse(response, 400, 'DIGEST_INVALID');
    contents.uploads.delete(session);
    contents.blobs.set(digest, seen.body);
    response.writeHead(201, { location: `/v2/blobs/${digest}` }).end();
  }
}
