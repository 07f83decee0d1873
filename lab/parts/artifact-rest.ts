import type { IncomingMessage, ServerResponse } from 'node:http';
import { signedUrl } from './artifact-blobs.ts';
import type { ArtifactStore, StoredArtifact } from './artifact-store.ts';
import { sendJson } from './http.ts';

const RUN = /^\/repos\/([^/]+\/[^/]+)\/actions\/runs\/(\d+)$/;
const LIST = /^\/repos\/[^/]+\/[^/]+\/actions\/runs\/(\d+)\/artifacts$/;
const DOWNLOAD = /^\/repos\/[^/]+\/[^/]+\/actions\/artifacts\/(\d+)\/zip$/;

/** What the REST API says of a workflow run, as far as anybody here asks. */
export interface DescribedRun {
  readonly status?: string | null;
  readonly conclusion?: string | null;
  readonly run_attempt?: number;
  readonly repository?: { readonly full_name: string };
  readonly head_repository?: { readonly full_name: string } | null;
}

/**
 * The REST calls by which artifacts are read with a token (`actions: read`): the run, its artifacts, one of them. Unlike
 * the results service they reach every attempt of the run. Answers false when the path is none of theirs.
 * @param runs what is to be said of a run, by its number, instead of "completed, first attempt, of this repository"
 */
export function answerRest(
  store: ArtifactStore,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  restToken: string,
  runs: ReadonlyMap<string, DescribedRun>,
): boolean {
  const [, repository, described] = RUN.exec(url.pathname) ?? [];
  const run = LIST.exec(url.pathname)?.[1];
  const id = DOWNLOAD.exec(url.pathname)?.[1];
  if (run === undefined && id === undefined && described === undefined) return false;
  if (!/^(bearer|token) /i.test(request.headers.authorization ?? '')) {
    sendJson(response, 401, { message: 'Requires authentication' });
  } else if (request.headers.authorization?.split(' ')[1] !== restToken) {
    sendJson(response, 401, { message: 'Bad credentials' });
  } else if (described !== undefined) {
    const owner = { full_name: repository };
    const usual = { status: 'completed', run_attempt: 1, repository: owner, head_repository: owner };
    sendJson(response, 200, { id: Number(described), ...usual, ...runs.get(described) });
  } else if (run !== undefined) {
    sendJson(response, 200, page(store, url, run));
  } else {
    redirect(store, response, url, Number(id));
  }
  return true;
}

function page(store: ArtifactStore, url: URL, run: string): unknown {
  const found = store.all().filter(artifact => artifact.finalized && artifact.run === run);
  const size = Number(url.searchParams.get('per_page') ?? 30);
  const first = (Number(url.searchParams.get('page') ?? 1) - 1) * size;
  return {
    total_count: found.length,
    artifacts: found.slice(first, first + size).map(artifact => describe(artifact, url)),
  };
}

function describe(artifact: StoredArtifact, url: URL): unknown {
  return {
    id: artifact.id,
    name: artifact.name,
    size_in_bytes: artifact.size,
    digest: artifact.hash,
    created_at: artifact.createdAt,
    expires_at: artifact.expiresAt ?? null,
    expired: artifact.expired,
    archive_download_url: `${url.origin}${url.pathname.replace(/runs\/.*/, '')}artifacts/${artifact.id}/zip`,
  };
}

function redirect(store: ArtifactStore, response: ServerResponse, url: URL, id: number): void {
  const artifact = store.all().find(candidate => candidate.finalized && candidate.id === id);
  if (artifact?.expired) sendJson(response, 410, { message: 'Artifact has expired' });
  else if (artifact)
    response.writeHead(302, { location: signedUrl(url.origin, store, artifact, 'download') }).end();
  else sendJson(response, 404, { message: 'Not Found' });
}
