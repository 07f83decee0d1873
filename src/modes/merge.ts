import { ManifoldError, oneLine } from '../errors.ts';
import type { RetryPolicy } from '../http/retry.ts';
import type { Transport } from '../http/transport.ts';
import { imagesOf } from '../inputs/image-templates.ts';
import type { MergeInputs } from '../inputs.ts';
import { type AssembleOptions, assemble } from '../publish/assemble.ts';
import { BuildReader, type Connect } from '../publish/children.ts';
import { moveTags, type TagReport } from '../publish/move-tags.ts';
import type { Publication } from '../publish/publication.ts';
import { bringChildren, confirmIndex, keepChildren, pushIndex } from '../publish/push.ts';
import type { SigningReport } from '../publish/sign.ts';
import { listTags, readTags, refuseImmutable, uselessPatterns } from '../publish/tags.ts';
import { closeSet } from '../records/closed-set.ts';
import { collectRecords, type RunRecords } from '../records/collect.ts';
import { openStore } from '../records/open-store.ts';
import type { Origin } from '../records/origin.ts';
import { BuildsRefused } from '../records/problems.ts';
import type { BuildRecord } from '../records/record.ts';
import type { RecordStore } from '../records/store.ts';
import { indexTree, refusalSummary } from '../report/summary.ts';
import type { Runner } from '../runner/actions.ts';
import { type Run, readRun } from '../runner/run.ts';
import { requireIdTokenPermission } from '../sign/identity-token.ts';
import { report } from './merge-report.ts';
import type { Signing } from './merge-signing.ts';
import { openReach } from './registries.ts';

/** Makes one image of all builds of each component: collects, checks, pushes by digest, signs, and only then tags. */
export async function merge(inputs: MergeInputs, runner: Runner, env: NodeJS.ProcessEnv): Promise<void> {
  const run = readRun(env);
  if (inputs.githubToken !== undefined) runner.mask(inputs.githubToken);
  if (inputs.sign === 'keyless') requireIdTokenPermission(env);
  const { transport, retry, registries } = openReach(inputs, runner, env);
  try {
    const connect: Connect = repository => registries.repository(repository);
    const reader = new BuildReader(connect);
    await publish({ inputs, run, runner, env, transport, retry, connect, reader });
  } catch (error) {
    // Whoever looks at the run's page first finds there what the log says.
    if (error instanceof BuildsRefused) await runner.summary(refusalSummary(error));
    throw error;
  } finally {
    transport.close();
  }
}

interface Context {
  readonly inputs: MergeInputs;
  readonly run: Run;
  readonly runner: Runner;
  readonly env: NodeJS.ProcessEnv;
  readonly transport: Transport;
  readonly retry: RetryPolicy;
  readonly connect: Connect;
  readonly reader: BuildReader;
}

async function publish(context: Context): Promise<void> {
  const { inputs, runner } = context;
  // What cannot work is said before anything is pushed: a Sigstore that cannot be read is found here.
  const [records, signing] = await Promise.all([
    readRecords(context),
    inputs.sign === 'none' ? undefined : openSigning(context),
  ]);
  const closed = closeSet(records, inputs);
  if (closed.components.length === 0 && closed.problems.length === 0) {
    runner.notice(
      'The plan of this run says that everything is published already: there is nothing to merge.',
    );
    return report(runner, { publications: [], tags: { set: [], kept: [] }, signing: undefined });
  }
  const publications = await assemble(closed, assembleOptions(context, records));
  for (const { component, image } of publications) {
    runner.info(`${component}: ${indexTree(image.content, image.children)}`);
  }
  const published = await pushSignAndTag(context, publications, signing);
  await report(runner, { publications, ...published, trustedRoot: inputs.trustedRoot });
}

/** Only a merge that signs pays for the libraries of Sigstore. */
async function openSigning(context: Context): Promise<Signing> {
  const { Signing } = await import('./merge-signing.ts');
  return Signing.open(context);
}

