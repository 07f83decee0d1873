import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished, vi } from 'vitest';
import { type ArtifactService, startArtifactService } from '../../lab/parts/artifact-service.ts';
import { type FaultProxy, startFaultProxy } from '../../lab/parts/fault-proxy.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { formatRecordName } from '../../src/records/name.ts';
import { openStore, type StoreOptions } from '../../src/records/open-store.ts';
import { type BuildRecord, formatRecord } from '../../src/records/record.ts';
import type { RecordStore } from '../../src/records/store.ts';
import { FAST, opened, temporaryFolder } from '../servers/clients.ts';
import { made, ORIGIN, recordOf, TYPES } from '../servers/images.ts';

export const RUN = ORIGIN.runId;

export interface Build {
  readonly platform?: string;
  readonly component?: string;
  readonly attempt?: number;
  readonly content?: string;
  readonly source?: Partial<BuildRecord['source']>;
}

/** The record that a build job writes, and its name. */
export function builtRecord(build: Build = {}): { name: string; record: BuildRecord } {
  const { platform = 'linux/amd64', component = 'app', attempt = 1, content = 'image' } = build;
  const record = recordOf(made(TYPES.index, `${content} ${platform} ${attempt}`), platform, {
    component,
    source: { runAttempt: attempt, ...build.source },
  });
  return { name: formatRecordName({ component, platform: parsePlatform(platform), attempt }), record };
}

/** A run of a workflow: its jobs reach the artifact service and the REST API through a proxy that can break. */
export interface Jobs {
  readonly service: ArtifactService;
  readonly proxy: FaultProxy;
  /** What was told of faults that are tried again. */
  readonly retries: string[];
  /** The store as a job sees it. */
  asJob(
    job: string,
    attempt?: number,
    options?: Partial<StoreOptions> & { run?: StoreOptions['run'] },
  ): Promise<RecordStore>;
  /** What a build job leaves behind, through the client and its upload. */
  build(build?: Build): Promise<BuildRecord>;
  /** The same, put into the service at once. */
  put(build?: Build, run?: string): BuildRecord;
}

export async function startJobs(): Promise<Jobs> {
  const service = await opened(startArtifactService());
  const proxy = await opened(startFaultProxy({ target: service.url }));
  const retries: string[] = [];
  vi.stubEnv('RUNNER_TEMP', temporaryFolder());
  vi.stubEnv('GITHUB_SERVER_URL', 'https://github.com');
  vi.stubEnv('GITHUB_API_URL', proxy.url);
  vi.stubEnv('GITHUB_REPOSITORY', ORIGIN.repository);
  vi.stubEnv('GITHUB_RUN_ID', RUN);
  for (const forge of ['GITEA_ACTIONS', 'FORGEJO_ACTIONS', 'ACT']) vi.stubEnv(forge, '');
  // The client of GitHub talks to the log as it goes.
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });
  const asJob: Jobs['asJob'] = (job, attempt = 1, options = {}) => {
    for (const [name, value] of Object.entries(service.jobEnvironment(RUN, job, attempt, proxy.url)))
      vi.stubEnv(name, value);
    const onRetry = (message: string): unknown => retries.push(message);
    return openStore({ env: process.env, retry: FAST, onRetry, ...options });
  };
  return {
    service,
    proxy,
    retries,
    asJob,
    build: async (build = {}) => {
      const { name, record } = builtRecord(build);
      await (await asJob(`build-${name}`, build.attempt ?? 1)).save(name, formatRecord(record));
      return record;
    },
    put: (build = {}, run = RUN) => {
      const { name, record } = builtRecord(build);
      service.put({ run, name, attempt: build.attempt ?? 1 }, formatRecord(record));
      return record;
    },
  };
}

/** The pauses of the client between its own tries (3 to 16 s) take no time; its time-outs (30 s) stay. */
export function withoutPauses(): void {
  const real = globalThis.setTimeout;
  vi.spyOn(globalThis, 'setTimeout').mockImplementation((work: () => void, delay = 0, ...rest: []) =>
    real(work, delay >= 3_000 && delay <= 20_000 ? 1 : delay, ...rest),
  );
}

/** Counts how many downloads are under way at the same time. */
export function countDownloads(service: ArtifactService): { readonly most: number; readonly all: number } {
  const counted = { most: 0, all: 0, now: 0 };
  service.onDownload(async () => {
    counted.all++;
    counted.most = Math.max(counted.most, ++counted.now);
    // Long enough for whoever else wants to come to have come.
    await sleep(5);
    counted.now--;
  });
  return counted;
}
