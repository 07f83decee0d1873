import { readFile } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, messageOf } from '../errors.ts';
import { askHelper, type Credential, type HelperOptions } from './credential-helper.ts';
import { dockerConfigDirectory } from './endpoint.ts';

export type { Credential };

const login = v.object({
  auth: v.optional(v.string()),
  username: v.optional(v.string()),
  password: v.optional(v.string()),
  identitytoken: v.optional(v.string()),
});
const config = v.object({
  auths: v.optional(v.record(v.string(), login)),
  credHelpers: v.optional(v.record(v.string(), v.string())),
  credsStore: v.optional(v.string()),
});

type DockerConfig = v.InferOutput<typeof config>;
type Login = v.InferOutput<typeof login>;

/** Docker Hub's old address comes first: Docker's own login writes it. */
const DOCKER_HUB_HOSTS = ['index.docker.io', 'docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'];
const DOCKER_HUB_SERVER = 'https://index.docker.io/v1/';

/** Milliseconds. Helpers of the clouds ask a service of theirs for a password. */
const HELPER_TIMEOUT = 60_000;

/** The logins of Docker's `config.json`, which docker/login-action and every other login write. */
export class Credentials {
  readonly #options: HelperOptions;
  #config: Promise<DockerConfig> | undefined;

  constructor(env: NodeJS.ProcessEnv, helperTimeout = HELPER_TIMEOUT) {
    this.#options = { env, timeout: helperTimeout };
  }

  /**
   * The login for a registry, or undefined where there is none (anonymous). One for the repository, or for what it lies
   * in, comes before one for the whole registry, as podman and its kin write them (containers-auth.json(5)).
   * @param repository the path in the registry: `acme/app`
   * @throws ManifoldError `credentials` when the file or a helper cannot be understood
   */
  async find(registry: string, repository = ''): Promise<Credential | undefined> {
    const file = await this.#file();
    const narrow = narrowKey(file, registry, repository);
    if (narrow !== undefined) return credentialOf(file.auths?.[narrow], narrow);
    for (const server of serversOf(registry)) {
      const helper = file.credHelpers?.[server];
      if (helper !== undefined) return askHelper(helper, server, this.#options);
    }
    for (const key of hostKeys(registry)) {
      const found = credentialOf(file.auths?.[key], registry);
      if (found !== undefined) return found;
    }
    if (file.credsStore === undefined) return undefined;
    for (const server of serversOf(registry)) {
      const found = await askHelper(file.credsStore, server, this.#options);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /**
   * Names the login that `find` would find, without asking any helper: repositories of one registry with the same name
   * here are logged in to as one.
   */
  async scopeOf(registry: string, repository: string): Promise<string> {
    return narrowKey(await this.#file(), registry, repository) ?? registry;
  }

  #file(): Promise<DockerConfig> {
    this.#config ??= readConfig(this.#options.env);
    return this.#config;
  }
}

/** The longest of `ghcr.io/acme/app`, `ghcr.io/acme` that has a login. */
function narrowKey(file: DockerConfig, registry: string, repository: string): string | undefined {
  const parts = repository === '' ? [] : repository.split('/');
  const keys = parts.map((_, index) => [registry, ...parts.slice(0, parts.length - index)].join('/'));
  return keys.find(key => credentialOf(file.auths?.[key], key) !== undefined);
}

/** All ways in which a login for a whole host is written: bare, or as the address of its API. */
function hostKeys(registry: string): string[] {
  const hosts = registry === 'docker.io' ? DOCKER_HUB_HOSTS : [registry];
  const keys = hosts.flatMap(host => {
    const addresses = ['', '/', '/v1', '/v1/', '/v2', '/v2/'].map(end => `https://${host}${end}`);
    return [host, ...addresses];
  });
  return registry === 'docker.io' ? [DOCKER_HUB_SERVER, ...keys] : keys;
}

/** The names that helpers are asked by. Fewer than those in files: each costs a process. */
function serversOf(registry: string): string[] {
  if (registry === 'docker.io') return [DOCKER_HUB_SERVER, ...DOCKER_HUB_HOSTS];
  return [registry, `https://${registry}`, `https://${registry}/`];
}

async function readConfig(env: NodeJS.ProcessEnv): Promise<DockerConfig> {
  const file = path.join(dockerConfigDirectory(env), 'config.json');
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new ManifoldError('credentials', `Docker's login file cannot be read: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  return parseDocument(config, bytes, "Docker's login file config.json", {
    code: 'credentials',
    secret: true,
  });
}

/** @returns undefined for no entry and for one that names no login: Docker writes such ones beside a store */
function credentialOf(entry: Login | undefined, where: string): Credential | undefined {
  if (entry?.identitytoken) return { kind: 'refresh-token', token: entry.identitytoken };
  if (entry?.auth) return decodeAuth(entry.auth, where);
  if (entry?.username && entry.password)
    return { kind: 'password', username: entry.username, password: entry.password };
  return undefined;
}

function decodeAuth(auth: string, where: string): Credential {
  const text = Buffer.from(auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1) {
    throw new ManifoldError(
      'credentials',
      `The login for ${where} in Docker's config.json is not base64 of "user:password".`,
      {
        hint: 'Log in again with docker/login-action.',
      },
    );
  }
  return {
    kind: 'password',
    username: text.slice(0, colon),
    password: text.slice(colon + 1).replace(/\0+$/, ''),
  };
}
