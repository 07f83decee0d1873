import { beforeEach, describe, expect, it } from 'vitest';
import { collectRecords, type RunRecords } from '../../src/records/collect.ts';
import { formatRecord } from '../../src/records/record.ts';
import { failureOf, SHORT, transport } from '../servers/clients.ts';
import { ORIGIN } from '../servers/images.ts';
import { builtRecord, countDownloads, type Jobs, startJobs } from './jobs.ts';

/** The run that is read; the one that reads is ORIGIN's. */
const OTHER = '5005';
const ANOTHER_RUN = { ...ORIGIN, commit: undefined, runId: OTHER, runAttempt: undefined };

let jobs: Jobs;

beforeEach(async () => {
  jobs = await startJobs();
});

const put = (build: Parameters<Jobs['put']>[0] = {}) =>
  jobs.put({ ...build, source: { runId: OTHER, ...build.source } }, OTHER);

async function collect(run = {}, options = {}): Promise<RunRecords> {
  const address = { token: jobs.service.restToken, repository: ORIGIN.repository, runId: OTHER, ...run };
  return collectRecords(await jobs.asJob('merge', 1, { run: address, ...options }), ANOTHER_RUN);
}

describe('the records of another run', () => {
  it('are read with a token, the newest attempts', async () => {
    jobs.service.describeRun(OTHER, { run_attempt: 2 });
    const kept = put({ platform: 'linux/arm64' });
    put({ platform: 'linux/amd64' });
    const renewed = put({ platform: 'linux/amd64', attempt: 2 });
    jobs.put(); // of the run that reads
    jobs.service.put({ run: OTHER, name: 'coverage' }, Buffer.from('PK'));
    expect(await collect()).toEqual({ plan: undefined, builds: [renewed, kept] });
  });

  it('need neither the runner’s service nor its token', async () => {
    const record = put();
    const env = { GITHUB_API_URL: jobs.proxy.url, GITHUB_SERVER_URL: 'https://github.com' };
    expect((await collect({}, { env })).builds).toEqual([record]);
  });

  it('may be of any commit, but of one', async () => {
    put({ source: { commit: 'a'.repeat(40) } });
    expect((await collect()).builds[0]?.source.commit).toBe('a'.repeat(40));
    put({ platform: 'linux/arm64', source: { commit: 'b'.repeat(40) } });
    const error = await failureOf(() => collect());
    expect(error.code).toBe('tampered-record');
    for (const named of ['a'.repeat(40), 'b'.repeat(40), 'linux-amd64.1', 'linux-arm64.1'])
      expect(error.message).toContain(named);
  });

  it('are not those of the run that reads', async () => {
    jobs.service.put({ run: OTHER, name: builtRecord().name }, formatRecord(builtRecord().record));
    const error = await failureOf(() => collect());
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain('source.runId');
  });

  it('of an attempt that has not been yet are refused', async () => {
    put({ attempt: 2 });
    const error = await failureOf(() => collect());
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain('at most 1');
  });

  it('that have expired are an error, not missing', async () => {
    put();
    put({ platform: 'linux/arm64' });
    jobs.service.expire({ run: OTHER, name: 'manifold-build.app.linux-arm64.1' });
    const error = await failureOf(() => collect());
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain('manifold-build.app.linux-arm64.1');
    expect(error.message).toContain('expired');
    expect(error.hint).toContain('retention-days');
  });

  it('whose bytes were changed are an error', async () => {
    const record = put();
    const bytes = formatRecord({ ...record, manifold: '9.9.9' });
    jobs.service.tamper({ run: OTHER, name: 'manifold-build.app.linux-amd64.1' }, bytes);
    expect((await failureOf(() => collect())).code).toBe('tampered-record');
  });

  it('that are longer than was stated are not read into memory, and are refused with what else is wrong', async () => {
    put();
    put({ platform: 'linux/arm64' });
    jobs.service.tamper(
      { run: OTHER, name: 'manifold-build.app.linux-amd64.1' },
      Buffer.alloc(9_000_000, '{'),
    );
    jobs.service.expire({ run: OTHER, name: 'manifold-build.app.linux-arm64.1' });
    const error = await failureOf(() => collect());
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain('2 reasons to refuse');
    expect(error.message).toContain(
      'The artifact "manifold-build.app.linux-amd64.1" is longer than its service says; a record has 1048576 bytes at most.',
    );
    expect(error.message).toContain('expired');
  });

  it('of which two have one name are those of the newer upload', async () => {
    jobs.service.describeRun(OTHER, { run_attempt: 2 });
    const { name } = builtRecord();
    jobs.service.put({ run: OTHER, name }, Buffer.from('{}'));
    const { record } = builtRecord({ source: { runId: OTHER } });
    jobs.service.put({ run: OTHER, name, attempt: 2 }, formatRecord(record));
    expect((await collect()).builds).toEqual([record]);
  });

  it('are only read', async () => {
    const run = { token: jobs.service.restToken, repository: ORIGIN.repository, runId: OTHER };
    const store = await jobs.asJob('merge', 1, { run });
    expect((await failureOf(() => store.save('name', Buffer.from('{}')))).code).toBe('record-store');
  });
});

