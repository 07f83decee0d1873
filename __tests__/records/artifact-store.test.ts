import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type ArtifactService, startArtifactService } from '../../lab/parts/artifact-service.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { ArtifactStore } from '../../src/records/artifact-store.ts';
import { collectRecords } from '../../src/records/collect.ts';
import { formatRecordName } from '../../src/records/name.ts';
import { formatRecord } from '../../src/records/record.ts';
import { failureOf, temporaryFolder } from '../servers/clients.ts';
import { made, ORIGIN, recordOf, TYPES } from '../servers/images.ts';

const RUN = ORIGIN.runId;

let service: ArtifactService;

beforeEach(async () => {
  service = await startArtifactService();
  const folder = temporaryFolder();
  vi.stubEnv('RUNNER_TEMP', folder);
  vi.stubEnv('GITHUB_SERVER_URL', 'https://github.com');
  // The client of GitHub talks to the log as it goes.
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await service.close();
});

/** The store as a job of this attempt sees it. */
async function asJob(job: string, attempt = 1, run = RUN): Promise<ArtifactStore> {
  for (const [name, value] of Object.entries(service.jobEnvironment(run, job, attempt)))
    vi.stubEnv(name, value);
  return ArtifactStore.open(1);
}

interface Build {
  readonly platform?: string;
  readonly component?: string;
  readonly attempt?: number;
  readonly content?: string;
}

/** What a build job leaves behind; returns the digest that it recorded. */
async function build({
  platform = 'linux/amd64',
  component = 'app',
  attempt = 1,
  content = 'image',
}: Build = {}) {
  const record = recordOf(made(TYPES.index, `${content} ${platform} ${attempt}`), platform, {
    component,
    source: { runAttempt: attempt },
  });
  const store = await asJob(`build-${component}-${platform}`, attempt);
  await store.save(
    formatRecordName({ component, platform: parsePlatform(platform), attempt }),
    formatRecord(record),
  );
  return record;
}

