import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import { onTestFinished, vi } from 'vitest';
import { startArtifactService } from '../../lab/parts/artifact-service.ts';
import { startOidcIssuer } from '../../lab/parts/oidc-issuer.ts';
import type { MergeInputs } from '../../src/inputs.ts';
import { merge } from '../../src/modes/merge.ts';
import { formatPlatform, parsePlatform } from '../../src/oci/platform.ts';
import { parseTagEntry, type TagEntry } from '../../src/oci/tags.ts';
import { formatRecordName } from '../../src/records/name.ts';
import { openStore } from '../../src/records/open-store.ts';
import { formatPlan, type PlanRecord } from '../../src/records/plan.ts';
import { type BuildRecord, formatRecord } from '../../src/records/record.ts';
import type { Runner } from '../../src/runner/actions.ts';
import { opened, temporaryFolder } from './clients.ts';
import { type ImageOptions, made, ORIGIN, pushImage, recordOf, TYPES } from './images.ts';
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

export const tagEntries = (...tags: string[]): TagEntry[] => tags.map(parseTagEntry);

export interface BuildOptions {
  readonly attempt?: number;
  readonly matrixSize?: number;
  readonly component?: string;
  /** Another one than the run's, whose merge must be told it as GITHUB_SHA. */
  readonly commit?: string;
  /** Into how many of the registries the image is pushed, from the first; all without it. */
  readonly to?: number;
  /** What the record says otherwise. */
  readonly record?: Partial<Omit<BuildRecord, 'source'>>;
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
  const imagesOf = (component: string): string[] => registries.map(({ host }) => `${host}/acme/${component}`);
  const images = imagesOf('app');

  /** A build job: pushes an image everywhere and leaves its record. */
  const build = async (platform: string, options: ImageOptions & BuildOptions = {}) => {
    const { attempt = 1, matrixSize = 2, component = 'app', to = registries.length } = options;
    const pushed = registries
      .slice(0, to)
      .map(registry =>
        pushImage(registry.repository(`acme/${component}`), { ...parsePlatform(platform), ...options }),
      )[0];
    if (pushed === undefined) throw new Error('a run has at least one registry');
    const record = recordOf(pushed.root, formatPlatform(parsePlatform(platform)), {
      component,
      images: imagesOf(component).slice(0, to),
      ...(pushed.attestation === undefined ? { attestations: [] } : {}),
      ...options.record,
      source: {
        runAttempt: attempt,
        matrixSize,
        ...(options.commit === undefined ? {} : { commit: options.commit }),
      },
    });
    asJob(`build ${component} ${platform}`, attempt);
    const name = formatRecordName({ component, platform: parsePlatform(platform), attempt });
    await (await openStore({ env: process.env })).save(name, formatRecord(record));
    return pushed;
  };

  /** A plan job, as far as the merge sees it. */
  const plan = async (components: PlanRecord['components'], attempt = 1): Promise<void> => {
    asJob('plan', attempt);
    const { source } = recordOf(made(TYPES.index, ''), 'linux/amd64', { source: { runAttempt: attempt } });
    const { matrixSize: _, matrixIndex: __, ...rest } = source;
    const record: PlanRecord = {
      schemaVersion: 1,
      components,
      created: '2026-11-21T09:00:00.000Z',
      version: null,
      source: { ...rest, job: 'plan' },
      manifold: '0.1.0',
    };
    await (await openStore({ env: process.env })).save(`manifold-plan.${attempt}`, formatPlan(record));
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
      ...artifacts.jobEnvironment(ORIGIN.runId, 'merge', attempt),
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
      githubToken: undefined,
      insecureRegistries: new Set(),
      components: [],
      platforms: undefined,
      allowMissing: [],
      images: undefined,
      tags: tagEntries('1.0', 'latest'),
      metadata: undefined,
      pushByDigestOnly: false,
      annotations: [],
      format: 'oci',
      singlePlatform: 'index',
      platformTagSuffix: undefined,
      keepTags: undefined,
      tagPolicy: 'newest',
      immutableTags: [],
      sign: ['keyless'],
      key: undefined,
      signatureFormats: ['bundle'],
      signatureAnnotations: {},
      audience: 'sigstore',
      trustedRoot,
      signingConfig,
      run: undefined,
    };
    await merge({ ...defaults, ...inputs }, runner, env);
    return told;
  };

  /** The tags that people set, without those that stand in for the referrers API. */
  const tags = (position = 0, component = 'app'): Record<string, string> => {
    const all = [...(registries[position]?.repository(`acme/${component}`).tags ?? [])];
    return Object.fromEntries(all.filter(([tag]) => !tag.startsWith('sha256-')));
  };
  return { registries, artifacts, issuer, sigstore, images, imagesOf, build, plan, merge: mergeAll, tags };
}
