import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ArtifactService, startArtifactService } from './parts/artifact-service.ts';
import type { StoredArtifact } from './parts/artifact-store.ts';
import { type Architecture, type BuildKit, nativeArchitecture, startBuildKit } from './parts/buildkit.ts';
import { ClientSettings } from './parts/client-settings.ts';
import { Guard } from './parts/guard.ts';
import type { JobClaims } from './parts/oidc-claims.ts';
import { type OidcIssuer, startOidcIssuer } from './parts/oidc-issuer.ts';
import { type Credentials, type Registry, type RegistryKind, startRegistry } from './parts/registries.ts';
import { type Sigstore, type SigstoreOptions, startSigstore } from './parts/sigstore.ts';
import { binDirectory } from './tools/catalog.ts';
import { requireRoot } from './tools/debian.ts';

export interface LabOptions {
  /** The runners' BuildKit daemons: both, or those named. Needs root. */
  buildkit?: boolean | readonly Architecture[];
  registries?: readonly RegistryKind[];
  /**
   * Fulcio, Rekor, timestamp authority, certificate log; the OIDC issuer comes with them. `true` is a Rekor v2,
   * `{ logs: [1] }` adds a Rekor v1.
   */
  sigstore?: boolean | SigstoreOptions;
  /** The artifact service of the runs. */
  artifacts?: boolean;
}

/** One job of one run, as a runner would set it up. */
export interface JobOptions {
  /** The runner's architecture; the machine's own without it. */
  architecture?: Architecture;
  /** The run's number. */
  run?: string;
  job?: string;
  attempt?: number;
  /** Claims of the job's ID token, beyond run and attempt. */
  claims?: JobClaims;
  /** Without `id-token: write` the job has no request variables. */
  idToken?: boolean;
  /** Addresses of proxies in front of the services. */
  through?: { artifacts?: string; oidc?: string };
}

/** A running lab. Asking for a part that was not started is an error that says so. */
export interface Lab {
  /** Its folder; everything in it goes with the lab. */
  readonly directory: string;
  /** The logs of its parts. */
  readonly logs: string;
  readonly issuer: OidcIssuer;
  readonly artifacts: ArtifactService;
  readonly sigstore: Sigstore;
  readonly buildkit: BuildKit;
  /** All registries that were started. */
  readonly registries: readonly Registry[];
  registry(kind: RegistryKind): Registry;
  /** What a job on a runner finds in its environment, and nothing else of this machine. */
  environment(job?: JobOptions): Record<string, string>;
  /** Enters credentials for one more host, such as a proxy in front of a registry, where Docker's clients look. */
  login(host: string, credentials: Credentials): Promise<void>;
  /** The artifacts of a run; none where the lab has no artifact service. */
  artifactsIfAny(run: string): readonly StoredArtifact[];
  /** A new folder in the lab's own. */
  folder(name: string): Promise<string>;
  /** Ends every process, undoes every mount, removes the folder. May be called twice. */
  close(): Promise<void>;
}

/**
 * Brings up the chosen parts, each as soon as what it stands on is there; returns when all of them answer.
 * MANIFOLD_KEEP_LAB=1 leaves the lab's folder behind when it ends.
 */
export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const asRoot = options.buildkit ? requireRoot('BuildKit') : [];
  const guard = new Guard('lab', asRoot);
  if (process.env.MANIFOLD_KEEP_LAB === '1') guard.keep();
  const lab = new RunningLab(guard, asRoot);
  try {
    await lab.start(options);
    return lab;
  } catch (error) {
    guard.keep();
    await lab.close();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`the lab did not start; its logs are kept in ${lab.logs}. ${reason}`, { cause: error });
  }
}

class RunningLab implements Lab {
  readonly directory: string;
  readonly logs: string;
  readonly registries: Registry[] = [];
  readonly #guard: Guard;
  readonly #asRoot: readonly string[];
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #clients: ClientSettings;
  #issuer: OidcIssuer | undefined;
  #artifacts: ArtifactService | undefined;
  #sigstore: Sigstore | undefined;
  #buildkit: BuildKit | undefined;
  #closing: Promise<void> | undefined;
  #folders = 0;

  constructor(guard: Guard, asRoot: readonly string[]) {
    this.#guard = guard;
    this.#asRoot = asRoot;
    this.directory = guard.directory;
    this.logs = guard.logs;
    this.#clients = new ClientSettings(guard.directory);
  }

