import { ManifoldError } from '../errors.ts';
import type { RetryPolicy } from '../http/retry.ts';
import type { Transport } from '../http/transport.ts';
import { imagesOf } from '../inputs/image-templates.ts';
import type { MergeInputs } from '../inputs.ts';
import { descriptorOf } from '../oci/manifest.ts';
import { type AssembleOptions, assemble } from '../publish/assemble.ts';
import type { Connect } from '../publish/children.ts';
import { moveTags, type TagReport } from '../publish/move-tags.ts';
import { childrenOf, type Publication } from '../publish/publication.ts';
import { bringChildren, keepChildren, pushIndex } from '../publish/push.ts';
import type { SigningReport } from '../publish/sign.ts';
import { listTags, readTags, refuseImmutable } from '../publish/tags.ts';
import { closeSet } from '../records/closed-set.ts';
import { collectRecords, type RunRecords } from '../records/collect.ts';
import { openStore } from '../records/open-store.ts';
import type { Origin } from '../records/origin.ts';
import { indexTree } from '../report/summary.ts';
import type { Runner } from '../runner/actions.ts';
import { type Run, readRun } from '../runner/run.ts';
import { requireIdTokenPermission } from '../sign/identity-token.ts';
import type { Keyless } from '../sign/keyless.ts';
import type { BundleVerifier } from '../sign/verify.ts';
import { report } from './merge-report.ts';
import { openReach } from './registries.ts';

/** Makes one image of all builds of each component: collects, checks, pushes by digest, signs, and only then tags. */
export async function merge(inputs: MergeInputs, runner: Runner, env: NodeJS.ProcessEnv): Promise<void> {
  const run = readRun(env);
  if (inputs.githubToken !== undefined) runner.mask(inputs.githubToken);
  if (inputs.sign === 'keyless') requireIdTokenPermission(env);
  const { transport, retry, registries } = openReach(inputs, runner, env);
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
  const publications = await assemble(closed, assembleOptions(context, records));
  for (const { component, image } of publications) {
    runner.info(`${component}: ${indexTree(image.content, image.children)}`);
  }
  const { signing, tags } = await pushSignAndTag(context, publications, sigstore);
  await report(runner, { publications, tags, signing, trustedRoot: inputs.trustedRoot });
}

/** The order that makes it safe: everywhere by digest, everywhere signed and verified, and only then the first tag. */
async function pushSignAndTag(
  context: Context,
  publications: readonly Publication[],
  sigstore: Sigstore | undefined,
): Promise<{ signing: SigningReport | undefined; tags: TagReport }> {
  const { inputs, runner, retry } = context;
  const options = {
    policy: inputs.tagPolicy,
    immutable: inputs.immutableTags,
    platformSuffix: inputs.platformTagSuffix,
    retry,
  };
  const tags = listTags(publications, options);
  const isSigned = sigstore !== undefined;
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

  const signing = isSigned ? await sign(sigstore, publications, context) : undefined;
  const { keepTags } = inputs;
  if (keepTags !== undefined) {
    await Promise.all(
      everywhere.map(({ publication, target }) => keepChildren(publication, target, keepTags)),
    );
  }
  // Whatever came before took its time: another run may have moved a tag meanwhile.
  const now = look !== undefined && keepTags === undefined ? look : await readTags(tags);
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
  return runner.group(`Records of the run ${origin.runId}`, async () => {
    const records = await collectRecords(store, origin);
    for (const { component, platform, digest, source } of records.builds) {
      runner.info(`Record of ${component} for ${platform}, attempt ${source.runAttempt}: ${digest}`);
    }
    return records;
  });
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
