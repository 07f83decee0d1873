import { ManifoldError } from '../errors.ts';
import { DEFAULT_RETRY, type RetryPolicy } from '../http/retry.ts';
import { Transport } from '../http/transport.ts';
import { imagesOf } from '../inputs/image-templates.ts';
import type { MergeInputs } from '../inputs.ts';
import type { Digest } from '../oci/digest.ts';
import { descriptorOf } from '../oci/manifest.ts';
import { type AssembleOptions, assemble } from '../publish/assemble.ts';
import type { Connect } from '../publish/children.ts';
import { childrenOf, type Publication } from '../publish/publication.ts';
import { pushByDigest } from '../publish/push.ts';
import type { SigningReport } from '../publish/sign.ts';
import {
  isShown,
  listTags,
  lookAhead,
  moveTags,
  readTags,
  refuseImmutable,
  type TagLook,
  type TagReport,
} from '../publish/tags.ts';
import { closeSet } from '../records/closed-set.ts';
import { collectRecords, type RunRecords } from '../records/collect.ts';
import { openStore } from '../records/open-store.ts';
import type { Origin } from '../records/origin.ts';
import { Registries, type RepositoryClient } from '../registry/client.ts';
import { indexTree } from '../report/summary.ts';
import type { Runner } from '../runner/actions.ts';
import { type Run, readRun } from '../runner/run.ts';
import { requireIdTokenPermission } from '../sign/identity-token.ts';
import type { Keyless } from '../sign/keyless.ts';
import type { BundleVerifier } from '../sign/verify.ts';
import { VERSION } from '../version.ts';
import { report } from './merge-report.ts';

