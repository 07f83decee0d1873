import { ManifoldError, oneLine } from '../errors.ts';
import { isRateLimit } from '../http/retry.ts';
import type { HttpResponse } from '../http/transport.ts';
import { type Digest, digestOf, isDigest } from '../oci/digest.ts';
import {
  type BlobDescriptor,
  type Descriptor,
  isIndexType,
  isManifestType,
  MANIFEST_TYPES,
  type ManifestContent,
} from '../oci/manifest.ts';
import type { Repository } from '../oci/reference.ts';
import { type Arrival, Blobs } from './blobs.ts';
import type { Connection, RequestDetails } from './connection.ts';
import { lacksPart } from './failure.ts';
import { ReferrersApi } from './referrers-api.ts';
import { contradiction } from './stated-digest.ts';

/** What a registry said when it took a manifest. */
export interface Pushed {
  /** The subject that the registry will list this manifest under (distribution-spec, "Pushing Manifests with Subject"). */
  readonly subject: string | undefined;
}

export interface GetOptions {
  /** The content was pushed a moment ago: a registry that does not find it yet is asked again. */
  readonly justPushed?: boolean;
  /** What a tag pointed at before it was moved a moment ago: a registry that still says so is asked again. */
  readonly outdated?: Digest | undefined;
}

export interface PutOptions {
  /**
   * What the manifest names was pushed a moment ago: a registry that does not see it yet is asked again. Known without
   * being said where this client pushed it.
   */
  readonly justPushed?: boolean;
  /** Called before it is sent once more; what it throws ends the write. For tags, which others may have moved meanwhile. */
  readonly beforeRetry?: (() => Promise<void>) | undefined;
}

/** What a registry says of a manifest without giving it. */
export type ManifestHead = Pick<Descriptor, 'digest' | 'mediaType' | 'size'>;

