import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { collectRecords } from '../../src/records/collect.ts';
import { openStore } from '../../src/records/open-store.ts';
import { formatRecord } from '../../src/records/record.ts';
import { answering, status } from '../servers/answering.ts';
import { FAST, failureOf } from '../servers/clients.ts';
import { ORIGIN } from '../servers/images.ts';
import { builtRecord, type Jobs, RUN, startJobs } from './jobs.ts';

let jobs: Jobs;

beforeEach(async () => {
  jobs = await startJobs();
});

const collect = async (attempt = 1, options = {}) =>
  (await collectRecords(await jobs.asJob('merge', attempt, options), ORIGIN)).builds;

/** The service's answer is another one. */
const answer = (method: string, text: string) =>
  jobs.proxy.fail({ path: new RegExp(method), action: { rewrite: () => Buffer.from(text) } });

/** What a person could see of an error: itself, what to do, and what lies underneath. */
function shown(error: Error & { hint?: string | undefined }): string {
  const lines = [error.hint];
  for (let each: unknown = error; each instanceof Error; each = each.cause) lines.push(each.stack);
  return lines.join('\n');
}

const STEPS = ['ListArtifacts', 'GetSignedArtifactURL', 'blobs'];

describe('reading the records of a run', () => {
  it('takes one request for their list, and two for each record', async () => {
    for (const platform of ['linux/amd64', 'linux/arm64', 'linux/s390x']) jobs.put({ platform });
    expect(await collect()).toHaveLength(3);
    expect(jobs.proxy.log).toHaveLength(1 + 2 * 3);
  });

  it.each(STEPS)('waits as long as a 429 at %s asks for', async step => {
    const record = jobs.put();
    const headers = { 'retry-after': '1' };
    jobs.proxy.fail({ path: new RegExp(step), on: 1, action: { status: 429, headers } });
    expect(await collect()).toEqual([record]);
    const [first, second] = jobs.proxy.log.filter(({ path }) => path.includes(step));
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(990);
  });

  it.each(STEPS)('begins again when the connection breaks after %s has begun to answer', async step => {
    const record = jobs.put();
    jobs.proxy.fail({ path: new RegExp(step), on: [1, 2], action: { truncate: 10 } });
    expect(await collect()).toEqual([record]);
    expect(jobs.retries).toHaveLength(2);
    expect(jobs.retries[0]).toContain('cut off');
  });

  it('goes through the proxy that the job is told of', async () => {
    const proxy = await answering(status(200, {}, '{}'));
    await jobs.asJob('merge');
    const env = {
      ...process.env,
      ACTIONS_RESULTS_URL: 'http://results.example.com/',
      HTTP_PROXY: proxy.origin,
      NO_PROXY: '',
      no_proxy: '',
    };
    expect(await (await openStore({ env, retry: FAST })).list()).toEqual([]);
    expect(proxy.seen[0]?.headers.host).toBe('results.example.com');
  });

  it('that is forbidden is an error, and the REST API is not asked instead', async () => {
    jobs.put();
    jobs.proxy.fail({ path: /GetSignedArtifactURL/, action: { status: 403, body: '{"msg":"no"}' } });
    const error = await failureOf(() => collect(1, { token: jobs.service.restToken }));
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('GetSignedArtifactURL answered (403): {"msg":"no"}');
    expect(jobs.proxy.count({ path: /repos/ })).toBe(0);
  });

  it('that fails at the storage is an error that says where', async () => {
    jobs.put();
    jobs.proxy.fail({ path: /blobs/, action: { status: 404 } });
    const error = await failureOf(() => collect());
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('manifold-build.app.linux-amd64.1');
    expect(error.message).toContain('the storage at 127.0.0.1');
    expect(error.message).toContain('(404)');
    expect(error.hint).toContain('records: FOLDER');
  });
});

describe('of artifacts with one name', () => {
  it('the newer one is read, and under the attempt that it belongs to', async () => {
    const { name, record } = builtRecord();
    jobs.service.put({ run: RUN, name }, Buffer.from('{}'));
    jobs.service.put({ run: RUN, name, attempt: 2 }, formatRecord(record));
    expect(await collect(2)).toEqual([record]);
  });

  it('the newer one is that of the higher number, not of the longer text', async () => {
    const { name, record } = builtRecord();
    jobs.service.put({ run: RUN, name }, formatRecord(record));
    jobs.service.put({ run: RUN, name, attempt: 2 }, Buffer.from('{}'));
    const numbers = ['"10"', '"9"'];
    const renumber = (body: Buffer) =>
      Buffer.from(body.toString().replace(/(?<="database_id":)"\d+"/g, () => numbers.shift() ?? ''));
    jobs.proxy.fail({ path: /ListArtifacts/, action: { rewrite: renumber } });
    expect(await collect(2)).toEqual([record]);
  });
});

