import { shortDigest } from '../oci/digest.ts';
import type { Demands } from '../verify/demands.ts';
import type { ImageReport } from '../verify/report.ts';
import { type ToldProblem, toldProblems } from './verify-problems.ts';
import { askedLines, findingsOf, rowsOf } from './verify-words.ts';

const VERDICTS = { verified: 'verified', failed: 'NOT VERIFIED', unknown: 'COULD NOT TELL' } as const;

/** What was asked, as lines for the log. */
export function askedLog(asked: Demands): string {
  return ['What is asked of each image:', ...aligned(askedLines(asked))].join('\n');
}

/** What was found of one image, as lines for the log: a table, what became of each signature, and the verdict. */
export function imageLog(report: ImageReport): string {
  const { image, digest, manifests, verdict } = report;
  const rows = rowsOf(report).map((row, position) => [
    row.title,
    shortDigest(manifests[position]?.digest ?? 'sha256:'),
    row.signed,
    row.attested,
  ]);
  return [
    image,
    ...(digest === undefined ? [] : [`  ${digest}`]),
    ...aligned(rows),
    ...findingsOf(report).map(line => `  ${line}.`),
    ...toldProblems(report).map(problem => `  ${problemLine(problem)}`),
    `  ${VERDICTS[verdict]}`,
  ].join('\n');
}

function problemLine({ about, message, kind }: ToldProblem): string {
  return `${kind === 'unknown' ? '?' : '✗'} ${about}: ${message}.`;
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  return rows.map(row =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  );
}
