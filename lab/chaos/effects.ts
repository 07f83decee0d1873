import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '../../__tests__/servers/registry.ts';
import { sendJson } from '../parts/http.ts';
import { afterwards, reset } from './answers.ts';
import type { Fault, FaultKind } from './fault.ts';
import { type Attachment, shared } from './strangers.ts';
import type { ActiveFault, Passing, Wake, Weather } from './weather.ts';

type Effect = (
  request: Passing,
  response: ServerResponse,
  fault: ActiveFault,
  weather: Weather,
) => void | Promise<void>;

const errors = (code: string, message = code.toLowerCase()) => ({ errors: [{ code, message }] });

const answering =
  (status: number, body: object, headers: () => OutgoingHttpHeaders = () => ({})): Effect =>
  (_, response) =>
    sendJson(response, status, body, headers());

/** One after the other, so that each is met. */
const answeringOneOf =
  (...statuses: readonly [status: number, code: string][]): Effect =>
  (_, response, { hits, fault }) => {
    const [status, code] = statuses[(hits + fault.nth) % statuses.length] ?? [500, 'UNKNOWN'];
    sendJson(response, status, errors(code));
  };

const inOneSecond = () => ({ 'retry-after': new Date(Date.now() + 1000).toUTCString() });

/** Milliseconds: longer than any certificate is good. */
const LATE = 1_200_000;

/** What each kind of fault does to a request. What it leaves unanswered goes on to the service. */
export const EFFECTS: Readonly<Record<FaultKind, Effect>> = {
  'rate limit in seconds': (_, response, { hits }) =>
    sendJson(response, 429, errors('TOOMANYREQUESTS'), { 'retry-after': String(hits % 2) }),
  'rate limit until a date': answering(429, errors('TOOMANYREQUESTS'), inOneSecond),
  'rate limit as 403 with a text': answering(
    403,
    errors('DENIED', 'You have exceeded a secondary rate limit'),
  ),
  'rate limit as 403 with Retry-After': answering(403, errors('DENIED'), () => ({ 'retry-after': '1' })),
  'request timeout 408': answering(408, errors('TIMEOUT')),
  'too early 425': answering(425, errors('TOOEARLY')),
  'server error': answeringOneOf([500, 'UNKNOWN'], [502, 'BAD'], [503, 'UNAVAILABLE'], [504, 'TIMEOUT']),
  outage: answeringOneOf([503, 'UNAVAILABLE'], [502, 'BAD']),
  'reset before': (_, response) => reset(response),
  'reset after': (_, response) => afterwards(response, () => 'reset'),
  'cut off': (_, response) => afterwards(response, () => 'cut'),
  slow: async () => {
    await sleep(500);
  },
  'not there yet': answering(404, errors('MANIFEST_UNKNOWN')),
  'blob not there yet': answeringOneOf([404, 'MANIFEST_BLOB_UNKNOWN'], [400, 'BLOB_UNKNOWN']),
  'expired token': ({ headers, revoke }) => revoke?.(headers.authorization?.split(' ')[1] ?? ''),
  'stale tag': (...all) => showBefore('tag read', ...all),
  'stale list': (...all) => {
    const isLegacy = all[0].kind === 'signatures write';
    showBefore(isLegacy ? 'signatures read' : 'fallback read', ...all);
  },
  'stale listing': hideFromListing,
  'writer after us': overwrite,
  // Our writing fails, and when it is tried again the list is another one.
  'writer before us': (request, response, fault) => {
    write(request, fault);
    sendJson(response, 503, errors('UNAVAILABLE'));
  },
  'writer while we read': (request, _, fault) => write(request, fault),
  'logged too late': delayEntry,

  'lying digest': (_, response) =>
    afterwards(response, answer => {
      if (answer.headers['docker-content-digest'] !== undefined)
        answer.headers = { ...answer.headers, 'docker-content-digest': `sha256:${'f'.repeat(64)}` };
      return 'send';
    }),
  'wrong bytes': (_, response) =>
    afterwards(response, answer => {
      const middle = answer.body.length >> 1;
      if (answer.status === 200 && middle > 0) answer.body.writeUInt8((answer.body[middle] ?? 0) ^ 1, middle);
      return 'send';
    }),
  forbidden: answering(403, errors('DENIED', 'requested access to the resource is denied')),
  broken: answeringOneOf([500, 'UNKNOWN'], [503, 'UNAVAILABLE']),
  'rate limit for ever': answering(429, errors('TOOMANYREQUESTS'), () => ({ 'retry-after': '1' })),
  unreachable: (_, response) => reset(response),
  // The registry says that it took it.
  'lost write': ({ body }, response) =>
    void response.writeHead(201, { 'docker-content-digest': sha256(body) }).end(),
  'immutable tag': answeringOneOf(
    [400, 'TAG_IMMUTABLE'],
    [409, 'ImageTagAlreadyExistsException'],
    [412, 'PRECONDITION'],
    [403, 'TAG_IMMUTABLE'],
  ),
};

