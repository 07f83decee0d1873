import { readFileSync } from 'node:fs';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { Transport } from '../src/http/transport.ts';
import type { ManifestContent } from '../src/oci/manifest.ts';
import { formatPlatform, type Platform, parsePlatform } from '../src/oci/platform.ts';
import { formatRepository, parseRepository } from '../src/oci/reference.ts';
import { formatRecordName } from '../src/records/name.ts';
import { type BuildRecord, formatRecord } from '../src/records/record.ts';
import { Registries, type RepositoryClient } from '../src/registry/client.ts';
import { PROVENANCE, pushSynthetic, type SyntheticImage } from './images/synthetic.ts';
import type { Lab } from './lab.ts';
import { newRelease, type Release } from './pipeline.ts';

/** As many platforms as are asked for: real ones first, then variants of amd64 that nobody makes. */
export function platforms(count: number): Platform[] {
  const known = ['amd64', 'arm64', 'arm/v7', 'arm/v6', '386', 'ppc64le', 's390x', 'riscv64'];
  const names = [
    ...known,
    ...Array.from({ length: Math.max(0, count - known.length) }, (_, n) => `amd64/v${n + 2}`),
  ];
  return names.slice(0, count).map(name => parsePlatform(`linux/${name}`));
}

/** One component of a run: the names that its builds push to, and what they build. */
export interface SyntheticComponent {
  readonly component: string;
  readonly images: readonly string[];
  readonly builds: readonly SyntheticImage[];
}

/** A run whose builds are done: attested images of a few bytes in every repository, and their records. */
export function syntheticRelease(lab: Lab, images: readonly string[], count: number): Promise<Release> {
  const builds = platforms(count).map(platform => ({ platform }));
  return syntheticComponents(lab, [{ component: 'app', images, builds }]);
}

/** A run whose builds are done, all of them rows of one matrix: images in their repositories, and their records. */
export async function syntheticComponents(
  lab: Lab,
  components: readonly SyntheticComponent[],
): Promise<Release> {
  const release = newRelease(
    lab,
    components.flatMap(({ images }) => images.map(name => formatRepository(parseRepository(name)))),
  );
  const rows = components.flatMap(component => component.builds.map(build => ({ component, build })));
  await withClients(lab, async connect => {
    await Promise.all(
      rows.map(async ({ component, build }, row) => {
        const pushed = await Promise.all(component.images.map(name => pushSynthetic(connect(name), build)));
        const [content] = pushed;
        if (content === undefined) throw new Error('a release needs at least one image name');
        const record = recordOf(component, build, content);
        const source = { ...record.source, runId: release.run, matrixSize: rows.length, matrixIndex: row };
        const name = formatRecordName({
          component: component.component,
          platform: build.platform,
          attempt: 1,
        });
        lab.artifacts.put({ run: release.run, name }, formatRecord({ ...record, source }));
      }),
    );
  });
  return release;
}

/** What the build job of one row tells the merge, but for its place in the run. */
function recordOf(
  { component, images }: SyntheticComponent,
  { platform, attestation }: SyntheticImage,
  content: ManifestContent,
): BuildRecord {
  const time = new Date(0).toISOString();
  return {
    schemaVersion: 1,
    component,
    platform: formatPlatform(platform),
    images: images.map(name => formatRepository(parseRepository(name))),
    digest: content.digest,
    mediaType: content.mediaType,
    size: content.bytes.byteLength,
    content: Buffer.from(content.bytes).toString('utf8'),
    attestations: attestation === 'none' ? [] : [PROVENANCE],
    source: {
      repository: 'acme/widget',
      commit: 'a'.repeat(40),
      ref: 'refs/heads/main',
      workflow: 'release',
      runId: '0',
      runAttempt: 1,
      job: 'build',
      matrixSize: null,
      matrixIndex: null,
    },
    builder: { name: 'synthetic', driver: 'remote', buildkit: 'v0.0.0', emulated: false },
    started: time,
    finished: time,
    manifold: '0.0.0',
  };
}

/** An image of an earlier release, under a tag that a later one is to move. @returns its digest */
export function publishEarlier(lab: Lab, image: string, tag: string): Promise<string> {
  return withClients(lab, async connect => {
    const client = connect(image);
    const content = await pushSynthetic(client, { platform: parsePlatform('linux/amd64') });
    await client.putManifest(content, tag);
    return content.digest;
  });
}

type Connect = (image: string) => RepositoryClient;

async function withClients<T>(lab: Lab, work: (connect: Connect) => Promise<T>): Promise<T> {
  trustAuthorities(lab);
  const transport = new Transport();
  const registries = new Registries({ env: lab.environment(), transport, onSecret: () => {} });
  try {
    return await work(image => registries.repository(parseRepository(image)));
  } finally {
    transport.close();
  }
}

/** A job learns of the lab's authority by a variable, which this process can no longer be given. */
function trustAuthorities(lab: Lab): void {
  const own = lab.registries.flatMap(({ ca }) => (ca === undefined ? [] : [readFileSync(ca, 'utf8')]));
  if (own.length > 0) setDefaultCACertificates([...new Set([...getCACertificates('default'), ...own])]);
}
