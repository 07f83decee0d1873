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

/** A request about a repository that came through the gate, taken apart. */
export interface Asked {
  readonly seen: SeenRequest;
  readonly url: URL;
  /** The repository's path. */
  readonly name: string;
  readonly kind: 'manifests' | 'blobs' | 'referrers';
  /** What stands after the kind: a tag, a digest, or `uploads/…`. */
  readonly reference: string;
  readonly contents: Contents;
}

/** In what one registry differs from another where the specification leaves it open, or is not kept. */
export interface Habits {
  /** The `WWW-Authenticate` of a 401; the default names the scope that the request needs. */
  readonly challenge?: (asked: Asked) => string;
  /** Answers a login or token that is a good one and does not reach this far; the default is a 401. */
  readonly refuse?: (asked: Asked, response: ServerResponse) => void;
  /** Answers in the registry's own way, or sets headers; what it leaves unanswered is answered as by any other. */
  readonly answer?: (asked: Asked, response: ServerResponse) => void;
  /** The headers that come with a manifest, made from the usual ones. */
  readonly manifestHeaders?: (usual: Record<string, string>, asked: Asked) => Record<string, string>;
  /** Tells whether a blob that another repository holds may be mounted from there. */
  readonly mounts?: (from: Contents, digest: string) => boolean;
}

