import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toolPath } from '../tools/catalog.ts';
import type { Credentials, Registry } from './registries.ts';

/** The folders where Docker's clients and regctl look for their settings: the same for all jobs of a lab. */
export class ClientSettings {
  /** The folders of Docker's clients alone. */
  readonly docker: Readonly<Record<'DOCKER_CONFIG' | 'BUILDX_CONFIG', string>>;
  /** What tells a job of all of them. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #home: string;
  readonly #regctl: string;
  readonly #auths = new Map<string, { auth: string }>();

  /** @param directory the lab's */
  constructor(directory: string) {
    this.docker = { DOCKER_CONFIG: join(directory, 'docker'), BUILDX_CONFIG: join(directory, 'buildx') };
    this.#home = join(directory, 'home');
    this.#regctl = join(directory, 'regctl.json');
    this.environment = { HOME: this.#home, ...this.docker, REGCTL_CONFIG: this.#regctl };
  }

  /** Makes the folders, with credentials for every registry that asks. */
  async write(registries: readonly Registry[]): Promise<void> {
    for (const folder of [this.#plugins, this.docker.BUILDX_CONFIG, this.#home]) {
      await mkdir(folder, { recursive: true });
    }
    await writeFile(this.#logins, '{}');
    for (const { host, credentials } of registries) {
      if (credentials) await this.login(host, credentials);
    }
    await this.#writeHosts(registries);
  }

  /** Enters credentials for one more host. */
  async login(host: string, { username, password }: Credentials): Promise<void> {
    this.#auths.set(host, { auth: Buffer.from(`${username}:${password}`).toString('base64') });
    const auths = Object.fromEntries(this.#auths);
    await writeFile(this.#logins, JSON.stringify({ auths }, undefined, 2));
  }

  /** Makes buildx a plugin of docker. */
  async installBuildx(): Promise<void> {
    await symlink(toolPath('buildx'), join(this.#plugins, 'docker-buildx'));
  }

  get #logins(): string {
    return join(this.docker.DOCKER_CONFIG, 'config.json');
  }

  get #plugins(): string {
    return join(this.docker.DOCKER_CONFIG, 'cli-plugins');
  }

  /** regctl alone does not know that loopback is plain HTTP. */
  async #writeHosts(registries: readonly Registry[]): Promise<void> {
    const hosts = await Promise.all(
      registries.map(async ({ host, ca }) => [
        host,
        ca === undefined ? { tls: 'disabled' } : { tls: 'enabled', regcert: await readFile(ca, 'utf8') },
      ]),
    );
    await writeFile(this.#regctl, JSON.stringify({ hosts: Object.fromEntries(hosts) }, undefined, 2));
  }
}
