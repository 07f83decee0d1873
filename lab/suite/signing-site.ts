import { Gate } from '../../src/parallel.ts';
import { type Lab, type LabOptions, startLab } from '../lab.ts';
import { type FaultProxy, type LoggedRequest, startFaultProxy } from '../parts/fault-proxy.ts';
import type { Registry, RegistryKind } from '../parts/registries.ts';
import type { LogVersion } from '../parts/sigstore.ts';
import type { JobChanges, Release } from '../pipeline.ts';
import type { RunResult } from '../runner.ts';
import { syntheticRelease } from '../synthetic-release.ts';
import { type CosignVersion, type Expectation, type KeyPair, keyPair, verify } from './cosigns.ts';
import { manifestsOf, mergeJson } from './oracles.ts';
import { TAG } from './upgrade.ts';

/** distribution, which keeps referrers under a fallback tag, and olareg, which has the referrers API. */
export const REGISTRIES = ['plain', 'olareg'] as const satisfies readonly RegistryKind[];

export type Hand = 'keyless' | 'key';
export type Format = 'bundle' | 'legacy' | 'both';

/** How a merge signs. */
export interface Manner {
  /** Who keeps what was signed; `none`: no Sigstore is described, and the key alone stands for it. */
  readonly log: LogVersion | 'none';
  readonly format: Format;
  readonly hand: Hand;
}

/** The cosigns that read a format. 2.6 and 3.1 take the bundle wherever there is one (the table of rekor-v1.test.ts). */
export const READERS: Readonly<Record<Format, readonly CosignVersion[]>> = {
  bundle: ['3.1', '2.6'],
  legacy: ['3.1', '2.6', '2.5'],
  both: ['3.1', '2.6', '2.5'],
};

/** A lab with both logs, a key, and a proxy in front of each registry. */
export interface SigningSite {
  readonly lab: Lab;
  readonly key: KeyPair;
  /** In the order of the registries' kinds. */
  readonly proxies: readonly FaultProxy[];
  /** Signing configs that name the one log only. */
  readonly configs: Readonly<Record<LogVersion, string>>;
  close(): Promise<void>;
}

/** @param more parts of the lab, such as BuildKit */
export async function openSigningSite(more: Pick<LabOptions, 'buildkit'> = {}): Promise<SigningSite> {
  const sigstore = { logs: [1, 2] } as const;
  const lab = await startLab({ ...more, registries: REGISTRIES, sigstore, artifacts: true });
  const [key, v1, v2] = await Promise.all([
    keyPair(lab),
    lab.sigstore.signingConfigFor('v1', {}, { logs: [1] }),
    lab.sigstore.signingConfigFor('v2', {}, { logs: [2] }),
  ]);
  const proxies = await Promise.all(
    REGISTRIES.map(kind => startFaultProxy({ target: lab.registry(kind).url })),
  );
  const close = async (): Promise<void> => {
    await Promise.all(proxies.map(proxy => proxy.close()));
    await lab.close();
  };
  return { lab, key, proxies, configs: { 1: v1, 2: v2 }, close };
}

/** Two attested platforms, built in every registry through its proxy, whose log begins with what comes now. */
export async function behindProxies(site: SigningSite, name: string): Promise<Release> {
  const images = site.proxies.map(({ host }) => `${host}/acme/${name}`);
  const release = await syntheticRelease(site.lab, images, 2);
  for (const proxy of site.proxies) proxy.reset();
  return release;
}

/** What came to a proxy that changes something behind it. */
export function writesOf({ log }: FaultProxy): LoggedRequest[] {
  return log.filter(({ method }) => !['GET', 'HEAD'].includes(method));
}

/** What a job is given to sign in a manner. */
export function signingChanges({ key, configs }: SigningSite, manner: Manner): JobChanges {
  const { log, format, hand } = manner;
  const sigstore =
    log === 'none' ? { 'trusted-root': '', 'signing-config': '' } : { 'signing-config': configs[log] };
  const inputs = { sign: hand, 'signature-format': format, ...sigstore };
  return hand === 'keyless'
    ? { with: inputs }
    : { with: { ...inputs, key: key.privateKey }, env: { COSIGN_PASSWORD: key.password } };
}

/** What a verifier is told who trusts what was signed in a manner. */
export function expectationOf(
  { key }: SigningSite,
  { log, hand }: Pick<Manner, 'log' | 'hand'>,
): Expectation {
  return { log, ...(hand === 'key' ? { key: key.publicKey } : {}) };
}

/** A published image in one registry. */
export interface Published {
  readonly registry: Registry;
  /** Name of its repository. */
  readonly image: string;
  readonly tag: string;
  /** Of the platforms, their attestation manifests and the index. */
  readonly digests: readonly string[];
}

/** What a merge has published under `HOST/acme/NAME`, by registry. */
export function publishedAs({ lab }: SigningSite, name: string, { outputs }: RunResult): Published[] {
  const digests = manifestsOf(mergeJson(outputs));
  return REGISTRIES.map(kind => {
    const registry = lab.registry(kind);
    return { registry, image: `${registry.host}/acme/${name}`, tag: TAG, digests };
  });
}

/** How much of an image a cosign accepts. */
export interface Tally {
  readonly cosign: CosignVersion;
  /** Manifests that it accepts by digest, of how many. */
  readonly accepted: number;
  readonly of: number;
  /** Whether it accepts what the tag points at. */
  readonly tag: boolean;
  /** What it said of the first that it did not accept. */
  readonly said: string;
}

/** Each cosign is a process of its own, that takes a core for a moment. */
const processes = new Gate(4);

/** Asks a cosign about every manifest by its digest, and about the tag. */
export async function tally(
  { lab }: SigningSite,
  cosign: CosignVersion,
  { image, tag, digests }: Published,
  expected: Expectation,
): Promise<Tally> {
  const ask = (reference: string) => processes.run(() => verify(lab, cosign, reference, expected));
  const [byTag, ...byDigest] = await Promise.all([
    ask(`${image}:${tag}`),
    ...digests.map(digest => ask(`${image}@${digest}`)),
  ]);
  return {
    cosign,
    accepted: byDigest.filter(({ accepted }) => accepted).length,
    of: digests.length,
    tag: byTag.accepted,
    said: [byTag, ...byDigest].find(({ accepted }) => !accepted)?.said ?? '',
  };
}

/** Who accepted how many of how many, in one line. */
export function tallyLine({ registry }: Published, tallies: readonly Tally[]): string {
  const name = registry.kind === 'plain' ? 'distribution' : registry.kind;
  const words = tallies.map(
    ({ cosign, accepted, of, tag }) => `cosign ${cosign}: ${accepted} of ${of}, tag ${tag ? 'yes' : 'no'}`,
  );
  return `${name}: ${words.join('; ')}`;
}
