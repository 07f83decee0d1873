// Time and requests to merge, sign and verify 8 attested platforms (17 manifests), against the usual recipe: `buildx
// imagetools create`, `cosign sign --recursive`, and `cosign verify` for each manifest.
// Usage: lab/node bench/sign.ts [repetitions, default 3]
import { startLab } from '../lab/lab.ts';
import { check } from '../lab/parts/command.ts';
import { type FaultProxy, startFaultProxy } from '../lab/parts/fault-proxy.ts';
import type { LogVersion } from '../lab/parts/sigstore.ts';
import { merge, type Release } from '../lab/pipeline.ts';
import { IDENTITY } from '../lab/suite/oracles.ts';
import { syntheticRelease } from '../lab/synthetic-release.ts';
import { toolPath } from '../lab/tools/catalog.ts';
import { median } from './measure.ts';

const PLATFORMS = 8;
const repetitions = Number(process.argv[2] ?? 3);

/** Proxies in front of every service that signing calls. */
type Services = Readonly<Record<'registry' | 'issuer' | 'fulcio' | 'rekor' | 'tsa', FaultProxy>>;

/** What one way costs: milliseconds by phase, and requests by service. */
interface Cost {
  readonly phases: Readonly<Record<string, number>>;
  readonly requests: Readonly<Record<string, number>>;
}

const lab = await startLab({ registries: ['olareg'], artifacts: true, sigstore: { logs: [1, 2] } });
let rounds = 0;
try {
  for (const log of [2, 1] as const) {
    for (const latency of [0, 50]) {
      const ours: Cost[] = [];
      const theirs: Cost[] = [];
      for (let n = 0; n < repetitions; n++) {
        const { ours: one, theirs: other } = await round(log, latency);
        ours.push(one);
        theirs.push(other);
      }
      tell(log, latency, ours, theirs);
    }
  }
} finally {
  await lab.close();
}

async function round(log: LogVersion, latency: number): Promise<{ ours: Cost; theirs: Cost }> {
  const services = await startServices(log);
  const { registry, fulcio, rekor, tsa } = services;
  try {
    const config = await lab.sigstore.signingConfigFor(
      `bench-${++rounds}`,
      { fulcio: fulcio.url, tsa: tsa.url, ...(log === 1 ? { rekorV1: rekor.url } : { rekor: rekor.url }) },
      { logs: [log] },
    );
    const prepare = (name: string) =>
      syntheticRelease(lab, [`${registry.host}/bench/${name}-${rounds}`], PLATFORMS);
    // The same builds in a repository of each: what one has signed, the other must not find.
    const [mine, peer] = [await prepare('ours'), await prepare('peer')];
    for (const proxy of Object.values(services)) proxy.latency = latency;
    const ours = await counted(services, () => byManifold(mine, services, config));
    const theirs = await counted(services, () => byRecipe(peer, services, config));
    return { ours, theirs };
  } finally {
    await Promise.all(Object.values(services).map(proxy => proxy.close()));
  }
}

async function startServices(log: LogVersion): Promise<Services> {
  const { urls } = lab.sigstore;
  const [registry, issuer, fulcio, rekor, tsa] = await Promise.all(
    [
      lab.registry('olareg').url,
      lab.issuer.url,
      urls.fulcio,
      log === 1 ? urls.rekorV1 : urls.rekor,
      urls.tsa,
    ].map(target => startFaultProxy({ target })),
  );
  return { registry, issuer, fulcio, rekor, tsa } as Services;
}

async function counted(services: Services, work: () => Promise<Record<string, number>>): Promise<Cost> {
  for (const proxy of Object.values(services)) proxy.reset();
  const phases = await work();
  const requests = Object.entries(services).map(([name, proxy]) => [name, proxy.count()]);
  return { phases, requests: Object.fromEntries(requests) };
}

