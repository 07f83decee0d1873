import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { manifestContent } from '../../src/oci/manifest.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { type BuildsRefused, type Problem, refuseProblems } from '../../src/records/problems.ts';
import {
  buildSummary,
  code,
  escapeMarkdown,
  indexTree,
  mergeSummary,
  refusalSummary,
} from '../../src/report/summary.ts';
import { failureOf } from '../servers/clients.ts';
import { attestationDescriptor, made, recordOf, TYPES } from '../servers/images.ts';

const INDEX = manifestContent(Buffer.from('{}'), TYPES.index);

function image(platform: string) {
  const { descriptor } = made(TYPES.manifest, platform);
  const config = { os: 'linux', architecture: 'amd64' };
  const attestation = attestationDescriptor(
    made(TYPES.manifest, `${platform} attestation`).descriptor,
    descriptor.digest,
  );
  return { platform: parsePlatform(platform), image: descriptor, config, attestations: [attestation] };
}

const SUMMARY = {
  component: 'app',
  repositories: ['ghcr.io/acme/app', 'quay.io/acme/app'],
  index: INDEX,
  images: [image('linux/amd64'), image('linux/arm64')],
  tags: ['ghcr.io/acme/app:1.0', 'quay.io/acme/app:1.0'],
  kept: [],
  missing: [],
  checks: [{ title: 'cosign 3', command: 'cosign verify this' }],
};

describe('text in Markdown', () => {
  it('is never markup and never leaves its line', () => {
    const marks = '\\`*_{}[]<>|#!~&';
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...marks, 'a', ' ', '\n', '\r') }), text => {
        const escaped = escapeMarkdown(text);
        expect(escaped).not.toMatch(/[\r\n]/);
        expect(escaped.replace(/\\[\\`*_{}[\]<>|#!~&]/g, '')).toMatch(/^[a ]*$/);
      }),
    );
  });

  it('shows what it is: an entity is text too', () => {
    expect(escapeMarkdown('a &lt; b')).toBe('a \\&lt; b');
  });

  it('as code ends where it ends, whatever backticks it holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('`', 'a', ' ', '\n') }), text => {
        const fence = /^`+/.exec(code(`a${text}a`))?.[0] ?? '';
        const inside = code(`a${text}a`).slice(fence.length, -fence.length);
        expect(inside.match(/`+/g) ?? []).not.toContain(fence);
        expect(inside).not.toContain('\n');
      }),
    );
  });
});

describe('the page of a merge', () => {
  it('shows the index as a table in the order of the index', () => {
    const lines = mergeSummary(SUMMARY).split('\n');
    expect(lines[0]).toBe('## app: 2 platforms, signed');
    const rows = lines.filter(line => line.startsWith('|'));
    expect(rows[0]).toBe('| Platform | Manifest | Attestations | Signed |');
    expect(rows[2]).toBe(`| linux/amd64 | \`${SUMMARY.images[0]?.image.digest}\` | 1 | yes |`);
    expect(rows[3]).toContain('linux/arm64');
  });

  it('names digest, repositories and tags, and the command that checks', () => {
    const page = mergeSummary(SUMMARY);
    expect(page).toContain(INDEX.digest);
    for (const name of [...SUMMARY.repositories, ...SUMMARY.tags]) expect(page).toContain(`\`${name}\``);
    expect(page).toContain('Check it by cosign 3:\n\n```sh\ncosign verify this\n```');
  });

  it('of an unsigned image says so and offers no check', () => {
    const page = mergeSummary({ ...SUMMARY, images: [image('linux/amd64')], checks: [] });
    expect(page).toContain('## app: 1 platform, not signed');
    expect(page).toContain('| no |');
    expect(page).not.toContain('cosign');
  });
});

