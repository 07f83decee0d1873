import { DEFAULT_RETRY, type RetryPolicy } from '../http/retry.ts';
import { Transport } from '../http/transport.ts';
import type { MergeInputs } from '../inputs.ts';
import { formatPlatform } from '../oci/platform.ts';
import { parseRepository } from '../oci/reference.ts';
import { createIndexImage, type IndexImage } from '../publish/index-image.ts';
import { type SigningReport, signEverywhere } from '../publish/sign.ts';
import { moveTags } from '../publish/tags.ts';
import { closeSet } from '../records/closed-set.ts';
import { collectRecords } from '../records/collect.ts';
import type { BuildRecord } from '../records/record.ts';
import { ArtifactStore } from '../records/store.ts';
import { Registries, type RepositoryClient } from '../registry/client.ts';
import { indexTree, mergeSummary, verifyCommand } from '../report/summary.ts';
import type { Runner } from '../runner/actions.ts';
import { type Run, readRun } from '../runner/run.ts';
import { requireIdTokenPermission } from '../sign/identity-token.ts';
import { VERSION } from '../version.ts';

/** Makes one image of all builds of a run: collects, checks, pushes by digest, signs, and only then tags. */
export async function merge(inputs: MergeInputs, runner: Runner, env: NodeJS.ProcessEnv): Promise<void> {
  const run = readRun(env);
  // What cannot work is said before anything is pushed.
  if (inputs.sign === 'keyless') requireIdTokenPermission(env);
  const retry = { ...DEFAULT_RETRY, budget: inputs.retryBudget };
  const transport = new Transport({ retry, userAgent: `manifold/${VERSION}`, onRetry: runner.info });
  const registries = new Registries({ env, transport, onSecret: runner.mask });

  const records = await readRecords(inputs, run, runner);
  const repositories = (records[0]?.images ?? []).map(name => registries.repository(parseRepository(name)));
  const image = await createIndexImage(records, repositories, run.server);
  runner.info(indexTree(image.content, image.images));

  await Promise.all(repositories.map(repository => repository.putManifest(image.content)));
  runner.info(`Pushed by digest to ${repositories.map(({ name }) => name).join(', ')}.`);

  const signing =
    inputs.sign === 'none'
      ? undefined
      : await sign(inputs, image, repositories, { runner, env, transport, retry });
  const tags = await moveTags(image.content, repositories, inputs.tags, retry);
  runner.info(`Tagged ${tags.join(', ')}.`);
  await report(runner, { records, image, repositories, tags, signing });
  transport.close();
}

async function readRecords(inputs: MergeInputs, run: Run, runner: Runner): Promise<BuildRecord[]> {
  const store = await ArtifactStore.open(1);
  const all = await runner.group('Records of this run', () => collectRecords(store, run));
  const records = closeSet(all, inputs.component, inputs.platforms);
  for (const { component, platform, digest, source } of records) {
    runner.info(`Record of ${component} for ${platform}, attempt ${source.runAttempt}: ${digest}`);
  }
  return records;
}

interface SigningContext {
  readonly runner: Runner;
  readonly env: NodeJS.ProcessEnv;
  readonly transport: Transport;
  readonly retry: RetryPolicy;
}

async function sign(
  inputs: MergeInputs,
  image: IndexImage,
  repositories: readonly RepositoryClient[],
  { runner, env, transport, retry }: SigningContext,
): Promise<SigningReport> {
  // The libraries of Sigstore are loaded only by who signs.
  const [{ loadSigningConfig, loadTrustedRoot }, { chooseServices }, { KeylessSigner }, { BundleVerifier }] =
    await Promise.all([
      import('../sign/trust.ts'),
      import('../sign/services.ts'),
      import('../sign/keyless.ts'),
      import('../sign/verify.ts'),
    ]);
  const source = { trustedRoot: inputs.trustedRoot, signingConfig: inputs.signingConfig, env };
  const [root, config] = await Promise.all([loadTrustedRoot(source), loadSigningConfig(source)]);
  const services = chooseServices(config, new Date());
  const signer = await KeylessSigner.create({ env, services, transport, onSecret: runner.mask });
  const report = await signEverywhere(image, repositories, {
    signer,
    verifier: new BundleVerifier(root),
    retry,
  });
  runner.info(
    `Signed as ${report.identity.name}: ${report.manifests} manifests, each verified in every registry.`,
  );
  return report;
}

interface MergeResult {
  readonly records: readonly BuildRecord[];
  readonly image: IndexImage;
  readonly repositories: readonly RepositoryClient[];
  readonly tags: readonly string[];
  readonly signing: SigningReport | undefined;
}

async function report(
  runner: Runner,
  { records, image, repositories, tags, signing }: MergeResult,
): Promise<void> {
  const { content, images } = image;
  const names = repositories.map(({ name }) => name);
  const component = records[0]?.component ?? '';
  runner.output('digest', content.digest);
  runner.output('tags', tags.join('\n'));
  const platforms = images.map(child => ({
    platform: formatPlatform(child.platform),
    digest: child.image.digest,
    attestations: child.attestations.map(({ digest }) => digest),
  }));
  const signed =
    signing === undefined
      ? null
      : { ...signing.identity, manifests: signing.manifests, attached: signing.attached };
  const json = {
    component,
    digest: content.digest,
    mediaType: content.mediaType,
    images: names,
    tags,
    platforms,
    signed,
  };
  runner.output('json', JSON.stringify(json));
  if (signing !== undefined)
    runner.info(`Check it:\n${verifyCommand(signing.identity, `${names[0]}@${content.digest}`)}`);
  await runner.summary(
    mergeSummary({
      component,
      repositories: names,
      index: content,
      images,
      tags,
      identity: signing?.identity,
    }),
  );
}
