import { shortDigest } from '../oci/digest.ts';
import type { PlatformImage } from '../oci/index.ts';
import { isIndexType, type ManifestContent } from '../oci/manifest.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import type { BuildsRefused } from '../records/problems.ts';
import type { BuildRecord } from '../records/record.ts';
import type { VerifyCommand } from './verify-commands.ts';

/** Text for a cell or a line of Markdown: nothing in it is markup, and it stays on its line. */
export function escapeMarkdown(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').replace(/[\\`*_{}[\]<>|#!~&]/g, '\\$&');
}

/** Text between backticks; one that holds backticks itself gets a longer fence (CommonMark, "Code spans"). */
export function code(text: string): string {
  const line = text.replace(/[\r\n]+/g, ' ').replaceAll('|', '\\|');
  const longest = Math.max(0, ...(line.match(/`+/g) ?? []).map(run => run.length));
  const fence = '`'.repeat(longest + 1);
  return longest === 0 ? `\`${line}\`` : `${fence} ${line} ${fence}`;
}

export interface MergeSummary {
  readonly component: string;
  readonly repositories: readonly string[];
  readonly index: ManifestContent;
  /** In the order of the index. */
  readonly images: readonly PlatformImage[];
  /** Full names that point at the image. */
  readonly tags: readonly string[];
  /** Tags that stay where they are. */
  readonly kept: readonly { readonly name: string; readonly reason: string }[];
  /** Platforms that were expected and are left out, as the user allowed. */
  readonly missing: readonly Platform[];
  /** The commands that check the signatures; none when the image was not signed, as asked. */
  readonly checks: readonly VerifyCommand[];
}

/** The page that the merge leaves behind: the index as a table, and how to check it. */
export function mergeSummary(summary: MergeSummary): string {
  const { component, index, images, tags, kept, missing, repositories, checks } = summary;
  const isSigned = checks.length > 0;
  const rows = images.map(image => [
    formatPlatform(image.platform),
    code(image.image.digest),
    String(image.attestations.length),
    isSigned ? 'yes' : 'no',
  ]);
  return [
    `## ${escapeMarkdown(component)}: ${images.length === 1 ? '1 platform' : `${images.length} platforms`}, ${isSigned ? 'signed' : 'not signed'}`,
    '',
    table(['Platform', 'Manifest', 'Attestations', 'Signed'], rows),
    '',
    ...(missing.length === 0
      ? []
      : [`Published without ${missing.map(formatPlatform).join(', ')}, as \`allow-missing\` says.`, '']),
    `${isIndexType(index.mediaType) ? 'Index' : 'Manifest'} ${code(index.digest)}${isSigned ? ', signed' : ''}, the same in ${repositories.map(code).join(', ')}.`,
    '',
    ...list('Tags:', tags.map(code)),
    ...list(
      'Tags that stay where they are:',
      kept.map(({ name, reason }) => `${code(name)}: ${escapeMarkdown(reason)}`),
    ),
    ...checks.flatMap(({ title, command }) => [`Check it by ${title}:`, '', '```sh', command, '```', '']),
  ].join('\n');
}

function list(title: string, entries: readonly string[]): string[] {
  return entries.length === 0 ? [] : [title, '', ...entries.map(entry => `- ${entry}`), ''];
}

/** The page of a merge that refuses its builds: what is wrong with each, and what to do. */
export function refusalSummary({ rows, hint }: BuildsRefused): string {
  return [
    '## Nothing was published: the builds are not what the merge expects',
    '',
    table(
      ['Component', 'Platform', 'Expected', 'Found', 'What to do'],
      rows.map(row => row.map(escapeMarkdown)),
    ),
    '',
    escapeMarkdown(hint ?? ''),
    '',
  ].join('\n');
}

/** The page that a build leaves behind. */
export function buildSummary(record: BuildRecord): string {
  const seconds = (Date.parse(record.finished) - Date.parse(record.started)) / 1000;
  return [
    `## ${escapeMarkdown(record.component)}: ${escapeMarkdown(record.platform)}`,
    '',
    table(
      ['Image', 'Digest', 'Attestations', 'Built'],
      record.images.map(image => [
        code(image),
        code(record.digest),
        record.attestations.map(code).join(', ') || 'none',
        `${record.builder.emulated ? 'emulated' : 'natively'} in ${seconds.toFixed(1)} s`,
      ]),
    ),
    '',
  ].join('\n');
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The index, or the plain manifest of a single platform, as lines for the log. */
export function indexTree(index: ManifestContent, images: readonly PlatformImage[]): string {
  const lines = images.flatMap(({ platform, image, attestations }) => [
    `  ${formatPlatform(platform).padEnd(16)} ${shortDigest(image.digest)}`,
    ...attestations.map(({ digest }) => `  ${'  attestation'.padEnd(16)} ${shortDigest(digest)}`),
  ]);
  return [`${isIndexType(index.mediaType) ? 'index' : 'manifest'} ${index.digest}`, ...lines].join('\n');
}
