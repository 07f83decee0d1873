import * as v from 'valibot';
import { capitalised } from '../document.ts';
import { type ErrorCode, ManifoldError, messageOf, oneLine } from '../errors.ts';

const THE_OTHER_WAY =
  'say "records: FOLDER" in all steps, and carry the folder from the build jobs to the merge by what this server has.';

/**
 * What runs this job, as a person would call it. Gitea and Forgejo tell it themselves, beside all variables of GitHub.
 * @throws ManifoldError `record-store` when GITHUB_SERVER_URL is no address
 */
function serverKind(env: NodeJS.ProcessEnv): { readonly name: string; readonly isGitHub: boolean } {
  const address = env.GITHUB_SERVER_URL || 'https://github.com';
  const url = URL.parse(address);
  if (url === null) {
    throw new ManifoldError(
      'record-store',
      `GITHUB_SERVER_URL is "${oneLine(address)}", which is no address.`,
      {
        hint: capitalised(THE_OTHER_WAY),
      },
    );
  }
  const { host, hostname } = url;
  // The client's own rule (@actions/artifact, config.ts): every other server counts as GitHub Enterprise Server.
  const isGitHub =
    hostname === 'github.com' || hostname.endsWith('.ghe.com') || hostname.endsWith('.localhost');
  if (env.FORGEJO_ACTIONS) return { name: `Forgejo (${host})`, isGitHub };
  if (env.GITEA_ACTIONS) return { name: `Gitea (${host})`, isGitHub };
  if (env.ACT) return { name: 'act (a runner without a server)', isGitHub };
  if (isGitHub) return { name: host, isGitHub };
  return { name: `${host} (GitHub Enterprise Server or another forge)`, isGitHub };
}

/** @throws ManifoldError `record-store` where the server is none that has the artifact service of GitHub.com */
export function requireGitHub(env: NodeJS.ProcessEnv): void {
  const { name, isGitHub } = serverKind(env);
  if (isGitHub) return;
  throw new ManifoldError('record-store', `${name} has no artifact service as GitHub.com has it.`, {
    hint: capitalised(THE_OTHER_WAY),
  });
}

/** How a job reaches its artifact service. */
export interface ServiceAccess {
  /** Only its origin counts, as for the client of GitHub. */
  readonly url: URL;
  readonly token: string;
  /** By these the service knows the run and the job, apart from their numbers in GitHub. */
  readonly runBackendId: string;
  readonly jobBackendId: string;
}

/**
 * Finds out that there is no service before anything is built or read.
 * @throws ManifoldError `record-store`
 */
export function requireService(env: NodeJS.ProcessEnv): ServiceAccess {
  requireGitHub(env);
  const { ACTIONS_RESULTS_URL: address, ACTIONS_RUNTIME_TOKEN: token } = env;
  if (!address || !token) {
    const missing = ['ACTIONS_RESULTS_URL', 'ACTIONS_RUNTIME_TOKEN'].filter(name => !env[name]);
    throw unusable(
      `gave no ${missing.join(' and no ')}, by which the artifact service is reached`,
      'Run Manifold as an action ("uses:"), not from a "run:" step. Where the runner has no such service, ',
      env,
    );
  }
  const url = URL.parse(address);
  if (url === null) throw unusable('gave an ACTIONS_RESULTS_URL that is no address', '', env);
  const ids = backendIds(token);
  if (ids !== undefined) return { url, token, ...ids };
  const expected = 'a JSON Web Token whose claim "scp" holds "Actions.Results:RUN:JOB"';
  throw unusable(`gave an ACTIONS_RUNTIME_TOKEN that is something else than ${expected}`, '', env);
}

function unusable(what: string, hint: string, env: NodeJS.ProcessEnv): ManifoldError {
  return new ManifoldError('record-store', `The runner of ${serverKind(env).name} ${what}.`, {
    hint: capitalised(hint + THE_OTHER_WAY),
  });
}

const claims = v.pipe(v.string(), v.parseJson(), v.object({ scp: v.string() }));

/** What the token says of its job, for asking only: the service itself verifies it. */
function backendIds(token: string): Pick<ServiceAccess, 'runBackendId' | 'jobBackendId'> | undefined {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
  const read = v.safeParse(claims, payload);
  const scope = read.success
    ? /(?:^| )Actions\.Results:([^: ]+):([^: ]+)(?: |$)/.exec(read.output.scp)
    : null;
  const [, runBackendId, jobBackendId] = scope ?? [];
  return runBackendId && jobBackendId ? { runBackendId, jobBackendId } : undefined;
}

/** A record that is none and a proxy's address that is none are no matter of the service. */
const OF_OTHERS: ReadonlySet<ErrorCode> = new Set(['invalid-record', 'invalid-input']);

/** The artifact service did not do what it was asked for. @param doing `Saving the artifact "…"` */
export function serviceFailed(doing: string, error: unknown, env: NodeJS.ProcessEnv): ManifoldError {
  const isStated = error instanceof ManifoldError;
  if (isStated && OF_OTHERS.has(error.code)) return error;
  const reason = oneLine(messageOf(error), 400).replace(/\.$/, '');
  const remedy = (isStated ? error.hint : undefined) ?? 'Re-run the job.';
  return new ManifoldError(
    'record-store',
    `${doing} failed at the artifact service of ${serverKind(env).name}: ${reason}.`,
    { hint: `${remedy} If this server has no such service, ${THE_OTHER_WAY}`, cause: error },
  );
}
