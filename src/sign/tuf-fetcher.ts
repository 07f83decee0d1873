import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Fetcher } from 'tuf-js';
import { DownloadHTTPError } from 'tuf-js/dist/error.js';
import { ManifoldError, oneLine } from '../errors.ts';
import type { Transport } from '../http/transport.ts';

/** What a repository of files answers for one that it does not have: object stores say 403. */
const ABSENT = new Set([403, 404]);

/**
 * Fetches for the library of the update framework by our own transport, with its retries, limits and proxies. The
 * library's own way knows no proxy, no `Retry-After` and no 429.
 */
export class TufFetcher implements Fetcher {
  readonly #transport: Transport;
  readonly #folder: string;
  #failure: ManifoldError | undefined;
  /** Nothing is fetched: the library has to do with what it has. */
  isClosed = false;

  /** @param folder where a file may lie for a moment */
  constructor(transport: Transport, folder: string) {
    this.#transport = transport;
    this.#folder = folder;
  }

  /** Why the last download failed; undefined when it did not. The library keeps no more of it than a text. */
  get failure(): ManifoldError | undefined {
    return this.#failure;
  }

  /** @throws DownloadHTTPError for what is not there, ManifoldError for all else */
  async downloadBytes(url: string, maxLength: number): Promise<Buffer> {
    this.#failure = undefined;
    if (this.isClosed) throw new Error('what is kept is not enough');
    try {
      return await this.#download(new URL(url), maxLength);
    } catch (error) {
      if (error instanceof ManifoldError) this.#failure = error;
      throw error;
    }
  }

  async downloadFile<T>(url: string, maxLength: number, handler: (file: string) => Promise<T>): Promise<T> {
    const file = path.join(this.#folder, 'download');
    await writeFile(file, await this.downloadBytes(url, maxLength));
    return handler(file);
  }

  async #download(url: URL, maxBytes: number): Promise<Buffer> {
    const { status, body } = await this.#transport.request({ method: 'GET', url, maxBytes });
    if (status === 200) return body;
    const said = oneLine(body.toString('utf8'));
    const message = `${url.origin}${url.pathname} answered ${status}${said === '' ? '' : `: ${said}`}`;
    this.#failure = new ManifoldError('service-unreachable', `${message}.`);
    // Of a root it means that there is no newer one (TUF 1.0, section 5.3.3).
    if (ABSENT.has(status)) throw new DownloadHTTPError(message, status);
    throw this.#failure;
  }
}