describe('the token of the runtime', () => {
  const tokenOf = (payload: string) => `e30.${Buffer.from(payload).toString('base64url')}.signature`;

  async function refused(token: string): Promise<void> {
    await jobs.asJob('merge');
    const env = { ...process.env, ACTIONS_RUNTIME_TOKEN: token };
    const error = await failureOf(() => openStore({ env }));
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('github.com gave an ACTIONS_RUNTIME_TOKEN that is something else');
    expect(error.message).toContain('Actions.Results:RUN:JOB');
    expect(error.hint).toContain('records: FOLDER');
    expect(shown(error)).not.toContain(token);
  }

  it.each([
    'opaque-token',
    tokenOf('no JSON'),
    tokenOf('[]'),
    tokenOf('{}'),
    tokenOf('{"scp":7}'),
    tokenOf('{"scp":"Actions.GenericRead:run:job"}'),
    tokenOf('{"scp":"Actions.Results"}'),
    tokenOf('{"scp":"Actions.Results:run"}'),
    tokenOf('{"scp":"Actions.Results::job"}'),
    tokenOf('{"scp":"Actions.Results:run:job:more"}'),
    tokenOf('{"scp":"NotActions.Results:run:job"}'),
  ])('that is %s is refused before anything is asked, and not shown', async token => {
    await refused(token);
    expect(jobs.proxy.log).toEqual([]);
  });

  it('that is any text is read, or refused', async () => {
    // What cannot be told from the words of the error would be found in them.
    await fc.assert(fc.asyncProperty(fc.string({ minLength: 12 }), refused));
    await fc.assert(fc.asyncProperty(fc.json(), payload => refused(tokenOf(payload))));
  });

  it('is not shown by an error, though the service repeats it', async () => {
    await jobs.asJob('merge');
    const token = process.env.ACTIONS_RUNTIME_TOKEN ?? '';
    const body = JSON.stringify({ code: 'unauthenticated', msg: `the token ${token} has expired` });
    jobs.proxy.fail({ path: /ListArtifacts/, action: { status: 401, body } });
    const error = await failureOf(() => collect());
    expect(error.message).toContain('has expired');
    expect(shown(error)).not.toContain(token);
  });

  it('comes with the address of the service, or there is none', async () => {
    await jobs.asJob('merge');
    const env = { ...process.env, ACTIONS_RESULTS_URL: 'no address' };
    const error = await failureOf(() => openStore({ env }));
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('ACTIONS_RESULTS_URL that is no address');
  });
});

