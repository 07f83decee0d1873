import { ManifoldError, oneLine } from '../errors.ts';
import type { HttpRequest, HttpResponse, Transport } from '../http/transport.ts';
import { followUrl } from '../http/url.ts';
import { type Digest, digestOf, isDigest } from '../oci/digest.ts';
import { type Descriptor, MANIFEST_TYPES, type ManifestContent } from '../oci/manifest.ts';
import { formatRepository, type Repository } from '../oci/reference.ts';
import { type Action, Authenticator } from './auth.ts';
import { Credentials } from './credentials.ts';
import { type Endpoint, endpointOf } from './endpoint.ts';
import { registryErrorCode, registryFailure } from './failure.ts';

export interface RegistriesOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly transport: Transport;
  readonly onSecret: (secret: string) => void;
}

/** All registries of a run: one login, one set of tokens and one set of connections for each. */
export class Registries {
  readonly #options: RegistriesOptions;
  readonly #credentials: Credentials;
  readonly #authenticators = new Map<string, Authenticator>();

  constructor(options: RegistriesOptions) {
    this.#options = options;
    this.#credentials = new Credentials(options.env);
  }

  repository(repository: Repository): RepositoryClient {
    const { registry } = repository;
    const endpoint = endpointOf(registry, this.#options.env);
    let authenticator = this.#authenticators.get(registry);
    if (authenticator === undefined) {
      const findCredential = () => this.#credentials.find(registry);
      authenticator = new Authenticator({ registry, endpoint, findCredential, ...this.#options });
      this.#authenticators.set(registry, authenticator);
    }
    return new RepositoryClient(repository, endpoint, authenticator);
  }
}

export type BlobDescriptor = Pick<Descriptor, 'digest' | 'size'>;

/** Config blobs and bundles are small; what a descriptor claims beyond this is not downloaded. Bytes. */
const LARGEST_BLOB = 16 * 1024 * 1024;

/** What a registry said when it took a manifest. */
export interface Pushed {
  /** The subject that the registry will list this manifest under (distribution-spec, "Pushing Manifests with Subject"). */
  readonly subject: string | undefined;
}

export interface GetOptions {
  /** The content was pushed a moment ago: a registry that does not find it yet is asked again. */
  readonly justPushed?: boolean;
}

/** One repository by the OCI distribution specification 1.1. Every digest is computed from the bytes. */
export class RepositoryClient {
  readonly repository: Repository;
  /** The full name, as messages show it. */
  readonly name: string;
  readonly #endpoint: Endpoint;
  readonly #authenticator: Authenticator;
  readonly #blobs = new Map<Digest, Promise<BlobDescriptor>>();
  #lacksReferrersApi = false;
  #hasReferrersApi = false;

  constructor(repository: Repository, endpoint: Endpoint, authenticator: Authenticator) {
    this.repository = repository;
    this.name = formatRepository(repository);
    this.#endpoint = endpoint;
    this.#authenticator = authenticator;
  }

  /**
   * Reads a manifest by tag or digest.
   * @throws ManifoldError `registry-…`, `digest-mismatch` when the bytes are not those of the digest
   */
  async getManifest(reference: string, options: GetOptions = {}): Promise<ManifestContent> {
    const found = await this.findManifest(reference, options);
    if (found !== undefined) return found;
    throw this.#missing(reference);
  }

  /** The same, but undefined when the registry says that there is no such manifest. */
  async findManifest(reference: string, options: GetOptions = {}): Promise<ManifestContent | undefined> {
    const headers = { accept: MANIFEST_TYPES.join(', ') };
    const response = await this.#send('GET', `manifests/${reference}`, 'pull', {
      headers,
      ...lagging(options),
    });
    if (response.status === 404) return undefined;
    if (response.status !== 200) throw this.#failure(response, `Reading ${this.#at(reference)}`);
    const digest = digestOf(response.body);
    const said = response.headers['docker-content-digest'];
    if (isDigest(reference) && digest !== reference) throw this.#mismatch(reference, digest);
    if (said !== undefined && said !== digest) throw this.#mismatch(oneLine(String(said)), digest);
    const mediaType = (response.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
    return { bytes: response.body, mediaType, digest };
  }

  /** Writes a manifest under its digest, or under a tag. */
  async putManifest(content: ManifestContent, reference: string = content.digest): Promise<Pushed> {
    const response = await this.#send('PUT', `manifests/${reference}`, 'push', {
      headers: { 'content-type': content.mediaType },
      body: content.bytes,
      // A registry may not yet see the blobs and children that it took a moment ago.
      alsoTransient: answer => /BLOB_UNKNOWN/.test(registryErrorCode(answer) ?? ''),
    });
    if (response.status !== 201 && response.status !== 200 && response.status !== 202) {
      throw this.#failure(response, `Pushing ${this.#at(reference)}`);
    }
    const said = response.headers['docker-content-digest'];
    if (said !== undefined && said !== content.digest)
      throw this.#mismatch(oneLine(String(said)), content.digest);
    const subject = response.headers['oci-subject'];
    return { subject: Array.isArray(subject) ? subject[0] : subject };
  }

