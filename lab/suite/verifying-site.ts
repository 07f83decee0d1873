import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { check } from '../parts/command.ts';
import { merge, type Release } from '../pipeline.ts';
import { syntheticRelease } from '../synthetic-release.ts';
import { toolPath } from '../tools/catalog.ts';
import { manifestsOf, mergeJson } from './oracles.ts';
import { succeeded } from './refusing.ts';
import type { REGISTRIES, SigningSite } from './signing-site.ts';

export type Kind = (typeof REGISTRIES)[number];

/** What a release of two attested platforms consists of, in the words of the verification, and in its order. */
export const INDEX = 'the index';
export const PLATFORMS = ['linux/amd64', 'linux/arm64'] as const;
export const CHILDREN = PLATFORMS.flatMap(platform => [platform, `the attestation manifest of ${platform}`]);
export const ALL = [INDEX, ...CHILDREN];

let names = 0;

/** Two attested platforms, built under a name of their own in the registries named, and not merged yet. */
export function built({ lab }: SigningSite, kinds: readonly Kind[]): Promise<Release> {
  names++;
  const images = kinds.map(kind => `${lab.registry(kind).host}/acme/image-${names}`);
  return syntheticRelease(lab, images, 2);
}

/** An image that was published and not signed. */
export interface Unsigned {
  readonly release: Release;
  /** Name of its repository. */
  readonly image: string;
  /** By digest, under what the verification calls them. */
  readonly references: Readonly<Record<string, string>>;
}

export async function unsigned(site: SigningSite, kind: Kind): Promise<Unsigned> {
  const release = await built(site, [kind]);
  const image = release.images[0] as string;
  const { outputs } = await succeeded(merge(release, { with: { sign: 'none' } }));
  const digests = manifestsOf(mergeJson(outputs));
  const entries = [...CHILDREN, INDEX].map((title, at) => [title, `${image}@${digests[at]}`]);
  return { release, image, references: Object.fromEntries(entries) };
}

/** Attaches provenance in the shape of GitHub's (actions/buildtypes, workflow/v1), by the identity that also signs. */
export async function attest({ lab, configs }: SigningSite, reference: string): Promise<void> {
  const repository = 'https://github.com/acme/widget';
  const predicate = {
    buildDefinition: {
      buildType: 'https://actions.github.io/buildtypes/workflow/v1',
      externalParameters: {
        workflow: { ref: 'refs/heads/main', repository, path: '.github/workflows/release.yml' },
      },
      resolvedDependencies: [
        { uri: `git+${repository}@refs/heads/main`, digest: { gitCommit: 'a'.repeat(40) } },
      ],
    },
    runDetails: { builder: { id: `${repository}/.github/workflows/release.yml@refs/heads/main` } },
  };
  const file = join(await lab.folder('predicate'), 'predicate.json');
  await writeFile(file, JSON.stringify(predicate));
  const sigstore = ['--signing-config', configs[2], '--trusted-root', lab.sigstore.trustedRoot];
  const args = ['attest', ...sigstore, '--predicate', file, '--type', 'slsaprovenance1', reference];
  await check(toolPath('cosign'), args, { env: lab.environment() });
}
