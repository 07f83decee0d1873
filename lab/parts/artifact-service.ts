import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerBlob, signedUrl } from './artifact-blobs.ts';
import { answerRest, type DescribedRun } from './artifact-rest.ts';
import {
  ArtifactStore,
  type BackendIds,
  parseRunBackendId,
  runBackendId,
  type StoredArtifact,
} from './artifact-store.ts';
import { authorization, type Endpoint, readBody, requestUrl, sendJson, serve } from './http.ts';
import { signWithSecret, verifyWithSecret } from './jwt.ts';

export type { StoredArtifact } from './artifact-store.ts';

const TWIRP = '/twirp/github.actions.results.api.v1.ArtifactService/';

/** Which artifact of which run; without an attempt the newest that holds the name. */
export interface ArtifactAddress {
  readonly run: string;
  readonly name: string;
  readonly attempt?: number;
}

export interface ArtifactService extends Endpoint {
  /** The token that GitHub's REST API would take: the REST paths of artifacts are served as well. */
  readonly restToken: string;
  /** `ACTIONS_RUNTIME_TOKEN` of one job in one attempt of a run. */
  runtimeToken(run: string, job: string, attempt?: number): string;
  /** The variables that a JavaScript action gets for this service; `through` is a proxy in front of it. */
  jobEnvironment(run: string, job: string, attempt?: number, through?: string): Record<string, string>;
  /** Everything stored, of all runs or of one, unfinished uploads included. */
  artifacts(run?: string): readonly StoredArtifact[];
  /** Stores a finished artifact at once, as if a job had uploaded it: for tests that are not about uploads. */
  put(address: ArtifactAddress, bytes: Buffer): void;
  /** Stores other bytes under a finished artifact; size and hash stay as the uploader stated them. */
  tamper(address: ArtifactAddress, bytes: Buffer): void;
  /** Chosen artifacts stay listed, but their URL is answered with 404 (actions/download-artifact#486). */
  withhold(chosen: (artifact: StoredArtifact) => boolean): void;
  /** Ends an artifact's time: the results service lists it no more, the REST API as expired. */
  expire(address: ArtifactAddress): void;
  /** What the REST API says of a run from now on, beside what it says of every run. */
  describeRun(run: string, description: DescribedRun): void;
  /** Called before the bytes of an artifact are sent, which wait for it. */
  onDownload(wait: (artifact: StoredArtifact) => Promise<void>): void;
  /** The attempt of "Re-run all jobs": it sees no artifact of earlier attempts. */
  startAfresh(run: string, attempt: number): void;
}

/** The Actions results service as `@actions/artifact` 6 talks to it. */
export async function startArtifactService(): Promise<ArtifactService> {
  const service = new Service();
  const endpoint = await serve((request, response) => service.answer(request, response));
  const { store } = service;
  const runtimeToken = (run: string, job: string, attempt = 1): string => service.token(run, job, attempt);
  return {
    ...endpoint,
    restToken: service.secret,
    runtimeToken,
    jobEnvironment: (run, job, attempt = 1, through = endpoint.url) => ({
      ACTIONS_RESULTS_URL: `${through}/`,
      ACTIONS_RUNTIME_TOKEN: runtimeToken(run, job, attempt),
    }),
    artifacts: run => store.all().filter(artifact => run === undefined || artifact.run === run),
    put: ({ run, name, attempt = 1 }, bytes) => {
      const details = { mimeType: 'application/octet-stream', version: 7, expiresAt: undefined };
      const artifact = store.create({ run, attempt, job: 'job' }, name, details);
      if (!artifact) throw new Error(`run ${run} has an artifact "${name}" already`);
      const hash = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      Object.assign(artifact, { bytes, size: bytes.byteLength, hash, finalized: true });
    },
    tamper: (address, bytes) => {
      addressed(store, address).bytes = bytes;
    },
    expire: address => {
      addressed(store, address).expired = true;
    },
    describeRun: (run, description) => service.runs.set(run, description),
    onDownload: wait => {
      service.beforeDownload = wait;
    },
    withhold: chosen => {
      service.withheld = chosen;
    },
    startAfresh: (run, attempt) => store.startAfresh(run, attempt),
  };
}

function addressed(store: ArtifactStore, { run, name, attempt }: ArtifactAddress): StoredArtifact {
  const found = store.all().filter(a => a.run === run && a.name === name);
  const chosen = found.findLast(a => a.attempt === (attempt ?? a.attempt));
  if (!chosen) throw new Error(`run ${run} has no artifact "${name}"`);
  return chosen;
}

/** A Twirp error: its code tells the HTTP status (twitchtv.github.io/twirp, "Errors"). */
class TwirpError extends Error {
  static readonly statuses = {
    invalid_argument: 400,
    unauthenticated: 401,
    not_found: 404,
    bad_route: 404,
    already_exists: 409,
    failed_precondition: 412,
  } as const;
  readonly code: keyof typeof TwirpError.statuses;

  constructor(code: keyof typeof TwirpError.statuses, message: string) {
    super(message);
    this.code = code;
  }
}

type Message = Record<string, unknown>;

class Service {
  readonly secret = randomUUID();
  readonly store = new ArtifactStore();
  readonly runs = new Map<string, DescribedRun>();
  beforeDownload: (artifact: StoredArtifact) => Promise<void> = async () => {};
  withheld: (artifact: StoredArtifact) => boolean = () => false;

