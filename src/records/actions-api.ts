import * as v from 'valibot';
import { capitalised, parseDocument } from '../document.ts';
import { ManifoldError, oneLine } from '../errors.ts';
import { isRateLimit } from '../http/retry.ts';
import type { HttpResponse, Transport } from '../http/transport.ts';
import { baseUrl } from '../http/url.ts';
import { inParallel } from '../parallel.ts';
import { LONGEST_RECORD, requireBytes, requireShort, requireSize } from './stored-bytes.ts';

const PER_PAGE = 100;
/** Pages of a run that are read: 500 artifacts each of 20 jobs. */
const MOST_PAGES = 100;
const AT_A_TIME = 8;

const names = v.looseObject({ full_name: v.string() });
const workflowRun = v.looseObject({
  status: v.nullable(v.string()),
  /** Null while it goes on. */
  conclusion: v.nullish(v.string()),
  run_attempt: v.number(),
  repository: names,
  /** Null when the fork was deleted. */
  head_repository: v.nullable(names),
});
const artifact = v.looseObject({
  id: v.number(),
  name: v.string(),
  size_in_bytes: v.number(),
  expired: v.boolean(),
  expires_at: v.nullish(v.string()),
  digest: v.nullish(v.string()),
});
const page = v.looseObject({ total_count: v.number(), artifacts: v.array(artifact) });

export type WorkflowRun = v.InferOutput<typeof workflowRun>;
export type ListedArtifact = v.InferOutput<typeof artifact>;

export interface ActionsApiOptions {
  readonly token: string;
  /** `owner/name` */
  readonly repository: string;
  readonly runId: string;
  /** GITHUB_API_URL; GITHUB_REPOSITORY tells whose permissions are meant. */
  readonly env: NodeJS.ProcessEnv;
  readonly transport: Transport;
}

/** One workflow run in GitHub's REST API ("Workflow runs", "Artifacts"): it reaches every attempt. */
export class ActionsApi {
  readonly #options: ActionsApiOptions;
  readonly #base: URL;

  /** @throws ManifoldError `invalid-input` for a repository or run that cannot be one */
  constructor(options: ActionsApiOptions) {
    const { repository, runId, env } = options;
    const isLegal = /^[\w.-]+\/[\w.-]+$/.test(repository) && !/(?:^|\/)\.{1,2}(?:\/|$)/.test(repository);
    if (!isLegal || !/^[1-9][0-9]{0,19}$/.test(runId)) {
      throw new ManifoldError(
        'invalid-input',
        `"${oneLine(runId)}" in "${oneLine(repository)}" is no workflow run: expected a number, and a repository as owner/name.`,
        { hint: 'The number is the last part of the address of the run: .../actions/runs/1234567890.' },
      );
    }
    this.#options = options;
    const api = URL.parse(env.GITHUB_API_URL || 'https://api.github.com');
    if (api === null) throw new ManifoldError('record-store', 'GITHUB_API_URL is no address.');
    this.#base = new URL(`repos/${repository}/actions/`, baseUrl(api));
  }

  /** @throws ManifoldError `record-store` */
  async run(): Promise<WorkflowRun> {
    const doing = `Reading the workflow run ${this.#name}`;
    return this.#json(workflowRun, doing, `runs/${this.#options.runId}`);
  }

  /** All artifacts of the run, of all its attempts. @throws ManifoldError `record-store` */
  async artifacts(): Promise<ListedArtifact[]> {
    const doing = `Listing the artifacts of the workflow run ${this.#name}`;
    const read = (number: number) =>
      this.#json(page, doing, `runs/${this.#options.runId}/artifacts?per_page=${PER_PAGE}&page=${number}`);
    const first = await read(1);
    const pages = Math.ceil(first.total_count / PER_PAGE);
    if (pages > MOST_PAGES) {
      throw new ManifoldError(
        'record-store',
        `The workflow run ${this.#name} has ${first.total_count} artifacts; ${MOST_PAGES * PER_PAGE} are read at most.`,
      );
    }
    const numbers = Array.from({ length: Math.max(0, pages - 1) }, (_, position) => position + 2);
    const rest = await inParallel(numbers, AT_A_TIME, read);
    return [first, ...rest].flatMap(({ artifacts }) => artifacts);
  }

  /**
   * The bytes of an artifact that is a plain file.
   * @throws ManifoldError `invalid-record` when it is none, expired, or too long for a record; `tampered-record` when it is
   *   not what was stored; `record-store`
   */
  async download(listed: ListedArtifact): Promise<Uint8Array> {
    const what = `the artifact "${oneLine(listed.name)}"`;
    if (listed.expired) throw expired(what, listed);
    requireSize(what, listed.size_in_bytes);
    const answer = this.#get(`Reading ${what}`, `artifacts/${listed.id}/zip`, LONGEST_RECORD);
    const { body } = await requireShort(what, answer);
    requireBytes(what, body, listed.digest);
    return body;
  }

  get #name(): string {
    return `${this.#options.runId} of ${this.#options.repository}`;
  }

  async #json<Schema extends v.GenericSchema>(
    schema: Schema,
    doing: string,
    path: string,
  ): Promise<v.InferOutput<Schema>> {
    const { body } = await this.#get(doing, path);
    return parseDocument(schema, body, `${doing}: the answer of ${this.#base.host}`, {
      code: 'record-store',
    });
  }

  async #get(doing: string, path: string, maxBytes?: number): Promise<HttpResponse> {
    const { transport, token } = this.#options;
    const headers = {
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${token}`,
      'x-github-api-version': '2022-11-28',
    };
    const url = new URL(path, this.#base);
    const response = await transport.request({
      method: 'GET',
      url,
      headers,
      ...(maxBytes === undefined ? {} : { maxBytes }),
    });
    if (response.status === 200) return response;
    throw this.#refused(doing, response);
  }

  #refused(doing: string, { status, headers, body, url }: HttpResponse): ManifoldError {
    const text = body.toString('utf8', 0, 300);
    const said = oneLine(text) === '' ? '' : `: ${oneLine(text)}`;
    const isLimit = isRateLimit({ status, retryAfter: headers['retry-after'], text });
    const hint = isLimit
      ? 'GitHub limits how often it is asked. Re-run the job later, or give it more time by "retry-budget".'
      : this.#remedy(status);
    return new ManifoldError('record-store', `${doing} failed: ${url.host} answered ${status}${said}.`, {
      hint,
    });
  }

  #remedy(status: number): string {
    const { repository, env } = this.#options;
    if (status === 401) return 'The token of the input "github-token" is not valid, or no longer.';
    if (status !== 403 && status !== 404) return 'Re-run the job.';
    const isOther = env.GITHUB_REPOSITORY !== undefined && env.GITHUB_REPOSITORY !== repository;
    if (isOther) {
      return `The token of the input "github-token" must be one for ${repository}, with the permission to read its actions ("actions: read"); the job's own token reaches this repository only.`;
    }
    return `If the run is there, the token may not read it. ${ACTIONS_READ}`;
  }
}

/** What a job needs for reading artifacts by the REST API. */
export const ACTIONS_READ = `Add to the job that merges, beside its other permissions:
  permissions:
    actions: read
and to the step:
  with:
    github-token: \${{ github.token }}`;

function expired(what: string, { expires_at: time }: ListedArtifact): ManifoldError {
  return new ManifoldError(
    'invalid-record',
    `${capitalised(what)} has expired${time ? ` at ${oneLine(time)}` : ''}: its content is gone.`,
    { hint: 'Re-run the build job that wrote it; "retention-days" of the build says how long it is kept.' },
  );
}