describe('a run that is not to be read', () => {
  it.each([
    ['of a fork', { head_repository: { full_name: 'mallory/app' } }, 'head_repository', 'mallory/app'],
    ['of a fork that was deleted', { head_repository: null }, 'head_repository', 'deleted fork'],
    ['of another repository', { repository: { full_name: 'acme/moved' } }, 'repository', 'acme/moved'],
  ])('as it is %s', async (_, description, field, found) => {
    put();
    jobs.service.describeRun(OTHER, description);
    const error = await failureOf(() => collect());
    expect(error.code).toBe('tampered-record');
    expect(error.message).toMatch(/^The workflow run/);
    expect(error.message).toContain(`field "${field}": expected acme/app, found`);
    expect(error.message).toContain(found);
    expect(jobs.proxy.count({ path: /artifacts/ })).toBe(0);
  });

  it.each(['in_progress', 'queued', 'waiting', null])('as it is %s', async status => {
    put();
    jobs.service.describeRun(OTHER, { status });
    const error = await failureOf(() => collect());
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('"completed"');
    expect(error.hint).toContain('workflow_run');
  });

  it.each([
    { runId: '' },
    { runId: '12/../13' },
    { runId: '-1' },
    { repository: 'acme' },
    { repository: 'acme/app/x' },
    { repository: 'acme/..' },
    { repository: 'acme/a?b' },
  ])('as %j is none', async run => {
    const error = await failureOf(() => collect(run));
    expect(error.code).toBe('invalid-input');
    expect(jobs.proxy.log).toEqual([]);
  });

  it('as GITHUB_API_URL is no address', async () => {
    const error = await failureOf(() => collect({}, { env: { GITHUB_API_URL: 'none' } }));
    expect(error.code).toBe('record-store');
  });
});

describe('a token that may not', () => {
  it.each([
    [401, 'not valid'],
    [403, '  permissions:\n    actions: read'],
    [404, '  permissions:\n    actions: read'],
  ])('read the run (%i) is told what to add, and asked for nothing else', async (status, hint) => {
    const body = '{"message":"Resource not accessible by integration"}';
    jobs.proxy.fail({ path: /\/repos\//, action: { status, body } });
    const error = await failureOf(() => collect());
    expect(error.code).toBe('record-store');
    expect(error.message).toContain(`answered ${status}: {"message":"Resource not accessible`);
    expect(error.hint).toContain(hint);
    expect(jobs.proxy.log).toHaveLength(1);
    expect(error.message + error.hint).not.toContain(jobs.service.restToken);
  });

  it('read another repository is told which token can', async () => {
    jobs.proxy.fail({ path: /\/repos\//, action: { status: 404 } });
    const error = await failureOf(() => collect({ repository: 'acme/builder' }));
    expect(error.hint).toContain('acme/builder');
    expect(error.hint).toContain('actions: read');
  });

  it('read an artifact is told what to add', async () => {
    put();
    jobs.proxy.fail({ path: /zip$/, action: { status: 403, body: 'Must have actions scope' } });
    const error = await failureOf(() => collect());
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('manifold-build.app.linux-amd64.1');
    expect(error.hint).toContain('actions: read');
  });

  it('go on, as GitHub limits it, is told so after the budget', async () => {
    const body = '{"message":"You have exceeded a secondary rate limit"}';
    jobs.proxy.fail({ path: /\/repos\//, action: { status: 403, body } });
    const error = await failureOf(() => collect({}, { transport: transport({ retry: SHORT }) }));
    expect(error.hint).toContain('limits how often');
    expect(error.hint).not.toContain('actions: read');
  });
});

describe('240 records', () => {
  const COMPONENTS = 20;
  const PLATFORMS = ['amd64', 'arm64', 'arm/v7', 'arm/v6', '386', 's390x', 'ppc64le', 'riscv64', 'loong64'];
  const MORE = ['mips64le', 'mips64', 'amd64/v3'];

  function putAll(run?: string): void {
    for (let number = 0; number < COMPONENTS; number++) {
      for (const architecture of [...PLATFORMS, ...MORE]) {
        const build = { component: `app-${number}`, platform: `linux/${architecture}` };
        jobs.put({ ...build, source: { runId: run ?? ORIGIN.runId } }, run);
      }
    }
  }

  it('of another run come at most eight at a time, and with the pauses that the service asks for', async () => {
    putAll(OTHER);
    const downloads = countDownloads(jobs.service);
    const headers = { 'retry-after': '1' };
    jobs.proxy.fail({ path: /zip$/, on: [3, 40], action: { status: 429, headers } });
    jobs.proxy.fail({ path: /page=2/, on: 1, action: { status: 429, headers } });
    const { builds } = await collect();
    expect(builds).toHaveLength(240);
    expect(new Set(builds.map(({ component, platform }) => `${component} ${platform}`)).size).toBe(240);
    expect(downloads.all).toBe(240);
    expect(downloads.most).toBeGreaterThan(1);
    expect(downloads.most).toBeLessThanOrEqual(8);
    expect(jobs.proxy.count({ path: /per_page=100/ })).toBe(4);
    for (const path of [/zip$/, /page=2/]) expect(gapsAfter429(path)).toBeGreaterThanOrEqual(990);
  }, 20_000);

  it('of this run come at most eight at a time', async () => {
    putAll();
    const downloads = countDownloads(jobs.service);
    const { builds } = await collectRecords(await jobs.asJob('merge'), ORIGIN);
    expect(builds).toHaveLength(240);
    expect(downloads.all).toBe(240);
    expect(downloads.most).toBeGreaterThan(1);
    expect(downloads.most).toBeLessThanOrEqual(8);
  }, 20_000);

  /** Milliseconds between a request that was answered 429 and the same request again: the shortest. */
  function gapsAfter429(path: RegExp): number {
    const { log } = jobs.proxy;
    const limited = log.filter(request => request.status === 429 && path.test(request.path));
    expect(limited.length).toBeGreaterThan(0);
    const gaps = limited.map(first => {
      const again = log.find(
        request => request.path === first.path && request !== first && request.at >= first.at,
      );
      return (again?.at ?? 0) - first.at;
    });
    return Math.min(...gaps);
  }
});