  token(run: string, job: string, attempt: number): string {
    const now = Math.floor(Date.now() / 1000);
    const scope = `Actions.Results:${runBackendId(run, attempt)}:${job}`;
    const claims = { scp: `Actions.ExampleScope ${scope}`, iat: now, exp: now + 6 * 3600 };
    return signWithSecret(claims, this.secret);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = requestUrl(request);
    if (url.pathname.startsWith('/blobs/'))
      return answerBlob(this.store, request, response, url, this.beforeDownload);
    if (answerRest(this.store, request, response, url, this.secret, this.runs)) return;
    const body = await readBody(request);
    try {
      const ids = this.#authenticate(request);
      if (!url.pathname.startsWith(TWIRP))
        throw new TwirpError('bad_route', `no handler for ${url.pathname}`);
      const message = parseMessage(body);
      sendJson(response, 200, this.#call(url.pathname.slice(TWIRP.length), ids, message, url.origin));
    } catch (error) {
      if (!(error instanceof TwirpError)) throw error;
      sendJson(response, TwirpError.statuses[error.code], { code: error.code, msg: error.message });
    }
  }

  #authenticate(request: IncomingMessage): BackendIds {
    const claims = verifyWithSecret(authorization(request, 'bearer') ?? '', this.secret);
    const scope = String(claims?.scp ?? '')
      .split(' ')
      .find(part => part.startsWith('Actions.Results:'));
    const [, id, job] = scope?.split(':') ?? [];
    if (id === undefined || job === undefined)
      throw new TwirpError('unauthenticated', 'invalid runtime token');
    return { ...parseRunBackendId(id), job };
  }

  #call(method: string, ids: BackendIds, message: Message, base: string): Message {
    switch (method) {
      case 'CreateArtifact':
        return this.#create(ids, message, base);
      case 'FinalizeArtifact':
        return this.#finalize(ids, message);
      case 'ListArtifacts':
        return this.#list(ids, message);
      case 'GetSignedArtifactURL':
        return this.#signedUrl(ids, message, base);
      case 'DeleteArtifact': {
        const artifact = this.#addressed(ids, message);
        this.store.delete(artifact);
        return { ok: true, artifact_id: String(artifact.id) };
      }
      default:
        throw new TwirpError('bad_route', `no method ${method}`);
    }
  }

  #create(ids: BackendIds, message: Message, base: string): Message {
    const name = artifactName(message);
    const artifact = this.store.create(ids, name, {
      mimeType: wrapped(message.mime_type) ?? 'application/zip',
      version: Number(message.version ?? 0),
      expiresAt: message.expires_at === undefined ? undefined : String(message.expires_at),
    });
    if (!artifact) {
      const reason = 'an artifact with this name already exists on the workflow run';
      throw new TwirpError('already_exists', reason);
    }
    return { ok: true, signed_upload_url: signedUrl(base, this.store, artifact, 'upload') };
  }

  #finalize(ids: BackendIds, message: Message): Message {
    const artifact = this.store.find(ids.run, ids.attempt, artifactName(message));
    if (!artifact) throw new TwirpError('not_found', 'artifact not found');
    artifact.size = Number(message.size ?? 0);
    artifact.hash = wrapped(message.hash);
    if (artifact.bytes.length !== artifact.size) {
      const found = `${artifact.bytes.length} bytes are stored, ${artifact.size} were announced`;
      throw new TwirpError('failed_precondition', found);
    }
    artifact.finalized = true;
    return { ok: true, artifact_id: String(artifact.id) };
  }

  #list(ids: BackendIds, message: Message): Message {
    const name = wrapped(message.name_filter);
    const id = wrapped(message.id_filter);
    const chosen = this.store
      .visibleTo(ids)
      .filter(artifact => name === undefined || artifact.name === name)
      .filter(artifact => id === undefined || String(artifact.id) === id);
    return { artifacts: chosen.map(describe) };
  }

  #signedUrl(ids: BackendIds, message: Message, base: string): Message {
    const artifact = this.#addressed(ids, message);
    if (this.withheld(artifact)) throw new TwirpError('not_found', 'workflow run not found');
    return { signed_url: signedUrl(base, this.store, artifact, 'download') };
  }

  /** The artifact that the message names by run and name; an earlier attempt may be named, another run may not. */
  #addressed(ids: BackendIds, message: Message): StoredArtifact {
    const { run, attempt } = parseRunBackendId(String(message.workflow_run_backend_id ?? ''));
    if (run !== ids.run) throw new TwirpError('not_found', 'workflow run not found');
    const artifact = this.store.find(run, attempt, artifactName(message));
    if (!artifact?.finalized) throw new TwirpError('not_found', 'artifact not found');
    return artifact;
  }
}

function parseMessage(body: Buffer): Message {
  try {
    return JSON.parse(body.toString()) as Message;
  } catch {
    throw new TwirpError('invalid_argument', 'the body is not JSON');
  }
}

function artifactName(message: Message): string {
  if (typeof message.name !== 'string' || message.name === '' || /[":<>|*?\r\n\\/]/.test(message.name)) {
    throw new TwirpError('invalid_argument', 'the artifact name is missing or holds forbidden characters');
  }
  return message.name;
}

/** Protobuf's wrapper types are bare values in JSON; a number may come as a string. */
function wrapped(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : String(value);
}

function describe(artifact: StoredArtifact): Message {
  return {
    workflow_run_backend_id: runBackendId(artifact.run, artifact.attempt),
    workflow_job_run_backend_id: artifact.job,
    database_id: String(artifact.id),
    name: artifact.name,
    size: String(artifact.size),
    created_at: artifact.createdAt,
    ...(artifact.hash === undefined ? {} : { digest: artifact.hash }),
  };
}