export interface RegistryOptions {
  /** "api" lists referrers, with so many a page; "subject-only" only says so, and "list-only" only does so. */
  readonly referrers?: 'none' | 'api' | 'subject-only' | 'list-only';
  readonly pageSize?: number;
  /** A realm that begins with a slash is a path of the registry itself. */
  readonly bearer?: { readonly realm: string; readonly service: string };
  readonly habits?: Habits;
  /** What else this server answers: a token service on the registry's own host, for example. */
  readonly besides?: Answer;
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

/** Refuses with the error body of the distribution specification, "Error Codes". */
export const refuse = (response: ServerResponse, status: number, code: string, message = code): void =>
  sendJson(response, status, { errors: [{ code, message }] });

const writes = ({ method }: SeenRequest): boolean => method !== 'GET' && method !== 'HEAD';

function challengeOf({ seen, name }: Asked, bearer: RegistryOptions['bearer']): string {
  if (bearer === undefined) return 'Basic realm="test"';
  const realm = bearer.realm.startsWith('/') ? `http://${seen.headers.host}${bearer.realm}` : bearer.realm;
  const scope = `repository:${name}:${writes(seen) ? 'pull,push' : 'pull'}`;
  return `Bearer realm="${realm}",service="${bearer.service}",scope="${scope}"`;
}

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
    await this.#options.besides?.(seen, response);
    if (!response.headersSent) this.#route(seen, response);
  }

  #route(seen: SeenRequest, response: ServerResponse): void {
    const asked = this.#takeApart(seen);
    if (asked === undefined) return refuse(response, 404, 'UNSUPPORTED');
    const { contents, kind, reference, url, name } = asked;
    const standing = this.#standing(seen, name, writes(seen) ? 'push' : 'pull');
    if (standing !== 'allowed') return this.#turnAway(asked, response, standing);
    this.#options.habits?.answer?.(asked, response);
    if (response.headersSent || response.destroyed) return;
    if (kind === 'manifests') return this.#manifest(asked, response);
    if (kind === 'referrers') return this.#referrers(contents, response, reference, url);
    return this.#blob(asked, response);
  }

  /** An upload's address is the registry's own affair: it is known by the session that it ends with. */
  #takeApart(seen: SeenRequest): Asked | undefined {
    const url = new URL(seen.path, 'http://registry');
    const session = url.pathname.split('/').at(-1) ?? '';
    const uploading = [...this.#repositories].find(([, { uploads }]) => uploads.has(session));
    const match = /^\/v2\/(.+)\/(manifests|blobs|referrers)\/(.*)$/.exec(url.pathname);
    const name = uploading?.[0] ?? match?.[1];
    if (name === undefined) return undefined;
    const kind = (uploading === undefined ? match?.[2] : 'blobs') as Asked['kind'];
    const reference = uploading === undefined ? (match?.[3] ?? '') : `uploads/${session}`;
    return { seen, url, name, kind, reference, contents: this.repository(name) };
  }

  #standing(seen: SeenRequest, name: string, wanted: string): 'allowed' | 'unknown' | 'lacking' {
    const { basic, bearer } = this.#options;
    const [scheme = '', value = ''] = (seen.headers.authorization ?? '').split(' ');
    if (basic !== undefined && scheme === 'Basic') {
      const [user = '', ...password] = Buffer.from(value, 'base64').toString().split(':');
      return basic[user] === password.join(':') ? 'allowed' : 'unknown';
    }
    if (bearer === undefined) return basic === undefined ? 'allowed' : 'unknown';
    if (scheme !== 'Bearer' || this.revoked.has(value)) return 'unknown';
    const { exp, access } = readClaims(value) as {
      exp: number;
      access: { name: string; actions: string[] }[];
    };
    if (exp * 1000 <= Date.now()) return 'unknown';
    const reaches = access.some(entry => entry.name === name && entry.actions.includes(wanted));
    return reaches ? 'allowed' : 'lacking';
  }

  #turnAway(asked: Asked, response: ServerResponse, standing: 'unknown' | 'lacking'): void {
    const { bearer, habits } = this.#options;
    response.setHeader('www-authenticate', habits?.challenge?.(asked) ?? challengeOf(asked, bearer));
    if (standing === 'lacking') habits?.refuse?.(asked, response);
    if (!response.headersSent) refuse(response, 401, 'UNAUTHORIZED', 'authentication required');
  }

  #manifest(asked: Asked, response: ServerResponse): void {
    const { contents, seen, reference } = asked;
    if (seen.method === 'PUT') return this.#putManifest(contents, seen, response, reference);
    const digest = contents.tags.get(reference) ?? reference;
    const found = contents.manifests.get(digest);
    if (found === undefined) return refuse(response, 404, 'MANIFEST_UNKNOWN');
    const { bytes, mediaType } = found;
    const usual = { 'content-type': mediaType, 'docker-content-digest': digest };
    const headers = this.#options.habits?.manifestHeaders?.(usual, asked) ?? usual;
    response.writeHead(200, { ...headers, 'content-length': bytes.length });
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
    const { referrers = 'none' } = this.#options;
    const subject = referrers === 'api' || referrers === 'subject-only' ? document.subject : undefined;
    response.writeHead(201, {
      'docker-content-digest': digest,
      ...(subject === undefined ? {} : { 'oci-subject': subject.digest }),
    });
    response.end();
  }

  #referrers(contents: Contents, response: ServerResponse, subject: string, url: URL): void {
    const { referrers } = this.#options;
    if (referrers !== 'api' && referrers !== 'list-only')
      return refuse(response, 404, 'NOT_FOUND', 'page not found');
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

  #blob({ contents, seen, reference, url }: Asked, response: ServerResponse): void {
    if (seen.method === 'POST') return this.#startUpload(contents, seen, response, url);
    if (seen.method === 'PUT') return this.#finishUpload(contents, seen, response, url);
    const bytes = contents.blobs.get(reference);
    if (bytes === undefined) return refuse(response, 404, 'BLOB_UNKNOWN');
    response.writeHead(200, { 'content-length': bytes.length, 'docker-content-digest': reference });
    response.end(seen.method === 'HEAD' ? undefined : bytes);
  }

  #startUpload(contents: Contents, seen: SeenRequest, response: ServerResponse, url: URL): void {
    const mounted = this.#mountable(seen, url);
    if (mounted !== undefined) {
      const { digest, bytes } = mounted;
      contents.blobs.set(digest, bytes);
      response.writeHead(201, { location: url.pathname.replace('uploads/', digest) }).end();
      return;
    }
    const session = randomUUID();
    contents.uploads.add(session);
    const path = `${url.pathname}${session}`;
    response.writeHead(202, { location: this.#options.location?.(path, seen) ?? path }).end();
  }

  /** What cannot be mounted is uploaded (distribution-spec, "Mounting a blob from another repository"). */
  #mountable(seen: SeenRequest, url: URL): { digest: string; bytes: Buffer } | undefined {
    const [digest, from] = [url.searchParams.get('mount'), url.searchParams.get('from')];
    if (digest === null || from === null || this.#standing(seen, from, 'pull') !== 'allowed')
      return undefined;
    const source = this.#repositories.get(from);
    const bytes = source?.blobs.get(digest);
    if (source === undefined || bytes === undefined) return undefined;
    return (this.#options.habits?.mounts?.(source, digest) ?? true) ? { digest, bytes } : undefined;
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
