import { createHash } from 'node:crypto';
import { pipeline, Readable, Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManifoldError, messageOf } from '../errors.ts';
import { nextDelay } from '../http/retry.ts';
import { type BodySource, GivenOnce, type HttpResponse, isStream } from '../http/transport.ts';
import { followUrl } from '../http/url.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import type { Descriptor } from '../oci/manifest.ts';
import type { Connection } from './connection.ts';

export type BlobDescriptor = Pick<Descriptor, 'digest' | 'size'>;

/** How a blob came to be where it was wanted. */
export type Arrival = 'present' | 'mounted' | 'uploaded';

/** Config blobs and bundles are small; what a descriptor claims beyond this is not read into memory. Bytes. */
const LARGEST_IN_MEMORY = 16 * 1024 * 1024;
/** How often a registry may say of a session of one blob that it is over. */
const LOST_SESSIONS = 5;
/** What the end of a session looks like, before its blob or instead of it (distribution-spec, "Pushing blobs"). */
const SESSION_OVER = new Set([400, 404, 416]);

const LATER = 'The registry, or the way to it, has a fault. Re-run this job later: it goes on from here.';

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
   * @param request what else is said of the request: that it lags
   * @throws ManifoldError `registry-…`, `digest-mismatch`
   */
  async read(descriptor: BlobDescriptor, request: Parameters<Connection['send']>[3] = {}): Promise<Buffer> {
    const { digest, size } = descriptor;
    const connection = this.#connection;
    if (size > LARGEST_IN_MEMORY) {
      throw new ManifoldError(
        'invalid-document',
        `The blob ${connection.at(digest)} is said to have ${size} bytes; at most ${LARGEST_IN_MEMORY} are read.`,
      );
    }
    const response = await connection.send('GET', `blobs/${digest}`, 'pull', { maxBytes: size, ...request });
    if (response.status !== 200) throw connection.failure(response, this.#reading(digest));
    const actual = digestOf(response.body);
    if (actual !== digest || response.body.byteLength !== size) throw connection.mismatch(digest, actual);
    return response.body;
  }

  /** Makes sure that these bytes are here. @param isNew they were never anywhere, so that nobody needs to be asked */
  put(bytes: Uint8Array, digest: Digest, isNew: boolean): Promise<Arrival> {
    const source = { size: bytes.byteLength, open: async () => Readable.from([bytes]) };
    return this.#once(digest, async () => {
      if (!isNew && (await this.#has(digest))) return 'present';
      return this.#upload(digest, source, await this.#startSession());
    });
  }

  /**
   * Makes sure that a blob of another repository is here: it is mounted where one registry holds both, else it passes
   * through without being held, and its digest and size are checked before the registry hears that it is complete.
   * @throws ManifoldError `registry-…`, `digest-mismatch`
   */
  copy(descriptor: BlobDescriptor, source: Blobs): Promise<Arrival> {
    return this.#once(descriptor.digest, async () => {
      if (await this.#has(descriptor.digest)) return 'present';
      const session = await this.#mount(descriptor.digest, source);
      if (session === 'mounted') return 'mounted';
      const body = { size: descriptor.size, open: () => source.#stream(descriptor) };
      return this.#upload(descriptor.digest, body, session ?? (await this.#startSession()));
    });
  }

  /** What was put before through this client is not put again. */
  #once(digest: Digest, work: () => Promise<Arrival>): Promise<Arrival> {
    const known = this.#arrivals.get(digest);
    if (known !== undefined) return known.then(() => 'present');
    const arrival = work();
    this.#arrivals.set(digest, arrival);
    arrival.catch(() => this.#arrivals.delete(digest));
    return arrival;
  }

  async #has(digest: Digest): Promise<boolean> {
    const response = await this.#connection.send('HEAD', `blobs/${digest}`, 'push');
    return response.status === 200;
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
    return response.status === 202 ? this.#sessionOf(response) : undefined;
  }

  async #startSession(): Promise<URL> {
    const response = await this.#connection.send('POST', 'blobs/uploads/', 'push');
    if (response.status === 202) return this.#sessionOf(response);
    throw this.#connection.failure(response, `Starting an upload to ${this.#connection.name}`);
  }

  /** `Location` may be relative, and its own query belongs to it (distribution-spec, "POST then PUT"). */
  #sessionOf(response: HttpResponse): URL {
    const { location } = response.headers;
    if (location !== undefined) return followUrl(location, response.url);
    throw this.#connection.failure(response, `Starting an upload to ${this.#connection.name}`);
  }

  /** Each session takes the bytes once: nobody knows what one that broke holds of them. */
  async #upload(digest: Digest, body: BodySource, session: URL): Promise<Arrival> {
    const doing = `Uploading the blob ${this.#connection.at(digest)}`;
    let firstBreak: number | undefined;
    let current = session;
    for (let count = 1; ; count++) {
      const { response, fault, isBroken } = await this.#finish(current, digest, body);
      if (response?.status === 201) return 'uploaded';
      const failure = response === undefined ? fault : this.#connection.failure(response, doing);
      if (isBroken) {
        firstBreak ??= performance.now();
        await this.#pause(doing, count, firstBreak, failure);
      } else if (!SESSION_OVER.has(response?.status ?? 0) || count >= LOST_SESSIONS) throw failure;
      // What broke off may have ended the session with the blob or without it: look first.
      if (await this.#has(digest)) return 'uploaded';
      current = await this.#startSession();
    }
  }

  /**
   * Sessions that break are begun anew for as long as a single request would be tried.
   * @param since when the first one broke
   * @param last what became of the one that broke just now
   * @throws ManifoldError of the last one's code
   */
  async #pause(doing: string, count: number, since: number, last: unknown): Promise<void> {
    const elapsed = performance.now() - since;
    const delay = nextDelay(this.#connection.retry, count, elapsed, undefined);
    if (delay !== undefined) return sleep(delay);
    const { code = 'registry-unavailable', hint = LATER } = last instanceof ManifoldError ? last : {};
    const times = count === 1 ? 'once' : `${count} times in ${(elapsed / 1000).toFixed(1)} s`;
    throw new ManifoldError(code, `${doing} broke off ${times}. The last time: ${messageOf(last)}`, {
      hint,
      cause: last,
    });
  }

  /** Sends the bytes to a session. What will not pass it throws. */
  async #finish(session: URL, digest: Digest, body: BodySource): Promise<Ending> {
    const url = new URL(session);
    url.searchParams.set('digest', digest);
    const headers = { 'content-type': 'application/octet-stream' };
    const once = new OnlyOnce(body);
    try {
      const response = await this.#connection.request({ method: 'PUT', url, headers, body: once }, 'push');
      return { response, isBroken: once.isAskedAgain };
    } catch (fault) {
      if (once.isAskedAgain) return { fault, isBroken: true };
      throw fault;
    }
  }

  /** The bytes of a blob, which end in an error if they are not those of its descriptor. */
  async #stream(descriptor: BlobDescriptor): Promise<Readable> {
    const { digest } = descriptor;
    // Copied is what builds have pushed a moment ago, and what a manifest names that was there to be read.
    const alsoTransient = ({ status }: HttpResponse): boolean => status === 404;
    const answer = await this.#connection.open(`blobs/${digest}`, { alsoTransient });
    if (!isStream(answer)) throw this.#connection.failure(answer, this.#reading(digest));
    const checked = this.#check(descriptor);
    pipeline(answer.body, checked, () => {}); // a failure of one ends the other, and whoever reads hears of it
    return checked;
  }

  #check({ digest, size }: BlobDescriptor): Transform {
    const connection = this.#connection;
    const hash = createHash('sha256');
    let length = 0;
    return new Transform({
      transform(chunk: Uint8Array, _, done) {
        hash.update(chunk);
        length += chunk.byteLength;
        if (length > size) done(wrongSize(connection.at(digest), size, 'more'));
        else done(null, chunk);
      },
      flush(done) {
        const actual: Digest = `sha256:${hash.digest('hex')}`;
        if (actual !== digest) done(connection.mismatch(digest, actual));
        else done(length < size ? wrongSize(connection.at(digest), size, 'less') : null);
      },
    });
  }

  #reading(digest: Digest): string {
    return `Reading the blob ${this.#connection.at(digest)}`;
  }
}

