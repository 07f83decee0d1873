import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Endpoint, type Handler, serve } from '../../lab/parts/http.ts';
import { temporaryFolder } from './clients.ts';

const ROLES = ['root', 'timestamp', 'snapshot', 'targets'] as const;
export type Role = (typeof ROLES)[number];

const DAY = 86_400_000;

/** What a role of the repository signs with, until when, and how often it has signed. */
interface RoleState {
  key: RoleKey;
  version: number;
  expires: Date;
}

interface RoleKey {
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly public: {
    readonly keytype: string;
    readonly scheme: string;
    readonly keyval: { readonly public: string };
  };
}

/** A repository of The Update Framework (TUF 1.0) with consistent snapshots, whose metadata really verifies. */
export interface TestTuf extends Endpoint {
  /** Content of the targets by their names. What changes here is served once it is published. */
  readonly targets: Map<string, string>;
  readonly roles: Readonly<Record<Role, RoleState>>;
  /** Paths of all requests so far. */
  readonly log: string[];
  /** Everything that is served, by its path: a test may change any of it. */
  readonly files: Map<string, Buffer>;
  /** A file with the first root. */
  readonly rootFile: string;
  /** What tells a job of this repository. */
  readonly env: Readonly<Record<'TUF_MIRROR' | 'TUF_ROOT_JSON', string>>;
  /** Answers requests by hand; the rule that was added last goes first. */
  on(path: RegExp, handler: Handler, times?: number): void;
  /** Signs targets, snapshot and timestamp anew. */
  publish(): void;
  /** Makes the next root with new keys for all roles, and signs it with a key of the last root, or with another one. */
  rotate(by?: RoleKey): void;
}

export async function startTuf(targets: Readonly<Record<string, string>>): Promise<TestTuf> {
  const repository = new Repository(targets);
  const endpoint = await serve((request, response) => repository.answer(request, response));
  const rootFile = path.join(temporaryFolder(), 'root.json');
  writeFileSync(rootFile, repository.files.get('/1.root.json') ?? '');
  const { roles, log, files } = repository;
  return {
    ...endpoint,
    targets: repository.targets,
    roles,
    log,
    files,
    rootFile,
    env: { TUF_MIRROR: endpoint.url, TUF_ROOT_JSON: rootFile },
    on: (pattern, handler, times = Number.POSITIVE_INFINITY) =>
      void repository.rules.unshift({ pattern, handler, left: times }),
    publish: () => repository.publish(),
    rotate: by => repository.rotate(by),
  };
}

class Repository {
  readonly targets: Map<string, string>;
  readonly roles = Object.fromEntries(ROLES.map(role => [role, newRole()])) as Record<Role, RoleState>;
  readonly files = new Map<string, Buffer>();
  readonly log: string[] = [];
  readonly rules: { pattern: RegExp; handler: Handler; left: number }[] = [];

  constructor(targets: Readonly<Record<string, string>>) {
    this.targets = new Map(Object.entries(targets));
    this.#signRoot(this.roles.root.key);
    this.publish();
  }

  publish(): void {
    const listed = [...this.targets].map(([name, text]) => [
      name,
      { length: length(text), hashes: hashes(text) },
    ]);
    for (const [name, text] of this.targets) this.#put(`targets/${hashes(text).sha256}.${name}`, text);
    for (const role of ['targets', 'snapshot', 'timestamp'] as const) this.roles[role].version++;
    const targets = this.#signed('targets', { targets: Object.fromEntries(listed) });
    this.#put(`${this.roles.targets.version}.targets.json`, targets);
    const snapshot = this.#signed('snapshot', { meta: { 'targets.json': this.#meta('targets', targets) } });
    this.#put(`${this.roles.snapshot.version}.snapshot.json`, snapshot);
    const timestamp = this.#signed('timestamp', {
      meta: { 'snapshot.json': this.#meta('snapshot', snapshot) },
    });
    this.#put('timestamp.json', timestamp);
  }

  rotate(by: RoleKey = this.roles.root.key): void {
    for (const role of ROLES) this.roles[role].key = newKey();
    this.#signRoot(by);
    this.publish();
  }

  answer: Handler = (request, response) => {
    const target = request.url ?? '';
    this.log.push(target);
    const rule = this.rules.find(({ pattern, left }) => left > 0 && pattern.test(target));
    if (rule !== undefined) {
      rule.left--;
      return rule.handler(request, response);
    }
    const content = this.files.get(target);
    response.writeHead(content === undefined ? 404 : 200).end(content);
  };

  /** Each root is signed by itself, and by the one before it (section 5.3.4). */
  #signRoot(by: RoleKey): void {
    const { root } = this.roles;
    root.version++;
    const keys = Object.fromEntries(
      ROLES.map(role => [this.roles[role].key.id, this.roles[role].key.public]),
    );
    const roles = Object.fromEntries(
      ROLES.map(role => [role, { keyids: [this.roles[role].key.id], threshold: 1 }]),
    );
    const signers = by.id === root.key.id ? [by] : [by, root.key];
    this.#put(
      `${root.version}.root.json`,
      this.#signed('root', { consistent_snapshot: true, keys, roles }, signers),
    );
  }

  #signed(role: Role, content: object, signers = [this.roles[role].key]): string {
    const { version, expires } = this.roles[role];
    const time = `${expires.toISOString().slice(0, 19)}Z`;
    const signed = { _type: role, spec_version: '1.0', version, expires: time, ...content };
    const bytes = Buffer.from(canonical(signed));
    const signatures = signers.map(({ id, privateKey }) => ({
      keyid: id,
      sig: sign('sha256', bytes, privateKey).toString('hex'),
    }));
    return JSON.stringify({ signed, signatures });
  }

  #meta(role: Role, text: string): object {
    return { version: this.roles[role].version, length: length(text), hashes: hashes(text) };
  }

  #put(name: string, text: string): void {
    this.files.set(`/${name}`, Buffer.from(text));
  }
}

function newRole(): RoleState {
  return { key: newKey(), version: 0, expires: new Date(Date.now() + DAY) };
}

export function newKey(): RoleKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const id = hashes(pem).sha256;
  return {
    id,
    privateKey,
    public: { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: pem } },
  };
}

const length = (text: string): number => Buffer.byteLength(text);
const hashes = (text: string) => ({ sha256: createHash('sha256').update(text).digest('hex') });

/** Canonical JSON (section 4.1): names in order, no space, and of all escapes in texts only those of quote and backslash. */
function canonical(value: unknown): string {
  if (typeof value === 'string') return `"${value.replace(/["\\]/g, '\\$&')}"`;
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, each]) => `${canonical(name)}:${canonical(each)}`).join(',')}}`;
}
