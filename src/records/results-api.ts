import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, oneLine } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import { followUrl } from '../http/url.ts';
import { requireService, type ServiceAccess, serviceFailed } from './artifact-service.ts';
import { newestOfName } from './newest.ts';
import { LONGEST_RECORD, requireBytes, requireShort, requireSize } from './stored-bytes.ts';

const SERVICE = '/twirp/github.actions.results.api.v1.ArtifactService/';
/** Room for 20,000 artifacts. Bytes. */
const LONGEST_LIST = 8 * 1024 * 1024;

/** A number of 64 bits is a text in the JSON of Protocol Buffers ("ProtoJSON Format"). */
const int64 = v.pipe(v.union([v.string(), v.number()]), v.transform(Number), v.safeInteger(), v.minValue(0));
/** What has its default value may be left out there, except for what an artifact cannot do without. */
const artifact = v.pipe(
  v.object({
    workflow_run_backend_id: v.string(),
    workflow_job_run_backend_id: v.string(),
    database_id: int64,
    name: v.string(),
    size: v.nullish(int64, 0),
    digest: v.nullish(v.string()),
  }),
  v.transform(({ database_id: id, name, size, digest, ...ids }) => ({
    id,
    name,
    size,
    digest: digest || undefined,
    /** How the service is asked for it. */
    address: { ...ids, name },
  })),
);

/** A method of the service: what it answers, how many bytes of that are read, and whether a message may show it. */
interface Method<Answer extends v.GenericSchema> {
  readonly name: string;
  readonly answer: Answer;
  readonly maxBytes?: number;
  readonly secret?: boolean;
}
const LIST = {
  name: 'ListArtifacts',
  answer: v.object({ artifacts: v.nullish(v.array(artifact), []) }),
  maxBytes: LONGEST_LIST,
} as const;
const SIGN = {
  name: 'GetSignedArtifactURL',
  answer: v.object({ signed_url: v.pipe(v.string(), v.url()) }),
  secret: true,
} as const;

/** `size` in bytes; `digest` as `sha256:…`, undefined where the service tells none. */
export type ServiceArtifact = v.InferOutput<typeof artifact>;

export interface ResultsApiOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly transport: Transport;
  /** Told of the signature of each signed URL before the URL is used, so that the log masks it. */
  readonly onSecret: (secret: string) => void;
}

/**
 * The artifacts of this run in the Actions results service, for reading only. The client of GitHub can do it too, but it
 * would be the heaviest thing that a merge loads, and it knows neither Retry-After nor broken connections.
 */
export class ResultsApi {
  readonly #options: ResultsApiOptions;
  readonly #access: ServiceAccess;

  /** @throws ManifoldError `record-store` where there is no such service */
  constructor(options: ResultsApiOptions) {
    this.#options = options;
    this.#access = requireService(options.env);
  }

  /** Of each name the newest artifact that is complete. @throws ManifoldError `record-store` */
  artifacts(): Promise<ServiceArtifact[]> {
    const { runBackendId, jobBackendId } = this.#access;
    const ids = { workflow_run_backend_id: runBackendId, workflow_job_run_backend_id: jobBackendId };
    return this.#asking('Listing the artifacts of this run', async () => {
      const { artifacts } = await this.#call(LIST, ids);
      return newestOfName(artifacts);
    });
  }

  /**
   * The bytes of an artifact that is a plain file.
   * @throws ManifoldError `invalid-record` when it is none, or too long for a record; `tampered-record` when it is not
   *   what was stored; `record-store`, of which `isWithheld` tells one kind
   */
  async download(stored: ServiceArtifact): Promise<Uint8Array> {
    const what = `the artifact "${oneLine(stored.name)}"`;
    requireSize(what, stored.size);
    const bytes = await this.#asking(`Reading ${what}`, async () =>
      this.#read(what, await this.#signedUrl(stored)),
    );
    requireBytes(what, bytes, stored.digest);
    return bytes;
  }

  /** Whoever has it may read the artifact: no message shows it. */
  async #signedUrl({ address }: ServiceArtifact): Promise<URL> {
    const { signed_url: text } = await this.#call(SIGN, address);
    const url = followUrl(text, this.#access.url);
    // The one parameter that must stay unknown (Azure, "Create a service SAS"), plain and as an address holds it.
    const signature = url.searchParams.get('sig') ?? '';
    const forms = signature === '' ? [] : [signature, encodeURIComponent(signature)];
    for (const form of new Set(forms)) this.#options.onSecret(form);
    return url;
  }

  /** The signature is all that the storage asks for: the token stays with its service. */
  async #read(what: string, url: URL): Promise<Buffer> {
    const request = { method: 'GET', url, maxBytes: LONGEST_RECORD } as const;
    const answer = await requireShort(what, this.#options.transport.request(request));
    if (answer.status === 200) return answer.body;
    // Of its page nothing is shown: it may repeat the address.
    throw new Refusal(`the storage at ${url.host}`, answer.status);
  }

  /** One method of the service ("The Twirp Wire Protocol", version 7). */
  async #call<Answer extends v.GenericSchema>(
    { name, answer, maxBytes, secret = false }: Method<Answer>,
    message: object,
  ): Promise<v.InferOutput<Answer>> {
    const { url, token } = this.#access;
    const { status, body } = await this.#options.transport.request({
      method: 'POST',
      url: new URL(SERVICE + name, url),
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(message)),
      ...(maxBytes === undefined ? {} : { maxBytes }),
    });
    if (status !== 200) throw new Refusal(name, status, oneLine(body.toString('utf8', 0, 1000)));
    return parseDocument(answer, body, `the answer to ${name}`, { code: 'record-store', secret });
  }

  async #asking<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw serviceFailed(doing, error, this.#options.env);
    }
  }
}

/** An answer other than 200. */
class Refusal extends Error {
  readonly by: string;
  readonly status: number;

  /** @param by a method of the service, or the storage */
  constructor(by: string, status: number, text = '') {
    super(`${by} answered (${status})${text === '' ? '' : `: ${text}`}`);
    this.by = by;
    this.status = status;
  }
}

/** An artifact of an earlier attempt is listed, and then its run is "not found" (actions/download-artifact#486). */
export function isWithheld(error: unknown): error is ManifoldError {
  const cause = error instanceof ManifoldError ? error.cause : undefined;
  return cause instanceof Refusal && cause.by === SIGN.name && cause.status === 404;
}