/** What became of an upload session: an answer, or the fault on the way to one. */
interface Ending {
  readonly response?: HttpResponse;
  readonly fault?: unknown;
  /** The same request would be worth another try, if a session took its bytes more than once. */
  readonly isBroken: boolean;
}

/** The transport begins a body anew for each try, as if the server had forgotten the one before. */
class OnlyOnce implements BodySource {
  readonly size: number;
  readonly isGivenOnce = true;
  readonly #body: BodySource;
  #isUsed = false;
  #isAskedAgain = false;

  constructor(body: BodySource) {
    this.size = body.size;
    this.#body = body;
  }

  /** Tells whether there was to be a second try. */
  get isAskedAgain(): boolean {
    return this.#isAskedAgain;
  }

  async open(): Promise<Readable> {
    this.#isAskedAgain = this.#isUsed;
    if (this.#isUsed) throw new GivenOnce('an upload session takes its bytes once');
    this.#isUsed = true;
    return this.#body.open();
  }
}

function wrongSize(blob: string, size: number, found: 'more' | 'less'): ManifoldError {
  return new ManifoldError(
    'digest-mismatch',
    `The blob ${blob} has ${found} than the ${size} bytes that its descriptor says.`,
    { hint: 'The manifest that names it, or something on the way, changes content.' },
  );
}
