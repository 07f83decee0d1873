import type { OutgoingHttpHeaders } from 'node:http';
import { seededRandom } from './random.ts';

/** Which requests are meant: all that it names must hold, and what it leaves out holds always. */
export interface RequestPattern {
  readonly method?: string;
  /** Tested against path and query. */
  readonly path?: RegExp;
}

/** What happens to a request that a rule meets. */
export type FaultAction =
  /** Answered by the proxy; the server never sees it. */
  | { readonly status: number; readonly headers?: OutgoingHttpHeaders; readonly body?: string }
  /** The connection breaks: before the server sees the request, or after it has done the work. */
  | { readonly reset: 'before' | 'after' }
  /** Milliseconds before it is forwarded. */
  | { readonly delay: number }
  /** The response breaks off after so many bytes of its body. */
  | { readonly truncate: number }
  /** Response headers to change; undefined removes one. */
  | { readonly headers: Readonly<Record<string, string | undefined>> }
  /** Bytes of the response body are changed; its length may change too. */
  | { readonly rewrite: (body: Buffer) => Buffer }
  /** The server does the work, but no answer ever comes. */
  | { readonly drop: true };

export interface FaultRule extends RequestPattern {
  /** Which of the matching requests, counted from 1 since the rule was added; every one without it. */
  readonly on?: number | readonly number[] | ((n: number) => boolean);
  /** Chance from 0 to 1, from a generator with a known seed. */
  readonly probability?: number;
  readonly action: FaultAction;
}

/** A rule at work. */
export interface ActiveRule {
  /** Requests that its pattern matched. */
  readonly matched: number;
  /** Requests that its action was applied to. */
  readonly applied: number;
  remove(): void;
}

export function matches(pattern: RequestPattern, method: string, path: string): boolean {
  if (pattern.method !== undefined && pattern.method !== method) return false;
  // A sticky or global expression remembers where it stopped; each request is a new question.
  if (pattern.path) pattern.path.lastIndex = 0;
  return pattern.path?.test(path) ?? true;
}

/** The rules of one proxy, in the order they were added; the first that applies decides. */
export class FaultRules {
  readonly #rules: { rule: FaultRule; matched: number; applied: number }[] = [];
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  add(rule: FaultRule): ActiveRule {
    const entry = { rule, matched: 0, applied: 0 };
    this.#rules.push(entry);
    return {
      get matched() {
        return entry.matched;
      },
      get applied() {
        return entry.applied;
      },
      remove: () => {
        const at = this.#rules.indexOf(entry);
        if (at >= 0) this.#rules.splice(at, 1);
      },
    };
  }

  clear(): void {
    this.#rules.length = 0;
  }

  /** The action for this request; every rule that matches counts it, whichever applies. */
  decide(method: string, path: string): FaultAction | undefined {
    let chosen: FaultAction | undefined;
    for (const entry of this.#rules) {
      if (!matches(entry.rule, method, path)) continue;
      entry.matched++;
      if (chosen || !this.#applies(entry.rule, entry.matched)) continue;
      entry.applied++;
      chosen = entry.rule.action;
    }
    return chosen;
  }

  #applies(rule: FaultRule, n: number): boolean {
    const { on, probability } = rule;
    if (typeof on === 'number' && on !== n) return false;
    if (typeof on === 'function' && !on(n)) return false;
    if (Array.isArray(on) && !on.includes(n)) return false;
    return probability === undefined || this.#random() < probability;
  }
}
