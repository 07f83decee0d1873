import type { Right } from '../../../lab/parts/token-service.ts';
import { opened } from '../../servers/clients.ts';
import { PASSWORD } from '../../servers/protected.ts';
import { type Answer, type RegistryOptions, startRegistry } from '../../servers/registry.ts';
import type { Storage } from './storage.ts';
import type { Tokens } from './tokens.ts';

/** What a test may ask of any of the public registries. */
export interface FakeOptions {
  /** What the login may do; by default everything below acme/. */
  readonly rights?: readonly Right[];
  /** What is open to everybody. */
  readonly open?: readonly Right[];
  /** Seconds that a token lives. */
  readonly lifetime?: number;
  /** Tags that stay where they are once they are set. */
  readonly immutable?: RegExp;
  /** The repositories that there are, for registries where a push makes none. */
  readonly repositories?: readonly string[];
  /** How many looks at a manifest come to nothing after it was pushed. */
  readonly lag?: number;
}

/** A public registry on loopback: the in-memory registry, with this one's habits. */
export interface Fake {
  readonly options: RegistryOptions;
  /** An entry of Docker's `config.json` that logs in to it. */
  readonly login: object;
  /** How it says "not so fast". */
  readonly rateLimit: Answer;
  readonly tokens?: Tokens;
  readonly storage?: Storage;
}

export type Make = (options?: FakeOptions) => Promise<Fake>;

export const EVERYTHING: readonly Right[] = [{ repository: 'acme/*', actions: ['pull', 'push'] }];

export const loginOf = (user: string): object => ({
  auth: Buffer.from(`${user}:${PASSWORD}`).toString('base64'),
});

/** Starts a registry that has these habits until the test ends. */
export async function started(making: Promise<Fake>) {
  const fake = await making;
  return { ...fake, ...(await opened(startRegistry(fake.options))) };
}

export function covers(rights: readonly Right[], repository: string, action: string): boolean {
  return rights.some(
    right =>
      right.actions.some(granted => granted === action) &&
      (right.repository.endsWith('/*')
        ? repository.startsWith(right.repository.slice(0, -1))
        : right.repository === repository),
  );
}
