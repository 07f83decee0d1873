import { expect, it } from 'vitest';
import { parsePlatform } from '../../src/oci/platform.ts';
import { attestationDescriptor, pushImage } from '../servers/images.ts';
import { problemsOf, startRelease } from './released.ts';

const platforms = ['linux/amd64', 'linux/arm64'].map(parsePlatform);

it('an image that calls itself an attestation and names no platform is an image, which clients would run', async () => {
  const release = await startRelease({
    entries: (entries, contents) => {
      const hidden = pushImage(contents, { architecture: 's390x', content: 'hidden', attested: false });
      const disguised = attestationDescriptor(hidden.manifest.descriptor, entries[0]?.digest as never);
      return [...entries, { ...disguised, platform: undefined }];
    },
  });
  release.signAll();
  const report = await release.verify({ platforms });
  expect(report.verdict).toBe('failed');
  expect(problemsOf(report)).toContain('unexpected-platform: linux/s390x');
});

it('an image that the index calls by another platform than its config is broken', async () => {
  const spoofed = await startRelease({
    entries: entries => {
      const [amd64] = entries;
      return entries.map(entry =>
        entry.platform?.architecture === 'arm64' && amd64 !== undefined
          ? { ...amd64, platform: { os: 'linux', architecture: 'arm64' } }
          : entry,
      );
    },
  });
  spoofed.signAll();
  const report = await spoofed.verify({ platforms });
  expect(report.verdict).toBe('failed');
  expect(JSON.stringify(report.problems)).toContain(
    'index calls it linux/arm64, and its config says that it is linux/amd64',
  );
});
