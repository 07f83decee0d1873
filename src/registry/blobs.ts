import { Readable } from 'node:stream';
import { ManifoldError } from '../errors.ts';
import { type HttpResponse, isStream } from '../http/transport.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import type { BlobDescriptor } from '../oci/manifest.ts';
import { hasBlob, sessionOf, uploadBlob } from './blob-upload.ts';
import { checkedStream } from './checked-stream.ts';
import type { Connection, RequestDetails } from './connection.ts';
import { lost } from './failure.ts';

/** How a blob came to be where it was wanted. */
export type Arrival = 'present' | 'mounted' | 'uploaded';

/** Config blobs and bundles are small; what a descriptor claims beyond this is not read into memory. Bytes. */
const LARGEST_IN_MEMORY = 16 * 1024 * 1024;

/** A registry may not show yet what it took a moment ago. */
const LAGGING: RequestDetails = { alsoTransient: ({ status }) => status === 404 };

/** The blobs of one repository (OCI distribution-spec 1.1, "Pulling blobs", "Pushing blobs"). */
export class Blobs {
  readonly #connection: Connection;
  readonly #arrivals = new Map<Digest, Promise<Arrival>>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Tells whether this client has put this blob, or is about to. */
  hasPut(digest: Digest): boolean {
    return this.#arrivals.has(digest);
  }

  /**
   * Reads a small blob.
   * @param details what else is said of the request: that it lags
   * @throws ManifoldError `registry-…`, `digest-mismatch`
   */
  async read(descriptor: BlobDescriptor, details: RequestDetails = {}): Promise<Buffer> {
    const { digest, size } = descriptor;
    const connection = this.#connection;
    if (size > LARGEST_IN_MEMORY) {
      throw new ManifoldError(
        'invalid-document',
        `The blob ${connection.at(digest)} is said to have ${size} bytes; at most ${LARGEST_IN_MEMORY} are read.`,
      );
    }
    const response = await connection.send('GET', `blobs/${digest}`, 'pull', { maxBytes: size, ...details });
    if (response.status !== 200) throw connection.failure(response, this.#reading(digest));
    const actual = digestOf(response.body);
    if (actual !== digest || response.body.byteLength !== size) throw connection.mismatch(digest, actual);
    return response.body;
  }

  /** Makes sure that these bytes are here. @param isNew they were never anywhere, so that nobody needs to be asked */
  put(bytes: Uint8Array, digest: Digest, isNew: boolean): Promise<Arrival> {
    const source = { size: bytes.byteLength, open: async () => Readable.from([bytes]) };
    return this.#once(digest, async () => {
      if (!isNew && (await hasBlob(this.#connection, digest))) return 'present';
      await uploadBlob(this.#connection, digest, source);
      return 'uploaded';
    });
  }

  /**
   * Makes sure that a blob of another repository is here: it is mounted where one registry holds both, else it passes
   * through without being held, and its digest and size are checked before the registry hears that it is complete.
   * @throws ManifoldError `registry-…`, `digest-mismatch`
   */
  copy(descriptor: BlobDescriptor, source: Blobs): Promise<Arrival> {
    return this.#once(descriptor.digest, async () => {
      const { digest, size } = descriptor;
      if (await hasBlob(this.#connection, digest)) return 'present';
      const mount = await this.#mount(digest, source);
      if (mount === 'mounted' && (await this.#isKept(digest))) return 'mounted';
      const body = { size, open: () => source.#stream(descriptor) };
      await uploadBlob(this.#connection, digest, body, mount === 'mounted' ? undefined : mount);
      if (await this.#isKept(digest)) return 'uploaded';
      throw lost('blob', this.#connection.at(digest));
    });
  }

  /** Asks a registry that says that it took a blob whether it has it, which it may show late. */
  async #isKept(digest: Digest): Promise<boolean> {
    const response = await this.#connection.send('HEAD', `blobs/${digest}`, 'push', LAGGING);
    return response.status !== 404;
  }

  /** What was put before through this client is not put again. */
  #once(digest: Digest, work: () => Promise<Arrival>): Promise<Arrival> {
    const known = this.#arrivals.get(digest);
    if (known !== undefined)
      return known.then(
        () => 'present',
        retryFrom(() => this.#once(digest, work)),
      );
    const arrival = work();
    this.#arrivals.set(digest, arrival);
    arrival.catch(() => this.#arrivals.delete(digest));
    return arrival;
  }

  /**
   * Asks the registry to take a blob from another of its repositories (distribution-spec, "Mounting a blob from another
   * repository").
   * @returns the upload session that a registry opens instead, or undefined when it did neither
   */
  async #mount(digest: Digest, source: Blobs): Promise<'mounted' | URL | undefined> {
    const from = source.#connection.repository;
    if (from.registry !== this.#connection.repository.registry) return undefined;
    const query = new URLSearchParams({ mount: digest, from: from.path });
    const also = [{ repository: from.path, action: 'pull' }] as const;
    let response: HttpResponse;
    try {
      response = await this.#connection.send('POST', `blobs/uploads/?${query.toString()}`, 'push', {}, also);
    } catch (error) {
      // A token service may give no token for two repositories where one is another login's.
      if (error instanceof ManifoldError && error.code === 'registry-unauthorized') return undefined;
      throw error;
    }
    if (response.status === 201) return 'mounted';
    // Whatever the registry has against the mount, it says it again of an upload if it holds for that, too.
    return response.status === 202 ? sessionOf(this.#connection, response) : undefined;
  }

  /** The bytes of a blob, which end in an error if they are not those of its descriptor. */
  async #stream(descriptor: BlobDescriptor): Promise<Readable> {
    const { digest } = descriptor;
    // Copied is what builds have pushed a moment ago, and what a manifest names that was there to be read.
    const answer = await this.#connection.open(`blobs/${digest}`, LAGGING);
    if (!isStream(answer)) throw this.#connection.failure(answer, this.#reading(digest));
    return checkedStream(answer.body, descriptor, this.#connection);
  }

  #reading(digest: Digest): string {
    return `Reading the blob ${this.#connection.at(digest)}`;
  }
}

/** Whoever waited for somebody else's copy, whose source had lost the blob, may have another source. */
function retryFrom(again: () => Promise<Arrival>): (reason: unknown) => Promise<Arrival> {
  return reason => {
    if (reason instanceof ManifoldError && reason.code === 'registry-not-found') return again();
    throw reason;
  };
}
