import { imagesOf } from '../inputs/image-templates.ts';
import type { MergeInputs, SigningHand } from '../inputs.ts';
import { type AssembleOptions, assemble } from '../publish/assemble.ts';
import { BuildReader, type Connect } from '../publish/read-builds.ts';
import { closeSet } from '../records/closed-set.ts';
import type { RunRecords } from '../records/collect.ts';
import { BuildsRefused } from '../records/problems.ts';
import { indexTree, refusalSummary } from '../report/summary.ts';
import type { Runner } from '../runner/actions.ts';
import { readRun, readVisibility } from '../runner/run.ts';
import { requireIdTokenPermission } from '../sign/identity-token.ts';
import { type PublishingContext, pushSignAndTag } from './merge-publishing.ts';
import { type RecordsContext, readRecords } from './merge-records.ts';
import { report } from './merge-report.ts';
import type { Signing } from './merge-signing.ts';
import { openReach } from './reach.ts';
import { decideSigning } from './signing-consent.ts';

/** Makes one image of all builds of each component: collects, checks, pushes by digest, signs, and only then tags. */
export async function merge(inputs: MergeInputs, runner: Runner, env: NodeJS.ProcessEnv): Promise<void> {
  const run = readRun(env);
  if (inputs.githubToken !== undefined) runner.mask(inputs.githubToken);
  const hands = decideSigning(inputs, readVisibility(env));
  if (hands.includes('keyless')) requireIdTokenPermission(env);
  const { transport, registries } = openReach(inputs, runner, env);
  try {
    const connect: Connect = repository => registries.repository(repository);
    const reader = new BuildReader(connect);
    const { images } = inputs;
    const imagesFor = images === undefined ? undefined : (component: string) => imagesOf(images, component);
    const { retry } = transport;
    await publish({ inputs, hands, run, runner, env, transport, retry, connect, reader, imagesFor });
  } catch (error) {
    // Whoever looks at the run's page first finds there what the log says.
    if (error instanceof BuildsRefused) await runner.summary(refusalSummary(error));
    throw error;
  } finally {
    transport.close();
  }
}

interface Context extends RecordsContext, PublishingContext {
  /** Who signs; empty: nobody. */
  readonly hands: readonly SigningHand[];
}

async function publish(context: Context): Promise<void> {
  const { hands } = context;
  // What cannot work is said before anything is pushed: a Sigstore that cannot be read is found here.
  const [records, signing] = await Promise.all([
    readRecords(context),
    hands.length === 0 ? undefined : openSigning(context),
  ]);
  try {
    await publishSigned(context, records, signing);
  } finally {
    signing?.close();
  }
}

async function publishSigned(
  context: Context,
  records: RunRecords,
  signing: Signing | undefined,
): Promise<void> {
  const { inputs, runner } = context;
  const closed = closeSet(records, inputs);
  if (closed.components.length === 0 && closed.problems.length === 0) {
    runner.notice(
      'The plan of this run says that everything is published already: there is nothing to merge.',
    );
    return report(runner, { publications: [], tags: { set: [], kept: [] }, signing: undefined });
  }
  const publications = await assemble(closed, assembleOptions(context, records));
  for (const { component, image } of publications) {
    runner.info(`${component}: ${indexTree(image.content, image.platforms)}`);
  }
  const published = await pushSignAndTag(context, publications, signing);
  await report(runner, { publications, ...published });
}

/** Only a merge that signs pays for the libraries of Sigstore. */
async function openSigning(context: Context): Promise<Signing> {
  const { Signing } = await import('./merge-signing.ts');
  return Signing.open(context, context.hands);
}

function assembleOptions(context: Context, { plan }: RunRecords): AssembleOptions {
  const { inputs, run, runner } = context;
  const { metadata } = inputs;
  return {
    destinations: {
      images: context.imagesFor,
      tags: [...inputs.tags, ...(metadata?.tags ?? [])],
      byDigestOnly: inputs.pushByDigestOnly,
    },
    connect: context.connect,
    reader: context.reader,
    server: run.server,
    plan,
    version: metadata?.version ?? plan?.version ?? undefined,
    metadata: metadata?.annotations ?? [],
    annotations: inputs.annotations,
    format: inputs.format,
    singlePlatform: inputs.singlePlatform,
    onNotice: runner.notice,
  };
}
