import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { isLoopback } from '../http/url.ts';

/** Where a registry's API is, and which certificates it may show. */
export interface Endpoint {
  readonly url: URL;
  /** PEM certificates trusted for this host besides the system's. */
  readonly ca?: string;
}

/** The folder of Docker's client configuration. */
export function dockerConfigDirectory(env: NodeJS.ProcessEnv): string {
  return env.DOCKER_CONFIG || path.join(env.HOME || homedir(), '.docker');
}

/**
 * The endpoint of a registry by its host. Docker Hub's API has another name than its images. A host on the loopback
 * interface speaks plain HTTP, as for every container tool, and so does one that is named in `insecure`, unless a
 * certificate was installed for it in Docker's `certs.d/<host>/`; every other host speaks TLS.
 * @param insecure hosts as images name them, each with its port where it has one, as Docker's `insecure-registries`
 */
export function endpointOf(
  registry: string,
  env: NodeJS.ProcessEnv,
  insecure: ReadonlySet<string> = new Set(),
): Endpoint {
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const ca = installedCertificates(host, env);
  const isPlain = ca === undefined && (isLoopback(host) || insecure.has(registry));
  const scheme = isPlain ? 'http' : 'https';
  const url = new URL(`${scheme}://${host}/v2/`);
  return ca === undefined ? { url } : { url, ca };
}

/** Docker reads `*.crt` of `certs.d/<host>/` (docs.docker.com, "Verify repository client with certificates"). */
function installedCertificates(host: string, env: NodeJS.ProcessEnv): string | undefined {
  const folders = [
    path.join(dockerConfigDirectory(env), 'certs.d', host),
    path.join('/etc/docker/certs.d', host),
  ];
  for (const folder of folders) {
    const names = listing(folder).filter(name => name.endsWith('.crt'));
    if (names.length > 0) return names.map(name => readFileSync(path.join(folder, name), 'utf8')).join('\n');
  }
  return undefined;
}

function listing(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // no such folder: no certificates of its own
  }
}
