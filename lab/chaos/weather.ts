import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TransparencyLog } from '../../__tests__/servers/log.ts';
import { type Contents, sha256 } from '../../__tests__/servers/registry.ts';
import { afterwards, reset } from './answers.ts';
import { EFFECTS } from './effects.ts';
import { type Fault, passes, type RequestKind } from './fault.ts';
import type { Stranger } from './strangers.ts';

/** A request on its way to a service. */
export interface Passing {
  readonly service: string;
  readonly kind: RequestKind;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** For registries: the repository that it is about, and what the last part of its path names. */
  readonly repository?: Contents | undefined;
  readonly reference?: string | undefined;
  /** For registries: makes a token invalid from now on. */
  readonly revoke?: (token: string) => void;
  /** For registries: somebody else who writes to them. */
  readonly stranger?: Stranger | undefined;
  /** For Rekor: the log. */
  readonly transparency?: TransparencyLog | undefined;
}

/** The process dies at this request, counted over all services, before or after the service has acted. */
export interface Kill {
  readonly nth: number;
  /** From where it is counted: from the first request of all, or from the first that is to be a signature's entry in the log. */
  readonly after: 'start' | 'first signature';
  readonly when: 'before' | 'after';
}

/** A fault at work. */
export interface ActiveFault {
  readonly fault: Fault;
  seen: number;
  /** Requests that it has met. */
  hits: number;
  /** The request whose repetitions it follows. */
  followed: string | undefined;
  /** What it has to remember from one request to the next. */
  readonly memory: Map<string, string>;
}

/** What meets later requests in the wake of a fault, a registry that lags for example. */
export interface Wake {
  left: number;
  readonly meets: (request: Passing) => boolean;
  readonly answer: (request: Passing, response: ServerResponse) => void;
}

/** A request may fail so often for passing reasons, all together, and be expected to get through. */
const PATIENCE = 6;

/** Stands between the action and all services, and lets things go wrong. */
export class Weather {
  readonly active: ActiveFault[];
  readonly wakes: Wake[] = [];
  readonly trace: string[] = [];
  requests = 0;
  #isSigning = false;
  #sinceSigning = 0;
  readonly #kill: Kill | undefined;
  readonly #failures = new Map<string, number>();
  readonly #underWay = new Set<ServerResponse>();
  /** Ends the process; set when there is one. */
  onKill: () => void = () => {};
  killed = false;

  constructor(faults: readonly Fault[] = [], kill?: Kill) {
    this.active = faults.map(fault => ({ fault, seen: 0, hits: 0, followed: undefined, memory: new Map() }));
    this.#kill = kill;
  }

  /** Decides what becomes of a request. @returns whether it is answered, or its connection is gone */
  async meet(request: Passing, response: ServerResponse): Promise<boolean> {
    this.requests++;
    this.#isSigning ||= request.service === 'rekor';
    if (this.#isSigning) this.#sinceSigning++;
    this.#underWay.add(response);
    response.once('close', () => this.#underWay.delete(response));
    if (this.#kill !== undefined && this.#isDue(this.#kill))
      return this.#die(request, response, this.#kill.when);
    const wake = this.wakes.find(({ left, meets }) => left > 0 && meets(request));
    if (wake !== undefined) {
      wake.left--;
      this.#note('in its wake', request);
      wake.answer(request, response);
      return response.headersSent || response.destroyed;
    }
    const chosen = this.#choose(request);
    if (chosen === undefined) return false;
    chosen.hits++;
    this.#note(chosen.fault.kind, request);
    await EFFECTS[chosen.fault.kind](request, response, chosen, this);
    return response.headersSent || response.destroyed;
  }

  #isDue({ nth, after }: Kill): boolean {
    return !this.killed && nth === (after === 'start' ? this.requests : this.#sinceSigning);
  }

  /** The faults that have met a request. */
  met(): Fault[] {
    return this.active.filter(({ hits }) => hits > 0).map(({ fault }) => fault);
  }

  #note(what: string, { service, method, path }: Passing): void {
    this.trace.push(`request ${this.requests}: ${what}: ${service} ${method} ${path}`);
  }

  #die(request: Passing, response: ServerResponse, when: Kill['when']): boolean {
    this.#note(`killed ${when} it`, request);
    this.killed = true;
    const die = (): void => this.onKill();
    if (when === 'before') {
      die();
      reset(response);
      return true;
    }
    afterwards(response, () => {
      die();
      return 'reset';
    });
    return false;
  }

  /** The first fault that means this request; each counts it, whichever is chosen. */
  #choose(request: Passing): ActiveFault | undefined {
    if (this.active.length === 0) return undefined;
    const key = `${request.method} ${request.path.split('?')[0]} ${sha256(request.body)}`;
    let chosen: ActiveFault | undefined;
    for (const active of this.active) {
      const { service, on, nth, times, follows } = active.fault;
      if (service !== request.service || (on !== undefined && on !== request.kind)) continue;
      active.seen++;
      if (active.seen < nth || active.hits >= times) continue;
      if (follows && (active.followed ?? key) !== key) continue;
      if (chosen !== undefined || this.#isSpared(active.fault, key)) continue;
      active.followed = key;
      chosen = active;
    }
    return chosen;
  }

  #isSpared(fault: Fault, key: string): boolean {
    if (!passes(fault)) return false;
    const failures = this.#failures.get(key) ?? 0;
    if (failures >= PATIENCE) return true;
    this.#failures.set(key, failures + 1);
    return false;
  }

  /** Resolves when the services have nothing to do any more: what a dead process had sent still has its effect. */
  async settled(): Promise<void> {
    for (let quiet = 0; quiet < 5; quiet++) {
      // A response whose sender had gone already is destroyed, and its end is not told.
      const open = [...this.#underWay].some(response => !response.destroyed);
      if (open) quiet = -1;
      await sleep(1);
      await new Promise(resolve => setImmediate(resolve));
    }
  }
}