describe('the records of a run', () => {
  it('come back as they were saved', async () => {
    const saved = [await build({ platform: 'linux/amd64' }), await build({ platform: 'linux/arm64' })];
    const found = await collectRecords(await asJob('merge'), ORIGIN);
    expect(found.sort((a, b) => (a.platform < b.platform ? -1 : 1))).toEqual(saved);
  });

  it('are stored as plain files under their exact names, for as long as was said', async () => {
    await build({ platform: 'linux/arm/v7' });
    const [artifact] = service.artifacts(RUN);
    expect(artifact).toMatchObject({ name: 'manifold-build.app.linux-arm-v7.1', finalized: true });
    expect(JSON.parse(artifact?.bytes.toString() ?? '')).toMatchObject({
      component: 'app',
      platform: 'linux/arm/v7',
    });
    const days = (Date.parse(artifact?.expiresAt ?? '') - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(0.9);
    expect(days).toBeLessThan(1.1);
  });

  it('are those of the newest attempt of each component and platform', async () => {
    await build({ platform: 'linux/amd64' });
    const kept = await build({ platform: 'linux/arm64' });
    const renewed = await build({ platform: 'linux/amd64', attempt: 2 });
    const other = await build({ component: 'app-api', platform: 'linux/amd64' });
    const found = await collectRecords(await asJob('merge', 2), ORIGIN);
    expect(found.map(({ digest }) => digest).sort()).toEqual(
      [kept, renewed, other].map(({ digest }) => digest).sort(),
    );
  });

  it('of an attempt that has not been yet are refused, as nobody can have written them', async () => {
    await build({ platform: 'linux/amd64' });
    await build({ platform: 'linux/amd64', attempt: 3 });
    const error = await failureOf(async () =>
      collectRecords(await asJob('merge', 3), { ...ORIGIN, runAttempt: 2 }),
    );
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain('at most 2');
  });

  it('are compared by the number of the attempt, not by its text', async () => {
    await build({ attempt: 9 });
    const newest = await build({ attempt: 10 });
    const [found] = await collectRecords(await asJob('merge', 10), ORIGIN);
    expect(found?.digest).toBe(newest.digest);
  });

  it('do not include what other steps or other runs uploaded', async () => {
    const store = await asJob('test');
    await store.save('coverage.json', Buffer.from('{}'));
    await store.save('x-manifold-build.app.linux-amd64.1', Buffer.from('{}'));
    await (await asJob('build', 1, '2002')).save('manifold-build.app.linux-amd64.1', Buffer.from('{}'));
    expect(await collectRecords(await asJob('merge'), ORIGIN)).toEqual([]);
  });

  it.each(['manifold-build.app.json', 'manifold-build.App.linux-amd64.1'])(
    'include nothing under the name %s, which is an error',
    async name => {
      await build();
      await (await asJob('test')).save(name, Buffer.from('{}'));
      const error = await failureOf(async () => collectRecords(await asJob('merge'), ORIGIN));
      expect(error.code).toBe('invalid-record');
      expect(error.message).toContain(name);
    },
  );

  it('that are illegible are an error, not missing', async () => {
    await build();
    await (await asJob('test')).save('manifold-build.app.linux-arm64.1', Buffer.from('{}'));
    const error = await failureOf(async () => collectRecords(await asJob('merge'), ORIGIN));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain('manifold-build.app.linux-arm64.1');
  });

  it('of an earlier attempt may be illegible where a newer one is there', async () => {
    await (await asJob('build')).save('manifold-build.app.linux-amd64.1', Buffer.from('{}'));
    const newer = await build({ attempt: 2 });
    expect(await collectRecords(await asJob('merge', 2), ORIGIN)).toEqual([newer]);
  });

  it('under the name of another are an error', async () => {
    const record = recordOf(made(TYPES.index, 'x'), 'linux/amd64');
    await (await asJob('build')).save('manifold-build.app.linux-arm64.1', formatRecord(record));
    const error = await failureOf(async () => collectRecords(await asJob('merge'), ORIGIN));
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain('"platform"');
  });

  it('whose bytes were changed in the service are an error', async () => {
    const record = await build();
    const changed = formatRecord({ ...record, digest: `sha256:${'0'.repeat(64)}` });
    service.tamper({ run: RUN, name: 'manifold-build.app.linux-amd64.1' }, changed);
    const error = await failureOf(async () => collectRecords(await asJob('merge'), ORIGIN));
    expect(error.code).toBe('tampered-record');
  });

  it('of another commit are an error', async () => {
    await build();
    const error = await failureOf(async () =>
      collectRecords(await asJob('merge'), { ...ORIGIN, commit: 'other' }),
    );
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain('source.commit');
  });
});

describe('the artifact service', () => {
  it('that holds the name already says that two jobs build the same', async () => {
    await build();
    const error = await failureOf(() => build());
    expect(error.code).toBe('record-store');
    expect(error.hint).toContain('component');
  });

  it('of which the runner tells nothing is an error with the remedy', async () => {
    vi.stubEnv('ACTIONS_RUNTIME_TOKEN', '');
    vi.stubEnv('ACTIONS_RESULTS_URL', '');
    const error = await failureOf(async () => (await ArtifactStore.open(1)).list());
    expect(error.code).toBe('record-store');
    expect(error.hint).toContain('"uses:"');
  });

  it('that does not exist on this server is an error that says so', async () => {
    vi.stubEnv('GITHUB_SERVER_URL', 'https://ghes.example.com');
    const error = await failureOf(() => asJob('merge'));
    expect(error.code).toBe('record-store');
    expect(error.message).toContain('ghes.example.com');
    expect(error.hint).toContain('records: FOLDER');
  });

  it('that refuses the token is an error', async () => {
    vi.stubEnv('ACTIONS_RESULTS_URL', `${service.url}/`);
    const other = await startArtifactService();
    onTestFinished(() => other.close());
    vi.stubEnv('ACTIONS_RUNTIME_TOKEN', other.runtimeToken(RUN, 'merge'));
    const error = await failureOf(async () => (await ArtifactStore.open(1)).list());
    expect(error.code).toBe('record-store');
  });
});
