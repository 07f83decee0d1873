import { type Built, runBuild } from '../buildx/build.ts';
import { checkBuildx } from '../buildx/builder.ts';
import type { BuilderNode } from '../buildx/preflight.ts';
import { ManifoldError } from '../errors.ts';
import { DEFAULT_RETRY } from '../http/retry.ts';
import type { BuildInputs } from '../inputs.ts';
import { formatPlatform } from '../oci/platform.ts';
import { formatRepository, type Repository } from '../oci/reference.ts';
import { formatRecordName } from '../records/name.ts';
import { openStore } from '../records/open-store.ts';
import { type BuildRecord, formatRecord } from '../records/record.ts';
import { type BuiltImage, readBuiltImage, requirePlatform } from '../registry/image.ts';
import { buildSummary } from '../report/summary.ts';
import type { Runner } from '../runner/actions.ts';
import { type Run, readRun } from '../runner/run.ts';
import { VERSION } from '../version.ts';
import { openReach } from './reach.ts';

/** Builds one platform, pushes it by digest, asks the registries what they hold, and leaves a record for the merge. */
export async function build(inputs: BuildInputs, runner: Runner, env: NodeJS.ProcessEnv): Promise<void> {
  const run = readRun(env);
  const platform = formatPlatform(inputs.platform);
  const started = new Date();
  // A record that nobody could keep is found before the build, not after it.
  const store = await openStore({
    folder: inputs.records,
    retentionDays: inputs.retentionDays,
    env,
    retry: { ...DEFAULT_RETRY, budget: inputs.retryBudget },
    onRetry: runner.info,
    onSecret: runner.mask,
  });
  const { buildx, version, node } = await runner.group('Builder', () =>
    checkBuildx(inputs.builder, inputs.platform),
  );
  const how = node.emulated ? 'emulated' : 'natively';
  runner.info(
    `${platform} is built ${how} by ${node.name} (${node.driver}, BuildKit ${node.buildkit}) with buildx ${version}.`,
  );

  const built = await runBuild(buildx, inputs, env);
  const found = await runner.group('What the registries hold', () =>
    readImageBack(inputs, built, runner, env),
  );
  const record = makeRecord(inputs, run, node, found, { started, finished: new Date() });
  const bytes = formatRecord(record);
  const name = formatRecordName({
    component: inputs.component,
    platform: inputs.platform,
    attempt: run.runAttempt,
  });
  await runner.group('Record', () => store.save(name, bytes));

  runner.info(`Recorded ${record.digest} as ${name}.`);
  runner.output('digest', record.digest);
  runner.output('imageid', built.imageId);
  runner.output('metadata', built.metadata.json);
  runner.output('record', bytes.toString('utf8'));
  await runner.summary(buildSummary(record));
}

/** What buildx says it pushed is held against what every registry gives out. */
async function readImageBack(
  inputs: BuildInputs,
  built: Built,
  runner: Runner,
  env: NodeJS.ProcessEnv,
): Promise<BuiltImage> {
  const { transport, registries } = openReach(inputs, runner, env);
  const pushed = { justPushed: true };
  const readFrom = async (name: Repository): Promise<BuiltImage> => {
    const repository = registries.repository(name);
    const found = await readBuiltImage(repository, built.metadata.digest, pushed);
    const { image, predicateTypes } = found;
    requirePlatform(`${repository.name}@${image.image.digest}`, inputs.platform, image.platform);
    if (built.provenance && !predicateTypes.some(type => type.startsWith('https://slsa.dev/provenance/'))) {
      throw missingProvenance(repository.name);
    }
    runner.info(
      `${repository.name}@${built.metadata.digest}: ${formatPlatform(image.platform)}, attestations: ${predicateTypes.join(', ') || 'none'}`,
    );
    return found;
  };
  try {
    const [found] = await Promise.all(inputs.images.map(readFrom));
    return found as BuiltImage;
  } finally {
    transport.close();
  }
}

function missingProvenance(name: string): ManifoldError {
  return new ManifoldError(
    'missing-attestation',
    `Provenance was asked for, but ${name} holds none for this image.`,
    {
      hint: 'The builder dropped it: use the driver docker-container (docker/setup-buildx-action), or say "provenance: false".',
    },
  );
}

function makeRecord(
  inputs: BuildInputs,
  run: Run,
  builder: BuilderNode,
  { content, predicateTypes }: BuiltImage,
  time: { started: Date; finished: Date },
): BuildRecord {
  const { repository, commit, ref, runId, runAttempt, job } = run;
  return {
    schemaVersion: 1,
    component: inputs.component,
    platform: formatPlatform(inputs.platform),
    images: inputs.images.map(formatRepository),
    digest: content.digest,
    mediaType: content.mediaType,
    size: content.bytes.byteLength,
    content: Buffer.from(content.bytes).toString('utf8'),
    attestations: [...predicateTypes],
    source: {
      repository,
      commit,
      ref,
      // In a reusable workflow the job is defined by another file than the run.
      workflow: inputs.workflowRef ?? run.workflow,
      runId,
      runAttempt,
      job,
      matrixSize: inputs.matrixSize ?? null,
      matrixIndex: inputs.matrixIndex ?? null,
    },
    builder: { ...builder },
    started: time.started.toISOString(),
    finished: time.finished.toISOString(),
    manifold: VERSION,
  };
}
