import { Transport } from '../src/http/transport.ts';
import { formatPlatform, type Platform, parsePlatform } from '../src/oci/platform.ts';
import { formatRepository, parseRepository } from '../src/oci/reference.ts';
import { formatRecordName } from '../src/records/name.ts';
import { formatRecord } from '../src/records/record.ts';
import { Registries } from '../src/registry/client.ts';
import { pushSynthetic } from './images/synthetic.ts';
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

/** A run whose builds are done: attested images of a few bytes in every repository, and their records. */
export async function syntheticRelease(lab: Lab, images: readonly string[], count: number): Promise<Release> {
  const release = newRelease(
    lab,
    images.map(name => formatRepository(parseRepository(name))),
  );
  const transport = new Transport();
  const registries = new Registries({ env: lab.environment(), transport, onSecret: () => {} });
  const clients = images.map(name => registries.repository(parseRepository(name)));
  for (const platform of platforms(count)) {
    const [content] = await Promise.all(clients.map(client => pushSynthetic(client, platform)));
    if (content === undefined) throw new Error('a release needs at least one image name');
    const time = new Date(0).toISOString();
    const record = formatRecord({
      schemaVersion: 1,
      component: 'app',
      platform: formatPlatform(platform),
      images: [...release.images],
      digest: content.digest,
      mediaType: content.mediaType,
      size: content.bytes.byteLength,
      attestations: ['https://slsa.dev/provenance/v1'],
      source: {
        repository: 'acme/widget',
        commit: 'a'.repeat(40),
        ref: 'refs/heads/main',
        workflow: 'release',
        runId: release.run,
        runAttempt: 1,
        job: 'build',
        matrixSize: count,
        matrixIndex: null,
      },
      builder: { name: 'synthetic', driver: 'remote', buildkit: 'v0.0.0', emulated: false },
      started: time,
      finished: time,
      manifold: '0.0.0',
    });
    const name = formatRecordName({ component: 'app', platform, attempt: 1 });
    lab.artifacts.put({ run: release.run, name }, record);
  }
  transport.close();
  return release;
}

/** An image of an earlier release, under a tag that a later one is to move. @returns its digest */
export async function publishEarlier(lab: Lab, image: string, tag: string): Promise<string> {
  const transport = new Transport();
  const registries = new Registries({ env: lab.environment(), transport, onSecret: () => {} });
  const client = registries.repository(parseRepository(image));
  const content = await pushSynthetic(client, parsePlatform('linux/amd64'));
  await client.putManifest(content, tag);
  transport.close();
  return content.digest;
}
