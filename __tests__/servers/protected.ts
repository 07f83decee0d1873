import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { signWithSecret } from '../../lab/parts/jwt.ts';
import { type RegistryUser, startTokenService } from '../../lab/parts/token-service.ts';
import { FAST, opened, registries, temporaryFolder } from './clients.ts';
import { type RegistryOptions, startRegistry } from './registry.ts';

export const PASSWORD = 'pass:w0rd';
export const USER: RegistryUser = {
  password: PASSWORD,
  rights: [{ repository: 'acme/*', actions: ['pull', 'push'] }],
};

/** A folder with a login for this registry. */
export function login(
  host: string,
  entry: object = { auth: Buffer.from(`ci:${PASSWORD}`).toString('base64') },
): string {
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ auths: { [host]: entry } }));
  return folder;
}

export interface Setup {
  readonly user?: RegistryUser;
  readonly lifetime?: number;
  readonly anonymous?: boolean;
  readonly loggedIn?: boolean;
}

/** A registry behind a token service, and a client that is logged in to it. */
export async function protectedRegistry(setup: Setup = {}) {
  const { user = USER, lifetime = 300, anonymous = false, loggedIn = true } = setup;
  const tokens = await opened(
    startTokenService({ users: { ci: user }, lifetime, ...(anonymous ? { anonymous: user.rights } : {}) }),
  );
  const registry = await opened(startRegistry({ bearer: { realm: tokens.realm, service: tokens.service } }));
  const secrets: string[] = [];
  const env = loggedIn ? { DOCKER_CONFIG: login(registry.host) } : {};
  const clients = registries({ env, secrets });
  const client = clients.repository({ registry: registry.host, path: 'acme/app' });
  return { tokens, registry, clients, client, secrets };
}

/** A registry that asks for whatever this header says, and a program that answers for its token service. */
export async function challenging(options: RegistryOptions, entry?: object, retry = FAST) {
  const registry = await opened(startRegistry(options));
  const clients = registries({ env: { DOCKER_CONFIG: login(registry.host, entry) }, retry });
  return { registry, client: clients.repository({ registry: registry.host, path: 'acme/app' }) };
}

export const tokenFor = (name: string): string =>
  signWithSecret(
    { exp: Date.now() / 1000 + 300, access: [{ type: 'repository', name, actions: ['pull', 'push'] }] },
    's',
  );