describe('the page of a merge that did not do all', () => {
  it('names the tags that stay, each with its reason, which is no markup', () => {
    const kept = [{ name: 'ghcr.io/acme/app:latest', reason: 'it points at version <2.0.0>|x' }];
    const page = mergeSummary({ ...SUMMARY, tags: [], kept });
    expect(page).toContain('Tags that stay where they are:');
    expect(page).toContain('- `ghcr.io/acme/app:latest`: it points at version \\<2.0.0\\>\\|x');
    expect(page).not.toContain('\nTags:');
    expect(mergeSummary(SUMMARY)).not.toContain('stay where they are');
  });

  it('names the platforms that are missing', () => {
    const missing = ['linux/s390x', 'linux/arm/v7'].map(parsePlatform);
    const page = mergeSummary({ ...SUMMARY, missing });
    expect(page).toContain('Published without linux/s390x, linux/arm/v7, as `allow-missing` says.');
    expect(mergeSummary(SUMMARY)).not.toContain('Published without');
  });

  it('calls a plain manifest a manifest', () => {
    const index = manifestContent(Buffer.from('{}'), TYPES.manifest);
    expect(mergeSummary({ ...SUMMARY, index })).toContain(`Manifest \`${index.digest}\``);
    expect(mergeSummary(SUMMARY)).toContain(`Index \`${INDEX.digest}\``);
    expect(indexTree(index, SUMMARY.images)).toMatch(/^manifest sha256:/);
  });
});

describe('the page of a merge that refuses its builds', () => {
  const problem = {
    code: 'missing-platform',
    component: 'app',
    platform: 'linux/arm64',
    expected: 'a build',
    found: 'no record',
    remedy: 're-run the job "build" of linux/arm64',
  } as const;
  const pageOf = async (...problems: Problem[]): Promise<string[]> => {
    const error = await failureOf(() => refuseProblems(problems));
    return refusalSummary(error as BuildsRefused).split('\n');
  };

  it('is the table of its message, with what to do', async () => {
    const lines = await pageOf(problem, { ...problem, component: 'api' });
    expect(lines[0]).toBe('## Nothing was published: the builds are not what the merge expects');
    expect(lines.filter(line => line.startsWith('|'))).toEqual([
      '| Component | Platform | Expected | Found | What to do |',
      '| --- | --- | --- | --- | --- |',
      '| app | linux/arm64 | a build | no record | re-run the job "build" of linux/arm64 |',
      '| api | linux/arm64 | a build | no record | re-run the job "build" of linux/arm64 |',
    ]);
    expect(lines.join()).toContain('"Re-run failed jobs"');
  });

  it('shows what came from outside as text, in its cell', async () => {
    const found = 'x | <img src=x> [y](z)\n| `a` | \u0007';
    const lines = await pageOf({ ...problem, found });
    expect(lines.filter(line => line.startsWith('|'))).toHaveLength(3);
    expect(lines.join('\n')).toContain(' | x \\| \\<img src=x\\> \\[y\\](z) \\| \\`a\\` \\| | re-run');
  });
});

describe('the page of a build', () => {
  it('shows every image with its digest, attestations, and how long it took', () => {
    const record = recordOf(made(TYPES.index, 'x'), 'linux/arm/v7', { images: SUMMARY.repositories });
    const page = buildSummary(record);
    expect(page).toContain('## app: linux/arm/v7');
    expect(page).toContain(
      `| \`ghcr.io/acme/app\` | \`${record.digest}\` | \`https://slsa.dev/provenance/v1\` | natively in 90.5 s |`,
    );
    const builder = { ...record.builder, emulated: true };
    expect(buildSummary({ ...record, attestations: [], builder })).toContain('| none | emulated in 90.5 s |');
  });
});

describe('the tree of an index in the log', () => {
  it('shows each image and below it its attestations', () => {
    const lines = indexTree(INDEX, SUMMARY.images).split('\n');
    expect(lines[0]).toBe(`index ${INDEX.digest}`);
    expect(lines.slice(1).map(line => line.trim().split(/ +/)[0])).toEqual([
      'linux/amd64',
      'attestation',
      'linux/arm64',
      'attestation',
    ]);
    expect(lines[1]).toMatch(/sha256:[0-9a-f]{12}$/);
  });
});