/** The tag is written, but for a few reads the registry shows what it pointed at before. */
function showBefore(
  kind: Passing['kind'],
  { service, repository, reference = '' }: Passing,
  response: ServerResponse,
  { fault }: ActiveFault,
  weather: Weather,
): void {
  const before = repository?.manifests.get(repository.tags.get(reference) ?? '');
  const show: Wake['answer'] = (_, later) => {
    if (before === undefined) sendJson(later, 404, errors('MANIFEST_UNKNOWN'));
    else later.writeHead(200, { 'content-type': before.mediaType }).end(before.bytes);
  };
  const meets = (later: Passing): boolean =>
    later.service === service &&
    later.repository === repository &&
    later.kind === kind &&
    later.reference === reference;
  afterwards(response, ({ status }) => {
    if (status === 201) weather.wakes.push({ left: reads(fault), meets, answer: show });
    return 'send';
  });
}

const reads = ({ nth }: Fault): number => 1 + (nth % 3);

/** A manifest with a subject is taken, but for a few listings it is not among the subject's referrers. */
function hideFromListing(
  { service, body }: Passing,
  _: ServerResponse,
  { fault }: ActiveFault,
  weather: Weather,
): void {
  const { subject } = JSON.parse(body.toString()) as { subject?: { digest: string } };
  if (subject === undefined) return;
  const hidden = sha256(body);
  weather.wakes.push({
    left: reads(fault),
    meets: later =>
      later.service === service && later.kind === 'listing' && later.reference === subject.digest,
    answer: (_request, response) =>
      afterwards(response, answer => {
        if (answer.status !== 200) return 'send';
        const list = JSON.parse(answer.body.toString()) as { manifests: { digest: string }[] };
        list.manifests = list.manifests.filter(({ digest }) => digest !== hidden);
        answer.body = Buffer.from(JSON.stringify(list));
        answer.headers = { ...answer.headers, 'content-length': answer.body.length };
        return 'send';
      }),
  });
}

/** What he adds to a list: to that of referrers a scan or a signature in turn. */
function attachmentFor(reference: string, { hits }: ActiveFault): Attachment {
  if (reference.endsWith('.sig')) return 'legacy';
  return hits % 2 === 0 ? 'scan' : 'bundle';
}

const subjectOf = (reference: string): string => reference.replace('.sig', '').replace('-', ':');

/** Somebody else read the list before us and writes it after us: our entry is gone, theirs is there. */
function overwrite(
  { repository, stranger, reference = '' }: Passing,
  response: ServerResponse,
  fault: ActiveFault,
): void {
  if (repository === undefined) return;
  const before = shared(repository, reference);
  afterwards(response, ({ status }) => {
    if (status === 201)
      stranger?.attach(repository, subjectOf(reference), attachmentFor(reference, fault), before);
    return 'send';
  });
}

/** Somebody else adds to the list. */
function write({ repository, stranger, reference = '' }: Passing, fault: ActiveFault): void {
  if (repository !== undefined)
    stranger?.attach(repository, subjectOf(reference), attachmentFor(reference, fault));
}

/** The certificate that the entry is about has run out by the time of the log. */
function delayEntry({ transparency }: Passing, response: ServerResponse): void {
  if (transparency === undefined) return;
  transparency.lag += LATE;
  afterwards(response, () => {
    transparency.lag -= LATE;
    return 'send';
  });
}
