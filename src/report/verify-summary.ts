import type { Demands } from '../verify/demands.ts';
import type { ImageReport } from '../verify/report.ts';
import { code, escapeMarkdown, table } from './summary.ts';
import { toldProblems } from './verify-problems.ts';
import { askedLines, findingsOf, rowsOf } from './verify-words.ts';

const VERDICTS = { verified: 'verified', failed: 'not verified', unknown: 'could not tell' } as const;

/** The page that a verification leaves behind: what was asked, and for each image what was found and what is wrong. */
export function verifySummary(reports: readonly ImageReport[], asked: Demands): string {
  const policy = askedLines(asked).map(([name, value]) => [escapeMarkdown(name), code(value)]);
  return [
    ...reports.flatMap(imageSection),
    '<details><summary>What was asked</summary>',
    '',
    table(['', ''], policy),
    '',
    '</details>',
    '',
  ].join('\n');
}

function imageSection(report: ImageReport): string[] {
  const { image, digest, problems, verdict } = report;
  const rows = rowsOf(report).map(row => [
    escapeMarkdown(row.title),
    code(row.digest),
    escapeMarkdown(row.signed),
    escapeMarkdown(row.attested),
  ]);
  const findings = findingsOf(report);
  return [
    `## ${escapeMarkdown(image)}: ${VERDICTS[verdict]}`,
    '',
    ...(digest === undefined ? [] : [`Digest ${code(digest)}`, '']),
    ...(rows.length === 0 ? [] : [table(['Manifest', 'Digest', 'Signed', 'Attestations'], rows), '']),
    ...(problems.length === 0 ? [] : ['### What is wrong', '', problemTable(report), '']),
    ...(findings.length === 0
      ? []
      : ['### What was found', '', ...findings.map(line => `- ${escapeMarkdown(line)}`), '']),
  ];
}

function problemTable(report: ImageReport): string {
  return table(
    ['Where', 'What', 'What to do'],
    toldProblems(report).map(({ about, message, remedy }) => [about, message, remedy].map(escapeMarkdown)),
  );
}
