import type { HttpResponse } from '../http/transport.ts';
import type { Digest } from '../oci/digest.ts';
import { MANIFEST_TYPES } from '../oci/manifest.ts';
import type { Connection } from './connection.ts';

/** The referrers API of one repository (distribution-spec, "Listing Referrers"), which not every registry has. */
export class ReferrersApi {
  readonly #connection: Connection;
  #isMissing = false;
  #hasListed = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Tells whether a listing has shown that the registry has no such API. */
  get isMissing(): boolean {
    return this.#isMissing;
  }

  /**
   * One page of a listing, or undefined where the registry has no such API.
   * @param page the address of a further page, from the `Link` header of the one before
   * @throws ManifoldError `registry-…`
   */
  async list(digest: Digest, page?: URL): Promise<HttpResponse | undefined> {
    if (this.#isMissing) return undefined;
    const url = page ?? this.#connection.url(`referrers/${digest}`);
    const headers = { accept: MANIFEST_TYPES[0] };
    // A listing that leads to another host is none, and what that host says of us is of no concern.
    const request = { method: 'GET', url, headers, staysAtOrigin: true } as const;
    const response = await this.#connection.request(request, 'pull');
    if (page === undefined && !this.#hasListed && isNoListing(response)) {
      this.#isMissing = true;
      return undefined;
    }
    this.#hasListed ||= response.status === 200;
    if (response.status === 200) return response;
    throw this.#connection.failure(response, `Listing the referrers of ${this.#connection.at(digest)}`);
  }
}

/**
 * Registries without the referrers API answer 404, and some 400 or 405 as they take it for an illegal address. Some lead
 * to a page for people instead, which may say anything (awslabs/soci-snapshotter 512, artifacthub/hub 4785).
 */
function isNoListing({ status, headers, url }: HttpResponse): boolean {
  const isPage = status === 200 && /^text\/html\b/.test(headers['content-type'] ?? '');
  const leadsAway = status >= 300 && status < 400;
  return leadsAway || [400, 404, 405].includes(status) || isPage || !url.pathname.includes('/referrers/');
}