  /**
   * Reads a blob of the digest and size that its descriptor gives.
   * @throws ManifoldError `registry-…`, `digest-mismatch`
   */
  async getBlob(descriptor: BlobDescriptor, options: GetOptions = {}): Promise<Buffer> {
    const { digest, size } = descriptor;
    if (size > LARGEST_BLOB) {
      throw new ManifoldError(
        'invalid-document',
        `The blob ${this.#at(digest)} is said to have ${size} bytes; at most ${LARGEST_BLOB} are read.`,
      );
    }
    const response = await this.#send('GET', `blobs/${digest}`, 'pull', {
      maxBytes: size,
      ...lagging(options),
    });
    if (response.status !== 200) throw this.#failure(response, `Reading the blob ${this.#at(digest)}`);
    const actual = digestOf(response.body);
    if (actual !== digest || response.body.byteLength !== size) throw this.#mismatch(digest, actual);
    return response.body;
  }

  /**
   * Makes sure that the registry holds these bytes as a blob. What was put before through this client is not put again.
   * @param isNew the bytes were never anywhere, so that nobody needs to be asked for them
   */
  putBlob(bytes: Uint8Array, isNew = false): Promise<BlobDescriptor> {
    const digest = digestOf(bytes);
    const known = this.#blobs.get(digest);
    if (known !== undefined) return known;
    const put = this.#upload(bytes, digest, isNew ? 'new' : 'maybe there');
    this.#blobs.set(digest, put);
    put.catch(() => this.#blobs.delete(digest));
    return put;
  }

  async #upload(
    bytes: Uint8Array,
    digest: Digest,
    expectation: 'new' | 'maybe there',
    tries = 3,
  ): Promise<BlobDescriptor> {
    const descriptor = { digest, size: bytes.byteLength };
    if (expectation === 'maybe there') {
      const present = await this.#send('HEAD', `blobs/${digest}`, 'push', {});
      if (present.status === 200) return descriptor;
    }
    const session = await this.#send('POST', 'blobs/uploads/', 'push', {});
    const location = session.headers.location;
    if (session.status !== 202 || location === undefined)
      throw this.#failure(session, `Starting an upload to ${this.name}`);
    const url = followUrl(location, session.url);
    url.searchParams.set('digest', digest);
    const headers = { 'content-type': 'application/octet-stream' };
    const stored = await this.#request({ method: 'PUT', url, headers, body: bytes }, 'push');
    // A connection that broke during the upload may have ended the session, with the blob or without it: look again.
    if ([400, 404, 416].includes(stored.status) && tries > 1)
      return this.#upload(bytes, digest, 'maybe there', tries - 1);
    if (stored.status !== 201) throw this.#failure(stored, `Uploading the blob ${this.#at(digest)}`);
    return descriptor;
  }

  /** Tells whether a listing has shown that the registry has no referrers API. */
  get lacksReferrersApi(): boolean {
    return this.#lacksReferrersApi;
  }

  /**
   * The referrers API's answer for one page (distribution-spec, "Listing Referrers"), or undefined where the registry
   * has no such API.
   * @param page the address of a further page, from the `Link` header of the one before
   */
  async getReferrers(digest: Digest, page?: URL): Promise<HttpResponse | undefined> {
    if (this.#lacksReferrersApi) return undefined;
    const url = page ?? this.#url(`referrers/${digest}`);
    const response = await this.#request(
      { method: 'GET', url, headers: { accept: MANIFEST_TYPES[0] } },
      'pull',
    );
    // Registries without the API answer 404, and some 400 or 405 as they take it for an illegal address.
    if ([400, 404, 405].includes(response.status) && page === undefined && !this.#hasReferrersApi) {
      this.#lacksReferrersApi = true;
      return undefined;
    }
    this.#hasReferrersApi ||= response.status === 200;
    if (response.status !== 200)
      throw this.#failure(response, `Listing the referrers of ${this.#at(digest)}`);
    return response;
  }

  #send(
    method: HttpRequest['method'],
    path: string,
    action: Action,
    rest: Partial<HttpRequest>,
  ): Promise<HttpResponse> {
    return this.#request({ method, url: this.#url(path), ...rest }, action);
  }

  #request(request: HttpRequest, action: Action): Promise<HttpResponse> {
    const { ca, url } = this.#endpoint;
    const path = this.repository.path;
    // An upload may go to another host (blob storage), which must get neither our token nor our trust.
    if (request.url.origin !== url.origin) return this.#authenticator.sendBare(request);
    return this.#authenticator.send({ ...request, ...(ca === undefined ? {} : { ca }) }, path, action);
  }

  #url(path: string): URL {
    return new URL(`${this.repository.path}/${path}`, this.#endpoint.url);
  }

  #at(reference: string): string {
    return isDigest(reference) ? `${this.name}@${reference}` : `${this.name}:${reference}`;
  }

  #missing(reference: string): ManifoldError {
    return new ManifoldError('registry-not-found', `${this.#at(reference)} is not in the registry.`, {
      hint: 'Registries with clean-up rules delete untagged manifests: re-run the build job of this platform.',
    });
  }

  #failure(response: HttpResponse, doing: string): ManifoldError {
    return registryFailure(response, doing, this.name);
  }

  #mismatch(expected: string, actual: Digest): ManifoldError {
    return new ManifoldError(
      'digest-mismatch',
      `${this.name} answered for ${expected} with bytes whose digest is ${actual}.`,
      {
        hint: 'The registry, or something on the way to it, changes content.',
      },
    );
  }
}

function lagging(options: GetOptions): Partial<HttpRequest> {
  return options.justPushed === true ? { alsoTransient: response => response.status === 404 } : {};
}
