// make demo: from nothing to a signed two-architecture image in a registry of this machine, checked by cosign.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Lab, startLab } from './lab.ts';
import { type FaultProxy, startFaultProxy } from './parts/fault-proxy.ts';
import { ACTION, build, merge, newRelease, type Release } from './pipeline.ts';
import type { RunResult } from './runner.ts';
import { IDENTITY, type MergeJson, mergeJson, Oracles } from './suite/oracles.ts';
import { bold, dim, green, note, red, say, step } from './terminal.ts';

const TAG = '1.0.0';
const TOOLS = [
  'box',
  'distribution',
  'crane',
  'buildkit',
  'buildx',
  'timestamp-authority',
  'ctlog',
  'rekor-tiles',
  'fulcio',
  'cosign',
];

/** Proxies that count what reaches each service. */
interface Counters {
  readonly registry: FaultProxy;
  readonly fulcio: FaultProxy;
  readonly rekor: FaultProxy;
  readonly timestamps: FaultProxy;
}

async function demo(): Promise<void> {
  say(bold('Manifold: one Dockerfile, two architectures, one signed image, and only then a tag'));
  await step('Tools: built once from their sources, then kept', buildTools);
  const lab = await step('Lab: the real services, on this machine only', openLab);
  try {
    await publish(lab);
  } finally {
    await lab.close();
  }
}

async function buildTools(): Promise<void> {
  const child = spawn(process.execPath, [join(ACTION, 'lab/tools/main.ts'), ...TOOLS], { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  // The builder has said what is missing.
  if (code !== 0) process.exit(1);
}

async function openLab(): Promise<Lab> {
  const lab = await startLab({ buildkit: true, registries: ['plain'], sigstore: true, artifacts: true });
  note(`registry            ${lab.registry('plain').host}`);
  for (const { name, architecture } of Object.values(lab.buildkit.builders))
    note(`BuildKit            ${name}, stands for a runner of ${architecture}`);
  note(`Sigstore            Fulcio ${lab.sigstore.urls.fulcio}, Rekor ${lab.sigstore.urls.rekor}`);
  note(`GitHub              artifact service, issuer of identity tokens ${lab.issuer.url}`);
  return lab;
}

async function publish(lab: Lab): Promise<void> {
  const counters = await startCounters(lab);
  try {
    await publishCounted(lab, counters);
  } finally {
    for (const proxy of Object.values<FaultProxy>({ ...counters })) await proxy.close();
  }
}

async function publishCounted(lab: Lab, counters: Counters): Promise<void> {
  say();
  say(dim(`The jobs reach the registry through ${counters.registry.host}, where requests are counted.`));
  const release = newRelease(lab, [`${counters.registry.host}/demo/hello`]);
  for (const platform of ['linux/amd64', 'linux/arm64']) {
    await step(`Job "build (${platform})"`, async () =>
      succeeded(await build(release, platform, { onLine: showLine })),
    );
  }
  const afterBuild = counters.registry.count();
  const config = await lab.sigstore.signingConfigFor('counted', {
    fulcio: counters.fulcio.url,
    rekor: counters.rekor.url,
    tsa: counters.timestamps.url,
  });
  const inputs = { tags: TAG, platforms: 'linux/amd64,linux/arm64', 'signing-config': config };
  const merged = await step('Job "merge"', async () =>
    succeeded(await merge(release, { with: inputs, onLine: showLine })),
  );
  const requests = requestsOf(counters, counters.registry.count() - afterBuild, lab);
  const json = mergeJson(merged.outputs);
  await checkByOthers(lab, release, json);
  showResult(release, json, requests);
}

async function startCounters(lab: Lab): Promise<Counters> {
  const { urls } = lab.sigstore;
  const [registry, fulcio, rekor, timestamps] = await Promise.all([
    startFaultProxy({ target: lab.registry('plain').url }),
    startFaultProxy({ target: urls.fulcio }),
    startFaultProxy({ target: urls.rekor }),
    startFaultProxy({ target: urls.tsa }),
  ]);
  return { registry, fulcio, rekor, timestamps };
}

/** The log of an action as the runner shows it, without what is folded away there. */
function showLine(line: string): void {
  if (line === '' || /^##\[(group|endgroup|debug)\]|^::debug::/.test(line)) return;
  if (/^(#\d+ |\[command\])/.test(line)) return note(dim(line.slice(0, 140)));
  if (ARTIFACT_CLIENT.test(line)) return;
  note(line);
}

const ARTIFACT_CLIENT =
  /^(Artifact |Root directory|Uploading artifact|Beginning upload|Uploaded bytes|Finished uploading|SHA256 digest|Finalizing|Found \d+ artifact|Redirecting|Starting download|Downloading raw)/;

function succeeded(result: RunResult): RunResult {
  if (result.exitCode === 0) return result;
  throw new Error(`the job failed with exit code ${result.exitCode}; its log is above`);
}

/** cosign checks every signature, and both images are run. */
async function checkByOthers(lab: Lab, release: Release, json: MergeJson): Promise<void> {
  const oracles = new Oracles(lab);
  const [image] = release.images;
  await step('cosign verify, for the index and everything in it', async () => {
    const names = [
      `${image}:${TAG}`,
      ...json.platforms.flatMap(({ digest, attestations }) => [digest, ...attestations]),
    ];
    for (const name of names) {
      await oracles.verify(name.startsWith('sha256:') ? `${image}@${name}` : name);
      note(`${green('verified')}  ${name}`);
    }
  });
  await step('Both images run', async () => {
    for (const { platform } of json.platforms) {
      const { output } = await oracles.runImage(`${image}:${TAG}`, platform);
      note(`${platform}: ${output}`);
    }
  });
}

function requestsOf(counters: Counters, registry: number, lab: Lab): [string, number][] {
  return [
    ['registry', registry],
    ['issuer of identity tokens', lab.issuer.given.length],
    ['Fulcio (certificate)', counters.fulcio.count({ method: 'POST' })],
    ['Rekor (log entries)', counters.rekor.count({ method: 'POST' })],
    ['timestamp authority', counters.timestamps.count({ method: 'POST' })],
  ];
}

function showResult(release: Release, json: MergeJson, requests: readonly [string, number][]): void {
  const signed = green('signed');
  say();
  say(bold(`${release.images[0]}:${TAG}`));
  say(`└─ index            ${json.digest}  ${signed}`);
  for (const [position, { platform, digest, attestations }] of json.platforms.entries()) {
    const last = position === json.platforms.length - 1;
    say(`   ${last ? '└─' : '├─'} ${platform.padEnd(14)} ${digest}  ${signed}`);
    for (const attestation of attestations)
      say(`   ${last ? ' ' : '│'}  └─ provenance  ${attestation}  ${signed}`);
  }
  say();
  say(`all signed by ${IDENTITY}`);
  say(`  according to ${json.signed?.by[0]?.issuer}`);
  say();
  say(`The merge took ${requests.map(([service, count]) => `${count} × ${service}`).join(', ')}.`);
  say();
  say(dim('The lab is gone now, and the addresses above with it.'));
  say();
  say('Where to look next:');
  say('  README.md            a workflow to copy into a repository of yours');
  say('  make lab             the same services, left running for you to try commands on');
  say('  make test            everything that Manifold promises, proved');
  say('  docs/architecture.md how it works, and why the tag comes last');
}

try {
  await demo();
} catch (error) {
  say();
  say(red(error instanceof Error ? error.message : String(error)));
  process.exitCode = 1;
}
