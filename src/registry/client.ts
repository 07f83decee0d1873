import type { Transport } from '../http/transport.ts';
import { formatRepository, type Repository } from '../oci/reference.ts';
import { Authenticator } from './auth.ts';
import { Connection } from './connection.ts';
import { Credentials } from './credentials.ts';
import { type Endpoint, endpointOf } from './endpoint.ts';
import { RepositoryClient } from './repository-client.ts';

export { type GetOptions, RepositoryClient } from './repository-client.ts';

export interface RegistriesOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly transport: Transport;
  readonly onSecret: (secret: string) => void;
  /** Registries, as image names write them, that may be spoken to without TLS. */
  readonly insecure?: ReadonlySet<string>;
}

/** All registries of a run: one set of tokens for each login, one set of connections for each host. */
export class Registries {
  readonly #options: RegistriesOptions;
  readonly #credentials: Credentials;
  readonly #authenticators = new Map<string, Authenticator>();
  readonly #clients = new Map<string, RepositoryClient>();

  constructor(options: RegistriesOptions) {
    this.#options = options;
    this.#credentials = new Credentials(options.env);
  }

  /** The client of a repository: always the same one, as it knows what it has put there and what the registry lacks. */
  repository(repository: Repository): RepositoryClient {
    const name = formatRepository(repository);
    const client = this.#clients.get(name) ?? this.#connect(repository);
    this.#clients.set(name, client);
    return client;
  }

  #connect(repository: Repository): RepositoryClient {
    const { env, insecure, transport } = this.#options;
    const endpoint = endpointOf(repository.registry, env, insecure);
    const findAuthenticator = () => this.#authenticator(repository, endpoint);
    return new RepositoryClient(new Connection(repository, endpoint, transport.retry, findAuthenticator));
  }

  /** Repositories of one registry may have logins of their own. */
  async #authenticator({ registry, path }: Repository, endpoint: Endpoint): Promise<Authenticator> {
    const key = `${registry} ${await this.#credentials.scopeOf(registry, path)}`;
    let authenticator = this.#authenticators.get(key);
    if (authenticator === undefined) {
      const findCredential = () => this.#credentials.find(registry, path);
      authenticator = new Authenticator({ ...this.#options, registry, endpoint, findCredential });
      this.#authenticators.set(key, authenticator);
    }
    return authenticator;
  }
}
