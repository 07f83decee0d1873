import { beforeEach, describe, expect, it, vi } from 'vitest';
import { startArtifactService } from '../../lab/parts/artifact-service.ts';
import { collectRecords } from '../../src/records/collect.ts';
import { openStore } from '../../src/records/open-store.ts';
import { formatRecord } from '../../src/records/record.ts';
import { FAST, failureOf, opened, SHORT } from '../servers/clients.ts';
import { made, ORIGIN, recordOf, TYPES } from '../servers/images.ts';
import { type Jobs, RUN, startJobs, withoutPauses } from './jobs.ts';

let jobs: Jobs;

beforeEach(async () => {
  jobs = await startJobs();
});

const collect = async (attempt = 1, options = {}) =>
  (await collectRecords(await jobs.asJob('merge', attempt, options), ORIGIN)).builds;
const failure = (attempt = 1, options = {}) => failureOf(() => collect(attempt, options));
const digests = (records: readonly { digest: string }[]) => records.map(({ digest }) => digest).sort();

describe('the records of a run', () => {
  it('come back as they were saved', async () => {
    const saved = [
      await jobs.build({ platform: 'linux/amd64' }),
      await jobs.build({ platform: 'linux/arm64' }),
    ];
    expect(await collect()).toEqual(saved);
  });

  it('are stored as plain files under their exact names, for as long as was said', async () => {
    const record = recordOf(made(TYPES.index, 'x'), 'linux/arm/v7');
    const store = await jobs.asJob('build', 1, { retentionDays: 1 });
    await store.save('manifold-build.app.linux-arm-v7.1', formatRecord(record));
    const [artifact] = jobs.service.artifacts(RUN);
    expect(artifact).toMatchObject({ name: 'manifold-build.app.linux-arm-v7.1', finalized: true });
    expect(JSON.parse(artifact?.bytes.toString() ?? '')).toEqual(record);
    const days = (Date.parse(artifact?.expiresAt ?? '') - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(0.9);
    expect(days).toBeLessThan(1.1);
  });

  it('are kept for as long as the repository says when nobody says anything else', async () => {
    await jobs.build();
    expect(jobs.service.artifacts(RUN)[0]?.expiresAt).toBeUndefined();
  });

  it('are those of the newest attempt of each component and platform', async () => {
    await jobs.build({ platform: 'linux/amd64' });
    const kept = await jobs.build({ platform: 'linux/arm64' });
    const renewed = await jobs.build({ platform: 'linux/amd64', attempt: 2 });
    const other = await jobs.build({ component: 'app-api', platform: 'linux/amd64' });
    expect(digests(await collect(2))).toEqual(digests([kept, renewed, other]));
  });

  it('of a run that began anew are only those of the new attempt', async () => {
    await jobs.build({ platform: 'linux/amd64' });
    jobs.service.startAfresh(RUN, 2);
    const renewed = await jobs.build({ platform: 'linux/arm64', attempt: 2 });
    expect(await collect(2)).toEqual([renewed]);
  });

  it('of an attempt that has not been yet are refused, as nobody can have written them', async () => {
    await jobs.build({ platform: 'linux/amd64' });
    await jobs.build({ platform: 'linux/amd64', attempt: 3 });
    const error = await failureOf(async () =>
      collectRecords(await jobs.asJob('merge', 3), { ...ORIGIN, runAttempt: 2 }),
    );
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain('at most 2');
  });

  it('are compared by the number of the attempt, not by its text', async () => {
    await jobs.build({ attempt: 9 });
    const newest = await jobs.build({ attempt: 10 });
    expect(await collect(10)).toEqual([newest]);
  });

  it('do not include what other steps, other actions or other runs uploaded', async () => {
    const store = await jobs.asJob('test');
    await store.save('coverage.json', Buffer.from('{}'));
    await store.save('acme~app~ABCDEF.dockerbuild', Buffer.from('a build record of Docker'));
    await store.save('x-manifold-build.app.linux-amd64.1', Buffer.from('{}'));
    jobs.put({}, '2002');
    expect(await collect()).toEqual([]);
    expect(jobs.proxy.count({ path: /GetSignedArtifactURL/ })).toBe(0);
  });

  it.each(['manifold-build.app.json', 'manifold-build.App.linux-amd64.1', 'manifold-plan.app.1'])(
    'include nothing under the name %s, which is an error',
    async name => {
      jobs.put();
      jobs.service.put({ run: RUN, name }, Buffer.from('{}'));
      const error = await failure();
      expect(error.code).toBe('invalid-record');
      expect(error.message).toContain(name);
    },
  );

  it.each([
    ['illegible', Buffer.from('{}'), 'schemaVersion'],
    ['empty', Buffer.alloc(0), 'no JSON'],
    ['an archive, as other actions upload', Buffer.from('PK\u0003\u0004...'), 'ZIP'],
  ])('that are %s are an error, not missing', async (_, bytes, words) => {
    jobs.put();
    jobs.service.put({ run: RUN, name: 'manifold-build.app.linux-arm64.1' }, bytes);
    const error = await failure();
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain('manifold-build.app.linux-arm64.1');
    expect(error.message).toContain(words);
  });

  it('that are much too long are refused before they are read', async () => {
    jobs.service.put({ run: RUN, name: 'manifold-build.app.linux-arm64.1' }, Buffer.alloc(9_000_000, '{'));
    const error = await failure();
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain('9000000 bytes');
    expect(jobs.proxy.count({ path: /blobs/ })).toBe(0);
  });

  it('that are longer than was stated are not read into memory', async () => {
    jobs.put();
    jobs.service.tamper({ run: RUN, name: 'manifold-build.app.linux-amd64.1' }, Buffer.alloc(9_000_000, '{'));
    const error = await failure();
    expect(error.code).toBe('invalid-record');
    expect(error.message).toBe(
      'The artifact "manifold-build.app.linux-amd64.1" is longer than its service says; a record has 1048576 bytes at most.',
    );
  });

  it('of an earlier attempt may be illegible where a newer one is there', async () => {
    jobs.service.put({ run: RUN, name: 'manifold-build.app.linux-amd64.1' }, Buffer.from('{}'));
    const newer = jobs.put({ attempt: 2 });
    expect(await collect(2)).toEqual([newer]);
  });

  it('whose bytes were changed in the service are an error that names both digests', async () => {
    const record = jobs.put();
    const changed = formatRecord({ ...record, manifold: '9.9.9' });
    jobs.service.tamper({ run: RUN, name: 'manifold-build.app.linux-amd64.1' }, changed);
    const error = await failure();
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain(made('', formatRecord(record).toString()).descriptor.digest);
    expect(error.message).toContain(made('', changed.toString()).descriptor.digest);
  });
});

describe('a name that is taken', () => {
  it('by another job of this attempt is an error that says that two build the same', async () => {
    await jobs.build();
    const error = await failureOf(() => jobs.build({ content: 'another image' }));
    expect(error.code).toBe('record-store');
    expect(error.hint).toContain('Two jobs of this run, or two such steps of one job');
    expect(error.hint).toContain('"component"');
    expect(error.hint).not.toContain('broke off');
  });

  it('by the very same content counts as saved', async () => {
    await jobs.build();
    await jobs.build();
    expect(jobs.service.artifacts(RUN)).toHaveLength(1);
  });

  it('by our own upload, whose last answer was lost, counts as saved', async () => {
    jobs.proxy.fail({ path: /FinalizeArtifact/, on: 1, action: { reset: 'after' } });
    const record = await jobs.build();
    expect(jobs.retries.join()).toContain('manifold-build.app.linux-amd64.1');
    expect(await collect()).toEqual([record]);
  });

  it('by an upload that broke off is free again in the next attempt, which the error says', async () => {
    jobs.proxy.fail({ path: /CreateArtifact/, on: 1, action: { reset: 'after' } });
    const error = await failureOf(() => jobs.build());
    expect(error.code).toBe('record-store');
    expect(error.hint).toContain('Two jobs of this run, or two such steps of one job');
    expect(error.hint).toContain('an upload that broke off. Re-run this job: the next attempt');
    const record = await jobs.build({ attempt: 2 });
    expect(await collect(2)).toEqual([record]);
  });

  it('by an earlier attempt is no concern of a job that runs again', async () => {
    await jobs.build();
    const renewed = await jobs.build({ attempt: 2 });
    expect(await collect(2)).toEqual([renewed]);
  });
});

describe('a connection that breaks', () => {
  it.each(['CreateArtifact'])('before %s is tried again', async method => {
    jobs.proxy.fail({ path: new RegExp(method), on: [1, 2], action: { reset: 'before' } });
    const record = await jobs.build();
    expect(jobs.retries).toHaveLength(2);
    expect(await collect()).toEqual([record]);
  });

  it.each(['ListArtifacts', 'GetSignedArtifactURL'])('at %s is tried again', async method => {
    const record = jobs.put();
    jobs.proxy.fail({ path: new RegExp(method), on: [1, 2, 3], action: { reset: 'before' } });
    expect(await collect()).toEqual([record]);
    expect(jobs.retries).toHaveLength(3);
    expect(jobs.retries[0]).toContain('trying again');
  });

  it('for longer than the budget is an error', async () => {
    jobs.proxy.fail({ path: /ListArtifacts/, action: { reset: 'before' } });
    const error = await failure(1, { retry: SHORT });
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('Listing the artifacts of this run');
    expect(error.message).toContain('ECONNRESET');
  });

  it('while a record is downloaded is tried again', async () => {
    const record = jobs.put();
    jobs.proxy.fail({ path: /blobs/, on: [1, 2, 3, 4, 5, 6], action: { reset: 'before' } });
    expect(await collect()).toEqual([record]);
  });
});

describe('a service that is busy', () => {
  it('while a record is saved is asked again, for longer than its client would', async () => {
    withoutPauses();
    jobs.proxy.fail({ path: /CreateArtifact/, on: n => n <= 7, action: { status: 503, body: '{}' } });
    const record = await jobs.build();
    expect(jobs.retries.join()).toContain('503');
    expect(await collect()).toEqual([record]);
  });

  it.each([429, 500, 502, 503, 504])(
    'and answers %i is asked again, for longer than the client of GitHub would',
    async status => {
      const record = jobs.put();
      const body = '{"msg":"too many requests"}';
      jobs.proxy.fail({ path: /ListArtifacts/, on: n => n <= 7, action: { status, body } });
      expect(await collect()).toEqual([record]);
      expect(jobs.retries.join()).toContain(String(status));
    },
  );

  it.each([400, 401, 403])('is not asked again when it answers %i', async status => {
    jobs.proxy.fail({ path: /ListArtifacts/, action: { status, body: '{"msg":"no"}' } });
    const error = await failure();
    expect(error.code).toBe('record-store');
    expect(error.message).toContain(`(${status})`);
    expect(error.message).toContain('github.com');
    expect(error.hint).toContain('records: FOLDER');
    expect(jobs.proxy.count({ path: /ListArtifacts/ })).toBe(1);
  });
});

describe('an artifact of an earlier attempt that is listed and withheld', () => {
  const token = () => ({ token: jobs.service.restToken });

  beforeEach(() => {
    jobs.service.withhold(artifact => artifact.attempt < 2);
  });

  it('is read by the token', async () => {
    const old = jobs.put();
    const renewed = jobs.put({ platform: 'linux/arm64', attempt: 2 });
    expect(await collect(2, token())).toEqual([old, renewed]);
  });

  it('is read by the token of "run-id" that names this very run, which goes on', async () => {
    const old = jobs.put();
    jobs.service.describeRun(RUN, { status: 'in_progress' });
    const run = { token: jobs.service.restToken, repository: ORIGIN.repository, runId: RUN };
    expect(await collect(2, { run })).toEqual([old]);
  });

  it('is looked up once for all of them', async () => {
    for (const platform of ['linux/amd64', 'linux/arm64', 'linux/s390x']) jobs.put({ platform });
    expect(await collect(2, token())).toHaveLength(3);
    expect(jobs.proxy.count({ path: /runs\/1001\/artifacts/ })).toBe(1);
  });

  it('is an error without a token, which says what to add', async () => {
    jobs.put();
    const error = await failure(2);
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('workflow run not found');
    expect(error.hint).toContain('  permissions:\n    actions: read');
    expect(error.hint).toContain('github-token: ${{ github.token }}');
  });

  it.each([403, 404])(
    'is an error where the token may not read it (%i), which says what to add',
    async status => {
      jobs.put();
      const body = '{"message":"Resource not accessible by integration"}';
      jobs.proxy.fail({ path: /\/repos\//, action: { status, body } });
      const error = await failure(2, token());
      expect(error.code).toBe('record-store');
      expect(error.message).toContain('Resource not accessible');
      expect(error.hint).toContain('  permissions:\n    actions: read');
      expect(error.message + error.hint).not.toContain(jobs.service.restToken);
    },
  );

  it('is refused where the two services disagree on its digest', async () => {
    const record = jobs.put();
    const bytes = formatRecord({ ...record, manifold: '9.9.9' });
    const { digest } = made('', bytes.toString()).descriptor;
    jobs.service.tamper({ run: RUN, name: 'manifold-build.app.linux-amd64.1' }, bytes);
    const rewrite = (body: Buffer) => Buffer.from(body.toString().replace(/sha256:[0-9a-f]{64}/, digest));
    jobs.proxy.fail({ path: /per_page/, action: { rewrite } });
    const error = await failure(2, token());
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain(`found ${digest}`);
  });

  it('is refused where its bytes are not what was stored', async () => {
    const record = jobs.put();
    const bytes = formatRecord({ ...record, manifold: '9.9.9' });
    jobs.service.tamper({ run: RUN, name: 'manifold-build.app.linux-amd64.1' }, bytes);
    expect((await failure(2, token())).code).toBe('tampered-record');
  });

  it('is an error where the token finds no such artifact', async () => {
    jobs.put();
    const rewrite = () => Buffer.from('{"total_count":0,"artifacts":[]}');
    jobs.proxy.fail({ path: /\/repos\//, action: { rewrite } });
    const error = await failure(2, token());
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('manifold-build.app.linux-amd64.1');
  });
});

describe('the artifact service', () => {
  it('of which the runner tells nothing is an error with the remedy', async () => {
    vi.stubEnv('ACTIONS_RUNTIME_TOKEN', '');
    vi.stubEnv('ACTIONS_RESULTS_URL', '');
    vi.stubEnv('ACT', 'true');
    const error = await failureOf(() => openStore({ env: process.env }));
    expect(error.code).toBe('record-store');
    expect(error.message).toContain(
      'of act (a runner without a server) gave no ACTIONS_RESULTS_URL and no ACTIONS_RUNTIME_TOKEN',
    );
    expect(error.hint).toContain('"uses:"');
    expect(error.hint).toContain('no such service, say "records: FOLDER"');
  });

  it.each([
    ['https://ghes.example.com', {}, 'ghes.example.com (GitHub Enterprise Server'],
    ['https://git.example.com', { GITEA_ACTIONS: 'true' }, 'Gitea (git.example.com)'],
    ['https://codeberg.org', { FORGEJO_ACTIONS: 'true', GITEA_ACTIONS: 'true' }, 'Forgejo (codeberg.org)'],
    ['no address', {}, '"no address"'],
  ])('that does not exist on %s is an error that names the kind of server', async (url, variables, kind) => {
    vi.stubEnv('GITHUB_SERVER_URL', url);
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    const run = { token: 'token', repository: 'acme/app', runId: '7' };
    for (const error of [await failure(), await failure(1, { run })]) {
      expect(error.code).toBe('record-store');
      expect(error.message).toContain(kind);
      expect(error.hint).toContain('records: FOLDER');
    }
  });

  it('that refuses the token is an error', async () => {
    const other = await opened(startArtifactService());
    await jobs.asJob('merge');
    const env = { ...process.env, ACTIONS_RUNTIME_TOKEN: other.runtimeToken(RUN, 'merge') };
    const store = await openStore({ env, retry: FAST });
    const error = await failureOf(() => store.list());
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('(401)');
  });
});
