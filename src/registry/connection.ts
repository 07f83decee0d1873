import { ManifoldError } from '../errors.ts';
import { describe } from '../http/message.ts';
import type { RetryPolicy } from '../http/retry.ts';
import type { HttpRequest, HttpResponse, HttpStream } from '../http/transport.ts';
import { isDigest } from '../oci/digest.ts';
import { formatRepository, type Repository } from '../oci/reference.ts';
import type { Authenticator } from './auth.ts';
import type { Endpoint } from './endpoint.ts';
import { type Attempt, registryFailure } from './failure.ts';
import type { Access, Action } from './scope.ts';

/** What is said of a request besides where it goes. */
export type RequestDetails = Partial<Omit<HttpRequest, 'method' | 'url'>>;

/** The way to one repository: its address, its login, and how messages call it and what is in it. */
export class Connection {
  readonly repository: Repository;
  /** The full name, as messages show it. */
  readonly name: string;
  readonly retry: RetryPolicy;
  readonly #endpoint: Endpoint;
  readonly #findAuthenticator: () => Promise<Authenticator>;
  #isLoggedIn = false;

  constructor(
    repository: Repository,
    endpoint: Endpoint,
    retry: RetryPolicy,
    findAuthenticator: () => Promise<Authenticator>,
  ) {
    this.repository = repository;
    this.retry = retry;
    this.name = formatRepository(repository);
    this.#endpoint = endpoint;
    this.#findAuthenticator = findAuthenticator;
  }

  /** Sends a request for something in this repository: `manifests/1.0`. */
  send(
    method: HttpRequest['method'],
    path: string,
    action: Action,
    details: RequestDetails = {},
    also: readonly Access[] = [],
  ): Promise<HttpResponse> {
    return this.request({ method, url: this.url(path), ...details }, action, also);
  }

  /** Sends a request to an address that the registry gave, which may be on another host. */
  async request(request: HttpRequest, action: Action, also: readonly Access[] = []): Promise<HttpResponse> {
    const authenticator = await this.#findAuthenticator();
    // An upload may go to another host (blob storage), which must get neither our token nor our trust.
    if (request.url.origin !== this.#endpoint.url.origin) return authenticator.sendBare(request);
    return this.#exchange(authenticator, request, trusting =>
      authenticator.send(trusting, this.repository.path, action, also),
    );
  }

  /** Begins to read something in this repository. */
  async open(path: string, details: RequestDetails = {}): Promise<HttpStream | HttpResponse> {
    const authenticator = await this.#findAuthenticator();
    return this.#exchange(authenticator, { method: 'GET', url: this.url(path), ...details }, trusting =>
      authenticator.open(trusting, this.repository.path, 'pull'),
    );
  }

  async #exchange<T>(
    authenticator: Authenticator,
    request: HttpRequest,
    transmit: (request: HttpRequest) => Promise<T>,
  ): Promise<T> {
    try {
      return await transmit(this.#trusting(request));
    } catch (error) {
      throw isPlainHttp(error, request) ? this.#plainHttp(error) : error;
    } finally {
      this.#isLoggedIn = authenticator.isLoggedIn;
    }
  }

  #plainHttp({ code, message, cause }: ManifoldError): ManifoldError {
    const { registry } = this.repository;
    return new ManifoldError(code, message, {
      hint: `Check that ${registry} speaks TLS; if it speaks plain HTTP, name ${registry} in "insecure-registries".`,
      cause,
    });
  }

  url(path: string): URL {
    return new URL(`${this.repository.path}/${path}`, this.#endpoint.url);
  }

  /** How messages call a manifest or blob of this repository. */
  at(reference: string): string {
    return isDigest(reference) ? `${this.name}@${reference}` : `${this.name}:${reference}`;
  }

  failure(response: HttpResponse, doing: string, attempt: Attempt = {}): ManifoldError {
    return registryFailure(response, doing, this.name, { isLoggedIn: this.#isLoggedIn, ...attempt });
  }

  mismatch(expected: string, actual: string): ManifoldError {
    return new ManifoldError(
      'digest-mismatch',
      `${this.name} answered for ${expected} with bytes whose digest is ${actual}.`,
      { hint: 'The registry, or something on the way to it, changes content.' },
    );
  }

  #trusting(request: HttpRequest): HttpRequest {
    const { ca } = this.#endpoint;
    return ca === undefined ? request : { ...request, ca };
  }
}

/** OpenSSL's words for an answer without TLS; to this request, as a token service may be another host. */
function isPlainHttp(error: unknown, request: HttpRequest): error is ManifoldError {
  return (
    error instanceof ManifoldError &&
    error.code === 'service-unreachable' &&
    error.message.startsWith(describe(request)) &&
    /\bEPROTO\b|wrong version number/i.test(error.message)
  );
}
