import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import { onTestFinished, vi } from 'vitest';
import { startArtifactService } from '../../lab/parts/artifact-service.ts';
import { startOidcIssuer } from '../../lab/parts/oidc-issuer.ts';
import type { MergeInputs } from '../../src/inputs.ts';
import { merge } from '../../src/modes/merge.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { ArtifactStore } from '../../src/records/artifact-store.ts';
import { formatRecordName } from '../../src/records/name.ts';
import { formatRecord } from '../../src/records/record.ts';
import type { Runner } from '../../src/runner/actions.ts';
import { opened, temporaryFolder } from './clients.ts';
import { type ImageOptions, ORIGIN, pushImage, recordOf } from './images.ts';
import { type RegistryOptions, startRegistry } from './registry.ts';
import { startSigstore } from './sigstore.ts';

/** What a step said, put out and masked. */
export interface Told {
  readonly lines: string[];
  readonly outputs: Record<string, string>;
  readonly masked: string[];
  readonly pages: string[];
}

function recordingRunner(): { runner: Runner; told: Told } {
  const told: Told = { lines: [], outputs: {}, masked: [], pages: [] };
  const say = (message: string): void => void told.lines.push(message);
  const runner: Runner = {
    info: say,
    notice: say,
    warning: say,
    mask: secret => void told.masked.push(secret),
    output: (name, value) => {
      told.outputs[name] = value;
    },
    summary: async markdown => void told.pages.push(markdown),
    group: (_, work) => work(),
  };
  return { runner, told };
}

/** A workflow run with all services that its jobs use, each a program behind HTTP in this process. */
export async function startRun(...kinds: RegistryOptions[]) {
  const registries = await Promise.all(
    (kinds.length === 0 ? [{}] : kinds).map(kind => opened(startRegistry(kind))),
  );
  const [artifacts, issuer, sigstore] = await Promise.all([
    opened(startArtifactService()),
    opened(startOidcIssuer()),
    opened(startSigstore()),
  ]);
  const folder = temporaryFolder();
  const [trustedRoot, signingConfig] = ['trusted_root.json', 'signing_config.json'].map(name =>
    path.join(folder, name),
  );
  writeFileSync(trustedRoot as string, JSON.stringify(TrustedRoot.toJSON(sigstore.root)));
  writeFileSync(signingConfig as string, JSON.stringify(SigningConfig.toJSON(sigstore.config)));
  mkdirSync(path.join(folder, 'temp'));
  vi.stubEnv('RUNNER_TEMP', path.join(folder, 'temp'));
  vi.stubEnv('GITHUB_SERVER_URL', 'https://github.com');
  const quiet = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    quiet.mockRestore();
  });

  const asJob = (job: string, attempt: number): void => {
    for (const [name, value] of Object.entries(artifacts.jobEnvironment(ORIGIN.runId, job, attempt)))
      vi.stubEnv(name, value);
  };
  const images = registries.map(({ host }) => `${host}/acme/app`);

  /** A build job: pushes an image everywhere and leaves its record. */
  const build = async (
    platform: string,
    options: ImageOptions & { attempt?: number; matrixSize?: number } = {},
  ) => {
    const { attempt = 1, matrixSize = 2 } = options;
    const { os, architecture } = parsePlatform(platform);
    const pushed = registries.map(registry =>
      pushImage(registry.repository('acme/app'), { os, architecture, ...options }),
    )[0];
    if (pushed === undefined) throw new Error('a run has at least one registry');
    const record = recordOf(pushed.root, platform, { images, source: { runAttempt: attempt, matrixSize } });
    asJob(`build ${platform}`, attempt);
    const name = formatRecordName({ component: 'app', platform: parsePlatform(platform), attempt });
    await (await ArtifactStore.open(1)).save(name, formatRecord(record));
    return pushed;
  };

  /** The merge job, as the runner would run it. */
  const mergeAll = async (
    inputs: Partial<MergeInputs> = {},
    attempt = 1,
    changes: NodeJS.ProcessEnv = {},
  ): Promise<Told> => {
    asJob('merge', attempt);
    const { runner, told } = recordingRunner();
    const env = {
      ...issuer.jobEnvironment(),
      DOCKER_CONFIG: path.join(folder, 'no-login'),
      GITHUB_REPOSITORY: ORIGIN.repository,
      GITHUB_SHA: ORIGIN.commit,
      GITHUB_RUN_ID: ORIGIN.runId,
      GITHUB_RUN_ATTEMPT: String(attempt),
      ...changes,
    };
    const defaults: MergeInputs = {
      mode: 'merge',
      retryBudget: 60,
      records: undefined,
      platforms: undefined,
      component: undefined,
      tags: ['1.0', 'latest'],
      sign: 'keyless',
      trustedRoot,
      signingConfig,
    };
    await merge({ ...defaults, ...inputs }, runner, env);
    return told;
  };

  /** The tags that people set, without those that stand in for the referrers API. */
  const tags = (position = 0): Record<string, string> => {
    const all = [...(registries[position]?.repository('acme/app').tags ?? [])];
    return Object.fromEntries(all.filter(([tag]) => !tag.startsWith('sha256-')));
  };
  return { registries, artifacts, issuer, sigstore, images, build, merge: mergeAll, tags };
}