  get issuer(): OidcIssuer {
    return started(this.#issuer, 'sigstore');
  }

  get artifacts(): ArtifactService {
    return started(this.#artifacts, 'artifacts');
  }

  get sigstore(): Sigstore {
    return started(this.#sigstore, 'sigstore');
  }

  get buildkit(): BuildKit {
    return started(this.#buildkit, 'buildkit');
  }

  registry(kind: RegistryKind): Registry {
    const found = this.registries.find(registry => registry.kind === kind);
    return started(found, `registries: ['${kind}']`);
  }

  async start(options: LabOptions): Promise<void> {
    const work = [
      this.#startIdentity(options),
      this.#startArtifacts(options),
      this.#startRegistries(options).then(() => this.#startBuilders(options)),
    ];
    // One that fails does not leave the others starting behind our back.
    const failed = (await Promise.allSettled(work)).find(result => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  environment(job: JobOptions = {}): Record<string, string> {
    const { run = '1001', attempt = 1, architecture = nativeArchitecture() } = job;
    const claims: JobClaims = { run_id: run, run_attempt: `${attempt}`, ...job.claims };
    const ca = this.registries.find(registry => registry.ca !== undefined)?.ca;
    const builder = this.#buildkit?.builders[architecture]?.name;
    const { artifacts, oidc } = job.through ?? {};
    return {
      PATH: `${binDirectory()}:${process.env.PATH ?? '/usr/bin:/bin'}`,
      ...this.#clients.environment,
      RUNNER_ARCH: architecture === 'arm64' ? 'ARM64' : 'X64',
      RUNNER_OS: 'Linux',
      RUNNER_TEMP: join(this.directory, 'runner'),
      GITHUB_RUN_ID: run,
      GITHUB_RUN_ATTEMPT: `${attempt}`,
      ...(builder === undefined ? {} : { BUILDX_BUILDER: builder }),
      // For clients in Go and for Node: each has a way of its own to trust one more authority.
      ...(ca === undefined ? {} : { SSL_CERT_FILE: ca, NODE_EXTRA_CA_CERTS: ca }),
      ...this.#artifacts?.jobEnvironment(run, job.job ?? 'job', attempt, artifacts),
      ...(job.idToken === false ? {} : this.#issuer?.jobEnvironment(claims, oidc)),
      // So that whatever a job leaves running ends with the lab.
      ...this.#guard.environment,
    };
  }

  login(host: string, credentials: Credentials): Promise<void> {
    return this.#clients.login(host, credentials);
  }

  artifactsIfAny(run: string): readonly StoredArtifact[] {
    return this.#artifacts?.artifacts(run) ?? [];
  }

  async folder(name: string): Promise<string> {
    this.#folders++;
    const path = join(this.directory, `${name}-${this.#folders}`);
    await mkdir(path, { recursive: true });
    return path;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#closers.map(close => close()));
    await this.#guard.close();
  }

  async #startIdentity(options: LabOptions): Promise<void> {
    if (!options.sigstore) return;
    const issuer = await startOidcIssuer();
    this.#issuer = issuer;
    this.#closers.push(() => issuer.close());
    const sigstore = await startSigstore(
      this.#guard,
      issuer.url,
      options.sigstore === true ? {} : options.sigstore,
    );
    this.#sigstore = sigstore;
    this.#closers.push(() => sigstore.close());
  }

  async #startArtifacts(options: LabOptions): Promise<void> {
    if (!options.artifacts) return;
    const artifacts = await startArtifactService();
    this.#artifacts = artifacts;
    this.#closers.push(() => artifacts.close());
  }

  async #startRegistries(options: LabOptions): Promise<void> {
    await Promise.all(
      (options.registries ?? []).map(async kind => {
        const registry = await startRegistry(this.#guard, kind);
        this.registries.push(registry);
        this.#closers.push(() => registry.close());
      }),
    );
    await this.#clients.write(this.registries);
  }

  async #startBuilders(options: LabOptions): Promise<void> {
    if (!options.buildkit) return;
    await this.#clients.installBuildx();
    const buildkit = await startBuildKit(this.#guard, {
      architectures: options.buildkit === true ? ['amd64', 'arm64'] : options.buildkit,
      registries: this.registries,
      environment: this.#clients.docker,
      asRoot: this.#asRoot,
    });
    this.#buildkit = buildkit;
    this.#closers.push(() => buildkit.close());
  }
}

function started<T>(part: T | undefined, option: string): T {
  if (part === undefined)
    throw new Error(`this lab was started without it: ask for it by the option ${option}`);
  return part;
}
