import { DEFAULT_RETRY, type RetryPolicy } from '../http/retry.ts';
import { Transport } from '../http/transport.ts';
import type { MergeInputs } from '../inputs.ts';
import { formatPlatform } from '../oci/platform.ts';
import { parseRepository } from '../oci/reference.ts';
import { createIndexImage, type IndexImage } from '../publish/index-image.ts';
import type { SigningReport } from '../publish/sign.ts';
import { moveTags } from '../publish/tags.ts';
import { requireComplete } from '../records/closed-set.ts';
import { collectRecords } from '../records/collect.ts';
import { openStore } from '../records/open-store.ts';
import type { BuildRecord } from '../records/record.ts';
import { Registries, type RepositoryClient } from '../registry/client.ts';
import { indexTree, mergeSummary, verifyCommand } from '../report/summary.ts';
import type { Runner } from '../runner/actions.ts';
import { type Run, readRun } from '../runner/run.ts';
import { requireIdTokenPermission } from '../sign/identity-token.ts';
import type { Keyless } from '../sign/keyless.ts';
import type { BundleVerifier } from '../sign/verify.ts';
import { VERSION } from '../version.ts';

/** Makes one image of all builds of a run: collects, checks, pushes by digest, signs, and only then tags. */
export async function merge(inputs: MergeInputs, runner: Runner, env: NodeJS.ProcessEnv): Promise<void> {
  const run = readRun(env);
  if (inputs.sign === 'keyless') requireIdTokenPermission(env);
  const retry = { ...DEFAULT_RETRY, budget: inputs.retryBudget };
  const transport = new Transport({ retry, userAgent: `manifold/${VERSION}`, onRetry: runner.info });
  const registries = new Registries({ env, transport, onSecret: runner.mask });
  try {
    await publish(inputs, { run, runner, env, transport, retry, registries });
  } finally {
    transport.close();
  }
}

interface MergeContext {
  readonly run: Run;
  readonly runner: Runner;
  readonly env: NodeJS.ProcessEnv;
  readonly transport: Transport;
  readonly retry: RetryPolicy;
  readonly registries: Registries;
}

async function publish(inputs: MergeInputs, context: MergeContext): Promise<void> {
  const { run, runner, retry, registries } = context;
  // What cannot work is said before anything is pushed: a Sigstore that cannot be read is found here.
  const [records, sigstore] = await Promise.all([
    readRecords(inputs, run, runner),
    inputs.sign === 'none' ? undefined : openSigstore(inputs, context),
  ]);
  const repositories = (records[0]?.images ?? []).map(name => registries.repository(parseRepository(name)));
  const image = await createIndexImage(records, repositories, run.server);
  runner.info(indexTree(image.content, image.images));

  await Promise.all(repositories.map(repository => repository.putManifest(image.content)));
  runner.info(`Pushed by digest to ${repositories.map(({ name }) => name).join(', ')}.`);

  const signing = sigstore === undefined ? undefined : await sign(sigstore, image, repositories, context);
  const tags = await moveTags(image.content, repositories, inputs.tags, retry);
  runner.info(`Tagged ${tags.join(', ')}.`);
  await report(runner, { records, image, repositories, tags, signing, trustedRoot: inputs.trustedRoot });
}

async function readRecords(inputs: MergeInputs, run: Run, runner: Runner): Promise<BuildRecord[]> {
  const store = await openStore({ folder: inputs.records, retentionDays: 1 });
  const all = await runner.group('Records of this run', () => collectRecords(store, run));
  const records = requireComplete(all, inputs.component, inputs.platforms);
  for (const { component, platform, digest, source } of records) {
    runner.info(`Record of ${component} for ${platform}, attempt ${source.runAttempt}: ${digest}`);
  }
  return records;
}

/** A Sigstore, ready to sign with and to verify by. */
interface Sigstore {
  readonly keyless: Keyless;
  readonly verifier: BundleVerifier;
}

/** Loads what describes the Sigstore, and its libraries, which only a merge that signs needs. */
async function openSigstore(inputs: MergeInputs, context: MergeContext): Promise<Sigstore> {
  const { env, transport, runner } = context;
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
  image: IndexImage,
  repositories: readonly RepositoryClient[],
  { runner, retry }: MergeContext,
): Promise<SigningReport> {
  const { signEverywhere } = await import('../publish/sign.ts');
  const signing = await signEverywhere(image, repositories, { ...sigstore, retry });
  const already = signing.manifests * repositories.length - signing.attached;
  runner.info(
    `Signed as ${signing.identity.name}: ${signing.manifests} manifests, verified in every registry.`,
  );
  if (already > 0) runner.info(`${already} of these signatures were there already.`);
  return signing;
}

interface MergeResult {
  readonly records: readonly BuildRecord[];
  readonly image: IndexImage;
  readonly repositories: readonly RepositoryClient[];
  readonly tags: readonly string[];
  readonly signing: SigningReport | undefined;
  readonly trustedRoot: string | undefined;
}

async function report(runner: Runner, result: MergeResult): Promise<void> {
  const { records, image, repositories, tags, signing, trustedRoot } = result;
  const { content, images } = image;
  const names = repositories.map(({ name }) => name);
  const component = records[0]?.component ?? '';
  const check =
    signing === undefined
      ? undefined
      : verifyCommand(signing.identity, `${names[0]}@${content.digest}`, trustedRoot);
  if (check !== undefined) runner.info(`Check it:\n${check}`);
  runner.output('digest', content.digest);
  runner.output('tags', tags.join('\n'));
  runner.output('json', JSON.stringify(mergeResult(result, component, names)));
  await runner.summary(mergeSummary({ component, repositories: names, index: content, images, tags, check }));
}

/** What later steps read of the merge. */
function mergeResult({ image, tags, signing }: MergeResult, component: string, images: readonly string[]) {
  const platforms = image.images.map(child => ({
    platform: formatPlatform(child.platform),
    digest: child.image.digest,
    attestations: child.attestations.map(({ digest }) => digest),
  }));
  const signed =
    signing === undefined
      ? null
      : { ...signing.identity, manifests: signing.manifests, attached: signing.attached };
  const { digest, mediaType } = image.content;
  return { component, digest, mediaType, images, tags, platforms, signed };
}
