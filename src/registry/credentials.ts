import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { checkDocument, parseDocument } from '../document.ts';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import { dockerConfigDirectory } from './endpoint.ts';

/** What a login left behind: a name and password, or a refresh token ("identity token"). */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'refresh-token'; readonly token: string };

const config = v.object({
  auths: v.optional(
    v.record(
      v.string(),
      v.object({
        auth: v.optional(v.string()),
        username: v.optional(v.string()),
        password: v.optional(v.string()),
        identitytoken: v.optional(v.string()),
      }),
    ),
  ),
  credHelpers: v.optional(v.record(v.string(), v.string())),
  credsStore: v.optional(v.string()),
});
const helperAnswer = v.object({ Username: v.string(), Secret: v.string() });

type DockerConfig = v.InferOutput<typeof config>;

const DOCKER_HUB_KEYS = [
  'https://index.docker.io/v1/',
  'index.docker.io',
  'docker.io',
  'registry-1.docker.io',
];

/** The logins of Docker's `config.json`, which docker/login-action and every other login write. */
export class Credentials {
  readonly #env: NodeJS.ProcessEnv;
  #config: Promise<DockerConfig> | undefined;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /**
   * The login for a registry, or undefined where there is none (anonymous).
   * @throws ManifoldError `credentials` when the file or a helper cannot be understood
   */
  async find(registry: string): Promise<Credential | undefined> {
    this.#config ??= readConfig(this.#env);
    const file = await this.#config;
    const keys =
      registry === 'docker.io' ? DOCKER_HUB_KEYS : [registry, `https://${registry}`, `https://${registry}/`];
    for (const key of keys) {
      const helper = file.credHelpers?.[key];
      if (helper !== undefined) return askHelper(helper, key, this.#env);
    }
    for (const key of keys) {
      const entry = file.auths?.[key];
      if (entry?.identitytoken) return { kind: 'refresh-token', token: entry.identitytoken };
      if (entry?.auth) return decodeAuth(entry.auth, registry);
      if (entry?.username && entry.password) {
        return { kind: 'password', username: entry.username, password: entry.password };
      }
    }
    if (file.credsStore === undefined) return undefined;
    for (const key of keys) {
      const found = await askHelper(file.credsStore, key, this.#env);
      if (found !== undefined) return found;
    }
    return undefined;
  }
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

function decodeAuth(auth: string, registry: string): Credential {
  const text = Buffer.from(auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1) {
    throw new ManifoldError(
      'credentials',
      `The login for ${registry} in Docker's config.json is not base64 of "user:password".`,
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

/** Docker's credential helper protocol: `docker-credential-NAME get`, the server on stdin, JSON on stdout. */
async function askHelper(
  helper: string,
  server: string,
  env: NodeJS.ProcessEnv,
): Promise<Credential | undefined> {
  const command = `docker-credential-${helper}`;
  const { code, stdout } = await runHelper(command, server, env);
  if (code !== 0) {
    if (/credentials not found/i.test(stdout)) return undefined;
    throw new ManifoldError(
      'credentials',
      // What looks like an answer may hold a password, whatever the exit code is.
      `${command} failed for ${server}: ${stdout.includes('{') ? `exit code ${code}` : oneLine(stdout) || `exit code ${code}`}.`,
    );
  }
  let answer: unknown;
  try {
    answer = JSON.parse(stdout);
  } catch {
    // The text itself may hold the password: it is not shown.
    throw new ManifoldError('credentials', `${command} did not answer with JSON for ${server}.`);
  }
  const { Username, Secret } = checkDocument(helperAnswer, answer, `the answer of ${command}`, {
    code: 'credentials',
    secret: true,
  });
  if (Username === '<token>') return { kind: 'refresh-token', token: Secret };
  return { kind: 'password', username: Username, password: Secret };
}

function runHelper(
  command: string,
  input: string,
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, ['get'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.on('error', error => {
      reject(
        new ManifoldError(
          'credentials',
          `Docker's config.json names the credential helper ${command}, which cannot be started.`,
          { cause: error },
        ),
      );
    });
    child.on('close', code => resolve({ code, stdout }));
    child.stdin.on('error', () => {}); // a helper that ends without reading tells by its exit code
    child.stdin.end(input);
  });
}
