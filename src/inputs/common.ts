import { ManifoldError, oneLine } from '../errors.ts';
import { parseRepository } from '../oci/reference.ts';
import { foreignTo, type Mode } from './foreign.ts';
import type { InputReader } from './reader.ts';

/** What every mode takes, as all talk to registries. */
export interface RegistryInputs {
  /** Milliseconds for which a request that fails for a passing reason is repeated. */
  readonly retryBudget: number;
  /** Hosts, with their port, that speak plain HTTP. */
  readonly insecureRegistries: ReadonlySet<string>;
}

/** What the modes take that records cross between. */
export interface CommonInputs extends RegistryInputs {
  /** Folder through which records cross; undefined: the artifact service. */
  readonly records: string | undefined;
  /** For a private repository as the context of a build, and for artifacts that the run's own service withholds. */
  readonly githubToken: string | undefined;
}

export function readRegistryInputs(input: InputReader): RegistryInputs {
  return {
    retryBudget: (input.wholeNumber('retry-budget', 0, 3600) ?? 120) * 1000,
    insecureRegistries: new Set(input.list('insecure-registries', parseHost)),
  };
}

export function readCommonInputs(input: InputReader): CommonInputs {
  return {
    ...readRegistryInputs(input),
    records: input.optional('records'),
    githubToken: input.optional('github-token'),
  };
}

/** A host as the names of images have it: by another spelling, such as a pattern, none would ever be meant. */
function parseHost(text: string): string {
  const host = text.toLowerCase();
  if (isRegistry(host)) return host;
  const inside = /^(?:https?:\/\/)?([^/]+)/.exec(host)?.[1] ?? '';
  const right = isRegistry(inside) ? `Write ${inside}.` : 'As in registry.internal:5000.';
  throw new ManifoldError('invalid-input', `"${oneLine(text)}" in "insecure-registries" is no host.`, {
    hint: `Name each host as images name it, with its port where it has one, and nothing else. ${right}`,
  });
}

function isRegistry(host: string): boolean {
  try {
    return parseRepository(`${host}/app`).registry === host;
  } catch {
    return false; // the caller names the input
  }
}

/** An input that would be ignored is a misunderstanding: it is better said than shipped. */
export function refuseForeign(input: InputReader, mode: Mode, remedies: Record<string, string>): void {
  const found = foreignTo(mode).find(([candidate]) => input.optional(candidate) !== undefined);
  if (found === undefined) return;
  const [name, modes] = found;
  throw new ManifoldError('invalid-input', `The input "${name}" means nothing in "mode: ${mode}".`, {
    hint:
      remedies[name] ??
      `It belongs to the steps with ${modes.map(other => `"mode: ${other}"`).join(' or ')}.`,
  });
}
