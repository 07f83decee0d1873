import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManifoldError, messageOf } from '../errors.ts';
import { Patience } from '../http/retry.ts';
import { type BodySource, GivenOnce, type HttpResponse } from '../http/transport.ts';
import { followUrl } from '../http/url.ts';
import type { Digest } from '../oci/digest.ts';
import type { Connection } from './connection.ts';

/** How often a registry may say of a session of one blob that it is over. */
const LOST_SESSIONS = 5;
/** What the end of a session looks like, before its blob or instead of it (distribution-spec, "Pushing blobs"). */
const SESSION_OVER = new Set([400, 404, 416]);

const LATER = 'The registry, or the way to it, has a fault. Re-run this job later: it goes on from here.';

/** Tells whether a repository that is written to holds a blob. */
export async function hasBlob(connection: Connection, digest: Digest): Promise<boolean> {
  const response = await connection.send('HEAD', `blobs/${digest}`, 'push');
  return response.status === 200;
}

/** `Location` may be relative, and its own query belongs to it (distribution-spec, "POST then PUT"). */
export function sessionOf(connection: Connection, response: HttpResponse): URL {
  const { location } = response.headers;
  if (location !== undefined) return followUrl(location, response.url);
  throw unstarted(connection, response);
}

/**
 * Uploads a blob. Each session takes the bytes once, as nobody knows what one that broke holds of them; sessions that break
 * are begun anew for as long as a single request would be tried.
 * @param opened a session that the registry has opened already
 * @throws ManifoldError `registry-…`; and whatever the body threw that will not pass
 */
export async function uploadBlob(
  connection: Connection,
  digest: Digest,
  body: BodySource,
  opened?: URL,
): Promise<void> {
  const doing = `Uploading the blob ${connection.at(digest)}`;
  const patience = new Patience(connection.retry);
  let session = opened ?? (await startSession(connection));
  for (let count = 1; ; count++) {
    const { response, fault, isBroken } = await finish(connection, session, digest, body);
    if (response?.status === 201) return;
    const failure = response === undefined ? fault : connection.failure(response, doing);
    if (isBroken) await pause(doing, patience, failure);
    else if (!SESSION_OVER.has(response?.status ?? 0) || count >= LOST_SESSIONS) throw failure;
    // What broke off may have ended the session with the blob or without it: look first.
    if (await hasBlob(connection, digest)) return;
    session = await startSession(connection);
  }
}

async function startSession(connection: Connection): Promise<URL> {
  const response = await connection.send('POST', 'blobs/uploads/', 'push');
  if (response.status === 202) return sessionOf(connection, response);
  throw unstarted(connection, response);
}

function unstarted(connection: Connection, response: HttpResponse): ManifoldError {
  return connection.failure(response, `Starting an upload to ${connection.name}`);
}

/**
 * Waits before the next session.
 * @param last what became of the one that broke just now
 * @throws ManifoldError of the last one's code when there is to be none
 */
async function pause(doing: string, patience: Patience, last: unknown): Promise<void> {
  const delay = patience.afterFailure();
  if (delay !== undefined) return sleep(delay);
  const { failures, elapsed } = patience;
  const { code = 'registry-unavailable', hint = LATER } = last instanceof ManifoldError ? last : {};
  const times = failures === 1 ? 'once' : `${failures} times in ${(elapsed / 1000).toFixed(1)} s`;
  throw new ManifoldError(code, `${doing} broke off ${times}. The last time: ${messageOf(last)}`, {
    hint,
    cause: last,
  });
}

/** What became of an upload session: an answer, or the fault on the way to one. */
interface Ending {
  readonly response?: HttpResponse;
  readonly fault?: unknown;
  /** The same request would be worth another try, if a session took its bytes more than once. */
  readonly isBroken: boolean;
}

/** Sends the bytes to a session. What will not pass it throws. */
async function finish(
  connection: Connection,
  session: URL,
  digest: Digest,
  body: BodySource,
): Promise<Ending> {
  const url = new URL(session);
  url.searchParams.set('digest', digest);
  const headers = { 'content-type': 'application/octet-stream' };
  const given = new BodyGivenOnce(body);
  try {
    const response = await connection.request({ method: 'PUT', url, headers, body: given }, 'push');
    return { response, isBroken: given.isAskedAgain };
  } catch (fault) {
    if (given.isAskedAgain) return { fault, isBroken: true };
    throw fault;
  }
}

/** The transport begins a body anew for each try, as if the server had forgotten the one before. */
class BodyGivenOnce implements BodySource {
  readonly size: number;
  readonly isGivenOnce = true;
  readonly #body: BodySource;
  #isUsed = false;
  #isAskedAgain = false;

  constructor(body: BodySource) {
    this.size = body.size;
    this.#body = body;
  }

  /** Tells whether there was to be a second try. */
  get isAskedAgain(): boolean {
    return this.#isAskedAgain;
  }

  async open(): Promise<Readable> {
    this.#isAskedAgain = this.#isUsed;
    if (this.#isUsed) throw new GivenOnce('an upload session takes its bytes once');
    this.#isUsed = true;
    return this.#body.open();
  }
}