/** One repository by the OCI distribution specification 1.1. Every digest is computed from the bytes. */
export class RepositoryClient {
  readonly referrersApi: ReferrersApi;
  readonly #connection: Connection;
  readonly #blobs: Blobs;
  readonly #manifests = new Set<Digest>();

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#blobs = new Blobs(connection);
    this.referrersApi = new ReferrersApi(connection);
  }

  get repository(): Repository {
    return this.#connection.repository;
  }

  /** The full name, as messages show it. */
  get name(): string {
    return this.#connection.name;
  }

  /**
   * Reads a manifest by tag or digest.
   * @throws ManifoldError `registry-…`, `digest-mismatch` when the bytes are not those of the digest
   */
  async getManifest(reference: string, options: GetOptions = {}): Promise<ManifestContent> {
    const found = await this.findManifest(reference, options);
    if (found !== undefined) return found;
    throw new ManifoldError(
      'registry-not-found',
      `${this.#connection.at(reference)} is not in the registry.`,
      {
        hint: 'Registries with clean-up rules delete untagged manifests: re-run the build job of this platform.',
      },
    );
  }

  /** The same, but undefined when the registry says that there is no such manifest. */
  async findManifest(reference: string, options: GetOptions = {}): Promise<ManifestContent | undefined> {
    const response = await this.#ask('GET', reference, options);
    if (response.status === 404) return undefined;
    if (response.status !== 200) throw this.#unreadable(response, reference);
    const digest = digestOf(response.body);
    if (isDigest(reference)) this.#refuseOther(reference, digest);
    this.#refuseLie(response, response.body);
    return { bytes: response.body, mediaType: mediaTypeOf(response), digest };
  }

  /**
   * What a registry says of a manifest, without its bytes where it says everything; undefined when there is none. The
   * digest is the registry's word: only bytes prove it.
   * @throws ManifoldError `registry-…`, `digest-mismatch` when a digest was asked for and another one is named
   */
  async headManifest(reference: string, options: GetOptions = {}): Promise<ManifestHead | undefined> {
    const response = await this.#ask('HEAD', reference, options);
    const { status } = response;
    if (status === 404) return undefined;
    const head = status === 200 ? headOf(response) : undefined;
    if (head !== undefined) {
      if (isDigest(reference)) this.#refuseOther(reference, head.digest);
      return head;
    }
    if (status >= 500 || isRateLimit({ status })) throw this.#unreadable(response, reference);
    // Some registries leave headers out; and no refusal of HEAD says why.
    const content = await this.findManifest(reference, options);
    if (content === undefined) return undefined;
    const { digest, mediaType, bytes } = content;
    return { digest, mediaType, size: bytes.byteLength };
  }

  /**
   * Writes a manifest under its digest, or under a tag.
   * @throws ManifoldError `registry-…`; `tag-immutable` when the tag names something else, and the registry keeps it so
   */
  async putManifest(
    content: ManifestContent,
    reference: string = content.digest,
    options: PutOptions = {},
  ): Promise<Pushed> {
    const { beforeRetry } = options;
    const justPushed = options.justPushed ?? partsOf(content).some(part => this.#hasPut(part));
    const response = await this.#connection.send('PUT', `manifests/${reference}`, 'push', {
      headers: { 'content-type': content.mediaType },
      body: content.bytes,
      ...(justPushed ? { alsoTransient: lacksPart } : {}),
      ...(beforeRetry === undefined ? {} : { beforeRetry }),
    });
    if (![200, 201, 202].includes(response.status)) {
      await this.#acceptUnlessOther(response, content, reference);
      return { subject: undefined };
    }
    this.#refuseLie(response, content.bytes);
    this.#manifests.add(content.digest);
    const subject = response.headers['oci-subject'];
    return { subject: Array.isArray(subject) ? subject[0] : subject };
  }

  /**
   * An immutable tag also refuses what it points at already: an earlier attempt, or the try before this one whose answer
   * was lost, has put it there.
   * @throws ManifoldError for every other refusal
   */
  async #acceptUnlessOther(
    response: HttpResponse,
    content: ManifestContent,
    reference: string,
  ): Promise<void> {
    const tag = isDigest(reference) ? undefined : reference;
    const doing = `Pushing ${this.#connection.at(reference)}`;
    const failure = this.#connection.failure(response, doing, { tag });
    if (failure.code !== 'tag-immutable') throw failure;
    const head = await this.headManifest(reference);
    if (head?.digest !== content.digest) throw failure;
  }

  /**
   * Reads a blob of the digest and size that its descriptor gives.
   * @throws ManifoldError `registry-…`, `digest-mismatch`
   */
  getBlob(descriptor: BlobDescriptor, options: GetOptions = {}): Promise<Buffer> {
    return this.#blobs.read(descriptor, lagging(options));
  }

  /**
   * Makes sure that the registry holds these bytes as a blob. What was put before through this client is not put again.
   * @param isNew the bytes were never anywhere, so that nobody needs to be asked for them
   */
  async putBlob(bytes: Uint8Array, isNew = false): Promise<BlobDescriptor> {
    const digest = digestOf(bytes);
    await this.#blobs.put(bytes, digest, isNew);
    return { digest, size: bytes.byteLength };
  }

  /**
   * Makes sure that this repository holds a blob that another one holds, of any size.
   * @throws ManifoldError `registry-…`, `digest-mismatch`
   */
  copyBlob(descriptor: BlobDescriptor, source: RepositoryClient): Promise<Arrival> {
    return this.#blobs.copy(descriptor, source.#blobs);
  }

  #ask(method: 'GET' | 'HEAD', reference: string, options: GetOptions): Promise<HttpResponse> {
    const headers = { accept: MANIFEST_TYPES.join(', ') };
    return this.#connection.send(method, `manifests/${reference}`, 'pull', { headers, ...lagging(options) });
  }

  #hasPut(digest: Digest): boolean {
    return this.#manifests.has(digest) || this.#blobs.hasPut(digest);
  }

  #unreadable(response: HttpResponse, reference: string): ManifoldError {
    return this.#connection.failure(response, `Reading ${this.#connection.at(reference)}`);
  }

  #refuseOther(expected: Digest, actual: Digest): void {
    if (expected !== actual) throw this.#connection.mismatch(expected, actual);
  }

  /** @param bytes the manifest that an answer is about */
  #refuseLie({ headers }: HttpResponse, bytes: Uint8Array): void {
    const stated = headers['docker-content-digest'];
    if (stated === undefined) return;
    const actual = contradiction(String(stated), bytes);
    if (actual !== undefined) throw this.#connection.mismatch(oneLine(String(stated)), actual);
  }
}

function headOf(response: HttpResponse): ManifestHead | undefined {
  const digest = String(response.headers['docker-content-digest']);
  const size = Number(response.headers['content-length'] ?? Number.NaN);
  const mediaType = mediaTypeOf(response);
  const isKnown = isManifestType(mediaType) || isIndexType(mediaType);
  return isDigest(digest) && isKnown && Number.isSafeInteger(size) && size > 0
    ? { digest, mediaType, size }
    : undefined;
}

function mediaTypeOf(response: HttpResponse): string {
  return (response.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
}

function lagging({ justPushed = false, outdated }: GetOptions): RequestDetails {
  if (!justPushed && outdated === undefined) return {};
  const isOutdated = ({ status, body }: HttpResponse): boolean =>
    outdated !== undefined && status === 200 && digestOf(body) === outdated;
  return { alsoTransient: response => (justPushed && response.status === 404) || isOutdated(response) };
}

/** The digests of all that a manifest or index consists of; none of what is no such document. */
function partsOf(content: ManifestContent): Digest[] {
  let document: Partial<Record<'config' | 'layers' | 'manifests', unknown>> | null;
  try {
    document = JSON.parse(Buffer.from(content.bytes).toString('utf8'));
  } catch {
    return []; // whether it is a manifest is for the registry to say
  }
  return [document?.config, document?.layers, document?.manifests]
    .flat()
    .map(part => String((part as Partial<Descriptor> | null | undefined)?.digest))
    .filter(isDigest);
}
