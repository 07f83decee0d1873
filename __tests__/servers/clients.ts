import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import type { RetryPolicy } from '../../src/http/retry.ts';
import { Transport, type TransportOptions } from '../../src/http/transport.ts';
import { Registries, type RepositoryClient } from '../../src/registry/client.ts';

/** Retries as in production, but over milliseconds; the budget is there for a machine that is busy with other things. */
export const FAST: RetryPolicy = { budget: 10_000, base: 1, longest: 5 };

/** For what will never succeed. */
export const SHORT: RetryPolicy = { budget: 20, base: 1, longest: 2 };

/** Closes what a test opened when the test ends. */
export async function opened<T extends { close(): void | Promise<void> }>(
  opening: T | Promise<T>,
): Promise<T> {
  const thing = await opening;
  onTestFinished(() => thing.close());
  return thing;
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'manifold-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function transport(options: TransportOptions = {}): Transport {
  const made = new Transport({ retry: FAST, ...options });
  onTestFinished(() => made.close());
  return made;
}

/** Clients with a login folder of their own: what this machine is logged in to is of no interest. */
export function registries(
  options: { env?: NodeJS.ProcessEnv; secrets?: string[]; retry?: RetryPolicy } = {},
) {
  const env = { PATH: process.env.PATH, DOCKER_CONFIG: temporaryFolder(), ...options.env };
  const onSecret = (secret: string): unknown => options.secrets?.push(secret);
  return new Registries({ env, transport: transport({ retry: options.retry ?? FAST }), onSecret });
}

export function clientOf(registry: { host: string }, name = 'acme/app', retry = FAST): RepositoryClient {
  return registries({ retry }).repository({ registry: registry.host, path: name });
}

/** What a call throws, which must be an error of ours. */
export async function failureOf(work: () => unknown): Promise<ManifoldError> {
  let result: unknown;
  try {
    result = await work();
  } catch (error) {
    if (error instanceof ManifoldError) return error;
    throw new Error(`not a ManifoldError: ${String(error)}`, { cause: error });
  }
  throw new Error(`nothing was thrown, but this came: ${JSON.stringify(result)?.slice(0, 300)}`);
}