/** Makes one image of all builds of each component: collects, checks, pushes by digest, signs, and only then tags. */
export async function merge(inputs: MergeInputs, runner: Runner, env: NodeJS.ProcessEnv): Promise<void> {
  const run = readRun(env);
  if (inputs.sign === 'keyless') requireIdTokenPermission(env);
  const retry = { ...DEFAULT_RETRY, budget: inputs.retryBudget };
  const said = { onRetry: runner.info, onSecret: runner.mask };
  const transport = new Transport({ env, retry, userAgent: `manifold/${VERSION}`, ...said });
  const insecure = inputs.insecureRegistries;
  const registries = new Registries({ env, transport, onSecret: runner.mask, insecure });
  try {
    const connect: Connect = repository => registries.repository(repository);
    await publish({ inputs, run, runner, env, transport, retry, connect });
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
}

async function publish(context: Context): Promise<void> {
  const { inputs, runner } = context;
  // What cannot work is said before anything is pushed: a Sigstore that cannot be read is found here.
  const [records, sigstore] = await Promise.all([
    readRecords(context),
    inputs.sign === 'none' ? undefined : openSigstore(context),
  ]);
  const closed = closeSet(records, inputs);
  if (closed.components.length === 0 && closed.problems.length === 0) {
    runner.notice(
      'The plan of this run says that everything is published already: there is nothing to merge.',
    );
    return report(runner, { publications: [], tags: { set: [], kept: [] }, signing: undefined });
  }
  let look: Promise<TagLook> | undefined;
  const onTargets: AssembleOptions['onTargets'] = targets => {
    look = lookAhead(targets);
    // What is wrong with the builds is told before what is wrong with the tags.
    look.catch(() => {});
  };
  const publications = await assemble(closed, { ...assembleOptions(context, records), onTargets });
  for (const { component, image } of publications) {
    runner.info(`${component}: ${indexTree(image.content, image.children)}`);
  }
  const { signing, tags } = await pushSignAndTag(context, publications, sigstore, await look);
  await report(runner, { publications, tags, signing, trustedRoot: inputs.trustedRoot });
}

/** The order that makes it safe: everywhere by digest, everywhere signed and verified, and only then the first tag. */
async function pushSignAndTag(
  context: Context,
  publications: readonly Publication[],
  sigstore: Sigstore | undefined,
  look: TagLook | undefined,
): Promise<{ signing: SigningReport | undefined; tags: TagReport }> {
  const { inputs, runner, retry } = context;
  const options = {
    policy: inputs.tagPolicy,
    immutable: inputs.immutableTags,
    platformSuffix: inputs.platformTagSuffix,
    retry,
  };
  const tags = listTags(publications, options);
  const before = await readTags(tags, look);
  refuseImmutable(tags, before, options);

  const pushing = {
    connect: context.connect,
    keepTags: inputs.keepTags,
    isThere: (client: RepositoryClient, digest: Digest) => isShown(before, client, digest),
    onProgress: runner.info,
  };
  await Promise.all(
    publications.flatMap(publication =>
      publication.targets.map(target => pushByDigest(publication, target, pushing)),
    ),
  );
  const names = publications.flatMap(({ targets }) => targets.map(({ client }) => client.name));
  runner.info(`Pushed by digest to ${[...new Set(names)].join(', ')}.`);

  if (sigstore === undefined) return { signing: undefined, tags: await moveTags(tags, before, options) };
  const signing = await sign(sigstore, publications, context);
  // Signing takes its time: another run may have moved a tag meanwhile.
  const now = await readTags(tags);
  refuseImmutable(tags, now, options);
  return { signing, tags: await moveTags(tags, now, options) };
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

async function readRecords({ inputs, run, runner, env, transport, retry }: Context): Promise<RunRecords> {
  const { githubToken: token } = inputs;
  const origin = originOf(inputs, run);
  const other = inputs.run === undefined ? undefined : { token: requireToken(token), ...origin };
  const store = await openStore({
    folder: inputs.records,
    run: other,
    token,
    env,
    retry,
    transport,
    onRetry: runner.info,
    onSecret: runner.mask,
  });
  const records = await runner.group('Records of this run', () => collectRecords(store, origin));
  for (const { component, platform, digest, source } of records.builds) {
    runner.info(`Record of ${component} for ${platform}, attempt ${source.runAttempt}: ${digest}`);
  }
  return records;
}

/** Where the records must come from: this run, or another one, whose commit only its records tell. */
function originOf({ run: other }: MergeInputs, { repository, commit, runId, runAttempt }: Run): Origin {
  if (other === undefined) return { repository, commit, runId, runAttempt };
  return {
    repository: other.repository ?? repository,
    commit: undefined,
    runId: other.id,
    runAttempt: undefined,
  };
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

/** A Sigstore, ready to sign with and to verify by. */
interface Sigstore {
  readonly keyless: Keyless;
  readonly verifier: BundleVerifier;
}

/** Loads what describes the Sigstore, and its libraries, which only a merge that signs needs. */
async function openSigstore({ inputs, env, transport, runner }: Context): Promise<Sigstore> {
  const [trust, { chooseServices }, { Keyless }, { BundleVerifier }] = await Promise.all([
    import('../sign/trust.ts'),
    import('../sign/services.ts'),
    import('../sign/keyless.ts'),
    import('../sign/verify.ts'),
  ]);
  const source = { trustedRoot: inputs.trustedRoot, signingConfig: inputs.signingConfig, env };
  const [root, config] = await Promise.all([trust.loadTrustedRoot(source), trust.loadSigningConfig(source)]);
  const services = chooseServices(config, new Date());
  return {
    keyless: new Keyless({ env, services, transport, onSecret: runner.mask }),
    verifier: new BundleVerifier(root),
  };
}

async function sign(
  sigstore: Sigstore,
  publications: readonly Publication[],
  { runner, retry }: Context,
): Promise<SigningReport> {
  const { signEverywhere } = await import('../publish/sign.ts');
  const subjects = publications.map(publication => ({
    children: childrenOf(publication),
    root: descriptorOf(publication.image.content),
    repositories: publication.targets.map(({ client }) => client),
  }));
  const signing = await signEverywhere(subjects, { ...sigstore, retry });
  for (const [position, { component }] of publications.entries()) {
    const { manifests, attached } = signing.subjects[position] ?? { manifests: 0, attached: 0 };
    const all = manifests * (subjects[position]?.repositories.length ?? 0);
    const before = attached === all ? '' : ` ${all - attached} of these signatures were there already.`;
    runner.info(
      `Signed ${component} as ${signing.identity.name}: ${manifests} manifests, verified in every registry.${before}`,
    );
  }
  return signing;
}