/** The order that makes it safe: everywhere by digest, everywhere signed and verified, and only then the first tag. */
async function pushSignAndTag(
  context: Context,
  publications: readonly Publication[],
  signing: Signing | undefined,
): Promise<{ signing: SigningReport | undefined; tags: TagReport }> {
  const { inputs, runner, retry } = context;
  const options = {
    policy: inputs.tagPolicy,
    immutable: inputs.immutableTags,
    platformSuffix: inputs.platformTagSuffix,
    retry,
  };
  const tags = listTags(publications, options);
  tellUseless(uselessPatterns(tags, options), runner);
  const isSigned = signing !== undefined;
  // What must not move ends the merge before anything is pushed; and where a tag shows the image, it is there.
  const before = isSigned || options.immutable.length > 0 ? await readTags(tags) : new Map();
  refuseImmutable(tags, before, options);

  const bringing = { connect: context.connect, onProgress: runner.info };
  const everywhere = publications.flatMap(publication =>
    publication.targets.map(target => ({ publication, target })),
  );
  await Promise.all(
    everywhere.map(({ publication, target }) => bringChildren(publication, target, bringing)),
  );
  // Where nothing comes between the index and its tags, they are looked at while it is pushed.
  const [look] = await Promise.all([
    isSigned ? undefined : readTags(tags),
    ...everywhere.map(({ publication, target }) => pushIndex(publication, target, before)),
  ]);
  const names = everywhere.map(({ target }) => target.client.name);
  runner.info(`Pushed by digest to ${[...new Set(names)].join(', ')}.`);

  const [signed] = await Promise.all([
    signing?.sign(publications),
    ...everywhere.map(({ publication, target }) => confirmIndex(publication, target, isSigned)),
  ]);
  const { keepTags } = inputs;
  if (keepTags !== undefined) {
    const keeping = { template: keepTags, retry };
    await Promise.all(
      everywhere.map(({ publication, target }) => keepChildren(publication, target, keeping)),
    );
  }
  // Whatever came before took its time: another run may have moved a tag meanwhile.
  const now = look !== undefined && keepTags === undefined ? look : await readTags(tags);
  refuseImmutable(tags, now, options);
  return { signing: signed, tags: await moveTags(tags, now, options) };
}

function tellUseless(patterns: readonly string[], { notice }: Runner): void {
  if (patterns.length === 0) return;
  const names = patterns.map(pattern => `"${oneLine(pattern)}"`).join(', ');
  notice(
    `No tag of this merge matches ${names} of "immutable-tags". A pattern stands for the whole tag: v*.*.* matches v1.2.3, and not 1.2.3.`,
  );
}

function assembleOptions(context: Context, { plan }: RunRecords): AssembleOptions {
  const { inputs, run, runner } = context;
  const { images, metadata } = inputs;
  return {
    destinations: {
      images: images === undefined ? undefined : component => imagesOf(images, component),
      tags: [...inputs.tags, ...(metadata?.tags ?? [])],
      byDigestOnly: inputs.pushByDigestOnly,
    },
    connect: context.connect,
    reader: context.reader,
    server: run.server,
    created: plan?.created,
    version: metadata?.version ?? plan?.version ?? undefined,
    metadata: metadata?.annotations ?? [],
    annotations: inputs.annotations,
    format: inputs.format,
    singlePlatform: inputs.singlePlatform,
    onNotice: runner.notice,
  };
}

async function readRecords(context: Context): Promise<RunRecords> {
  const { inputs, run, runner, env, transport, retry } = context;
  const { githubToken: token } = inputs;
  const other = otherRun(inputs, run);
  const origin = other ?? run;
  const store = await openStore({
    folder: inputs.records,
    run: other === undefined ? undefined : { ...other, token: requireToken(token) },
    token,
    env,
    retry,
    transport,
    onRetry: runner.info,
    onSecret: runner.mask,
  });
  warnOfFailure(store, origin, runner);
  return runner.group(`Records of the run ${origin.runId}`, async () => {
    const records = await collectRecords(store, origin, record => beginReading(record, context));
    for (const { component, platform, digest, source } of records.builds) {
      runner.info(`Record of ${component} for ${platform}, attempt ${source.runAttempt}: ${digest}`);
    }
    return records;
  });
}

/** What turns out not to be wanted was read in vain, and nothing else. */
function beginReading(record: BuildRecord, { inputs, reader }: Context): void {
  const { components, images } = inputs;
  if (components.length > 0 && !components.includes(record.component)) return;
  reader.begin(record, images === undefined ? undefined : imagesOf(images, record.component));
}

/** Whether a run that failed is good enough to be merged is for its workflow to say, and easily forgotten there. */
function warnOfFailure({ conclusion }: RecordStore, { runId }: Origin, runner: Runner): void {
  if (conclusion === undefined || conclusion === 'success') return;
  runner.warning(
    `The run ${runId} ended with ${oneLine(conclusion)}: what it built is merged all the same. To merge only what has succeeded, say "if: github.event.workflow_run.conclusion == 'success'" at this job.`,
  );
}

/** Another run, whose commit and attempts only its records tell; undefined when it is this one after all. */
function otherRun({ run: other }: MergeInputs, run: Run): Origin | undefined {
  if (other === undefined) return undefined;
  const repository = other.repository ?? run.repository;
  const isThis = other.id === run.runId && repository.toLowerCase() === run.repository.toLowerCase();
  return isThis ? undefined : { repository, commit: undefined, runId: other.id, runAttempt: undefined };
}

function requireToken(token: string | undefined): string {
  if (token !== undefined) return token;
  throw new ManifoldError(
    'missing-input',
    'The input "github-token" is empty: the artifacts of another run need one.',
    {
      hint: 'Leave it out for the token of this job, and give the job "permissions: actions: read".',
    },
  );
}