describe('an answer', () => {
  const artifact = { workflow_run_backend_id: 'a', workflow_job_run_backend_id: 'b', name: 'x' };

  it.each([
    ['<html>Sign in</html>', 'no JSON'],
    ['', 'no JSON'],
    ['7', 'expected an object, found 7'],
    ['{"artifacts":{}}', 'field "artifacts"'],
    [JSON.stringify({ artifacts: [artifact] }), 'field "artifacts.0.database_id"'],
    [JSON.stringify({ artifacts: [{ ...artifact, database_id: 'one' }] }), 'expected a whole number'],
    [JSON.stringify({ artifacts: [{ ...artifact, database_id: '-1' }] }), 'expected at least 0'],
    [
      JSON.stringify({ artifacts: [{ ...artifact, database_id: '1', name: null }] }),
      'field "artifacts.0.name"',
    ],
  ])('to ListArtifacts that is %j is an error', async (text, words) => {
    answer('ListArtifacts', text);
    const error = await failureOf(() => collect());
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('at the artifact service of github.com: The answer to ListArtifacts');
    expect(error.message).toContain(words);
    expect(error.hint).toContain('records: FOLDER');
  });

  it('to ListArtifacts may leave out what has its default value', async () => {
    for (const text of ['{}', '{"artifacts":null}', '{"artifacts":[]}']) {
      const rule = answer('ListArtifacts', text);
      expect(await collect()).toEqual([]);
      rule.remove();
    }
    const record = jobs.put();
    const rewrite = (body: Buffer) =>
      Buffer.from(body.toString().replace(/"size":"\d+",|,"digest":"[^"]*"/g, ''));
    jobs.proxy.fail({ path: /ListArtifacts/, action: { rewrite } });
    expect(await collect()).toEqual([record]);
  });

  it('to ListArtifacts is a list or an error of ours, whatever it is', async () => {
    const store = await jobs.asJob('merge');
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom('1', 1, 'sha256:00', null));
    const item = fc.dictionary(
      fc.constantFrom(...Object.keys(artifact), 'database_id', 'size', 'digest', 'other'),
      value,
    );
    const anything = fc.oneof(fc.jsonValue(), fc.record({ artifacts: fc.array(fc.oneof(item, value)) }));
    await fc.assert(
      fc.asyncProperty(anything, async json => {
        const rule = answer('ListArtifacts', JSON.stringify(json));
        try {
          expect(await store.list()).toBeInstanceOf(Array);
        } catch (error) {
          expect(error).toMatchObject({ name: 'ManifoldError', code: 'record-store' });
        } finally {
          rule.remove();
        }
      }),
    );
  });

  it('to ListArtifacts that is endless is an error, and is not read into memory', async () => {
    answer('ListArtifacts', ' '.repeat(9_000_000));
    const error = await failureOf(() => collect());
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('longer than 8388608 bytes');
  });

  it.each([
    ['https://storage.example.com/x?sig=SIGNATURE', 'no JSON'],
    ['{}', 'field "signed_url"'],
    ['{"signed_url":null}', 'field "signed_url"'],
    ['{"signed_url":["https://storage.example.com/x?sig=SIGNATURE"]}', 'field "signed_url"'],
    ['{"signed_url":"/x?sig=SIGNATURE"}', 'field "signed_url"'],
    ['{"signed_url":"ftp://storage.example.com/x?sig=SIGNATURE"}', 'which is no address'],
  ])('to GetSignedArtifactURL that is %j is an error that does not show it', async (text, words) => {
    jobs.put();
    answer('GetSignedArtifactURL', text);
    const error = await failureOf(() => collect());
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('manifold-build.app.linux-amd64.1');
    expect(error.message).toContain(words);
    expect(shown(error)).not.toContain('SIGNATURE');
  });
});

describe('a signed URL', () => {
  /** The storage on a host of its own, as it is at GitHub. */
  async function storage(...handlers: Parameters<typeof answering>) {
    const server = await answering(...handlers);
    answer('GetSignedArtifactURL', JSON.stringify({ signed_url: `${server.origin}/x?sp=r&sig=a%2Bb%3D` }));
    return server;
  }

  it('is all that the storage is told: the token is not', async () => {
    const record = jobs.put();
    const server = await storage(status(200, {}, formatRecord(record).toString()));
    expect(await collect()).toEqual([record]);
    expect(server.seen[0]?.url).toBe('/x?sp=r&sig=a%2Bb%3D');
    expect(server.seen[0]?.rawHeaders.join()).not.toContain(process.env.ACTIONS_RUNTIME_TOKEN);
    expect(server.seen[0]?.headers.authorization).toBeUndefined();
  });

  it('is masked, plain and encoded, before it is used', async () => {
    const record = jobs.put();
    const secrets: string[] = [];
    let known: string[] = [];
    await storage((_, response) => {
      known = [...secrets];
      response.end(formatRecord(record));
    });
    await collect(1, { onSecret: (secret: string) => void secrets.push(secret) });
    expect(known).toEqual(['a+b=', 'a%2Bb%3D']);
  });

  it('without a signature masks nothing', async () => {
    jobs.put();
    answer('GetSignedArtifactURL', JSON.stringify({ signed_url: `${jobs.proxy.url}/x` }));
    const onSecret = vi.fn<(secret: string) => void>();
    await failureOf(() => collect(1, { onSecret }));
    expect(onSecret).not.toHaveBeenCalled();
  });

  it('is shown neither by an error nor by a retry, though the storage repeats it', async () => {
    jobs.put();
    const page = 'the signature in /x?sp=r&sig=a%2Bb%3D (a+b=) did not match';
    await storage(status(503, {}, page), status(403, {}, page));
    const error = await failureOf(() => collect());
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('(403)');
    expect(jobs.retries).toHaveLength(1);
    const text = [shown(error), ...jobs.retries].join('\n');
    for (const form of ['a%2Bb%3D', 'a+b=']) expect(text).not.toContain(form);
  });
});