/** One merge does it all; its phases are told by the lines of its log. */
async function byManifold(
  release: Release,
  { issuer }: Services,
  config: string,
): Promise<Record<string, number>> {
  const milestones: readonly (readonly [phase: string, line: RegExp])[] = [
    ['start and read', /: index sha256:/],
    ['push', /^Pushed by digest/],
    ['sign and verify', /^Signed /],
    ['tag', /^Tagged /],
  ];
  const phases: Record<string, number> = {};
  let last = performance.now();
  const reach = (phase: string): void => {
    const now = performance.now();
    phases[phase] = now - last;
    last = now;
  };
  const { exitCode, log } = await merge(release, {
    with: { tags: 'ours', sign: 'keyless', 'signing-config': config },
    job: { through: { oidc: issuer.url } },
    onLine: line => {
      const reached = milestones.find(
        ([phase, pattern]) => phases[phase] === undefined && pattern.test(line),
      );
      if (reached !== undefined) reach(reached[0]);
    },
  });
  if (exitCode !== 0) throw new Error(log);
  reach('end');
  return phases;
}

async function byRecipe(
  release: Release,
  { issuer }: Services,
  config: string,
): Promise<Record<string, number>> {
  const [image] = release.images as [string];
  const digests = lab.artifacts
    .artifacts(release.run)
    .map(({ bytes }) => (JSON.parse(bytes.toString()) as { digest: string }).digest);
  const env = lab.environment({ through: { oidc: issuer.url } });
  const phases: Record<string, number> = {};
  const phase = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const start = performance.now();
    await work();
    phases[name] = performance.now() - start;
  };
  const trust = ['--trusted-root', lab.sigstore.trustedRoot];
  await phase('create', () =>
    check(
      toolPath('buildx'),
      ['imagetools', 'create', '--tag', `${image}:peer`, ...digests.map(digest => `${image}@${digest}`)],
      { env },
    ),
  );
  await phase('sign', () =>
    check(
      toolPath('cosign'),
      ['sign', '--recursive', '--signing-config', config, ...trust, `${image}:peer`],
      { env },
    ),
  );
  const references = await manifestsOf(image);
  await phase('verify', async () => {
    const who = ['--certificate-identity', IDENTITY, '--certificate-oidc-issuer', lab.issuer.url];
    for (const reference of references)
      await check(toolPath('cosign'), ['verify', ...trust, ...who, reference], { env });
  });
  return phases;
}

/** The index that the recipe made, and everything in it. */
async function manifestsOf(image: string): Promise<string[]> {
  const manifest = await check(toolPath('crane'), ['manifest', `${image}:peer`], { env: lab.environment() });
  const { manifests } = JSON.parse(manifest) as { manifests: { digest: string }[] };
  return [`${image}:peer`, ...manifests.map(({ digest }) => `${image}@${digest}`)];
}

function tell(log: LogVersion, latency: number, ours: readonly Cost[], theirs: readonly Cost[]): void {
  const [mine, peer] = [middle(ours), middle(theirs)];
  const ratio = (peer.total / mine.total).toFixed(1);
  console.log(
    `Rekor v${log}, ${latency} ms: ${mine.total} ms against ${peer.total} ms, ${ratio} times as fast`,
  );
  for (const [name, { phases, requests }] of [
    ['ours', mine],
    ['peer', peer],
  ] as const) {
    console.log(`  ${name}  ${words(phases, ' ms')}`);
    console.log(`        requests: ${words(requests)}`);
  }
}

/** The middle of each phase, and of the sums of all. */
function middle(costs: readonly Cost[]) {
  const sum = ({ phases }: Cost): number => Object.values(phases).reduce((total, time) => total + time, 0);
  const names = Object.keys(costs[0]?.phases ?? {});
  const phases = names.map(name => [name, median(costs.map(cost => cost.phases[name] ?? 0))]);
  return {
    total: median(costs.map(sum)),
    phases: Object.fromEntries(phases) as Record<string, number>,
    requests: costs[0]?.requests ?? {},
  };
}

function words(values: Readonly<Record<string, number>>, unit = ''): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value}${unit}`)
    .join(', ');
}
