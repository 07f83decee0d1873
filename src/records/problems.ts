import { type ErrorCode, ManifoldError, oneLine } from '../errors.ts';

/** One way in which what the builds left is not what was expected. */
export interface Problem {
  readonly code: ErrorCode;
  readonly component: string;
  /** As people write it, or what stands for it where no platform is known. */
  readonly platform: string;
  readonly expected: string;
  readonly found: string;
  /** What to do: which job to re-run, which input to change. */
  readonly remedy: string;
}

/** The first of these that occurs names the error. */
const BY_WEIGHT: readonly ErrorCode[] = [
  'missing-platform',
  'wrong-architecture',
  'doubled-platform',
  'tampered-record',
  'registry-not-found',
  'unexpected-platform',
];

const HEAD = ['component', 'platform', 'expected', 'found', 'what to do'];

/** The builds are not what the merge expects. The table of its message stands in `rows` as well. */
export class BuildsRefused extends ManifoldError {
  /** Of each problem: component, platform, what was expected, what was found, what to do. Each is one line. */
  readonly rows: readonly (readonly string[])[];

  constructor(code: ErrorCode, rows: readonly (readonly string[])[]) {
    super(code, `The builds are not what this merge expects:\n${columns([HEAD, ...rows])}`, {
      hint: 'Nothing was pushed and no tag was moved. When the builds are mended, "Re-run failed jobs" runs this job again.',
    });
    this.rows = rows;
  }
}

/**
 * Ends the merge, if anything is wrong, with all of it in one table.
 * @throws BuildsRefused with the code of the gravest problem
 */
export function refuseProblems(problems: readonly Problem[]): void {
  const [first] = problems;
  if (first === undefined) return;
  const code =
    BY_WEIGHT.find(candidate => problems.some(problem => problem.code === candidate)) ?? first.code;
  const rows = problems.map(({ component, platform, expected, found, remedy }) =>
    [component, platform, expected, found, remedy].map(text => oneLine(text, 300)),
  );
  throw new BuildsRefused(code, rows);
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(column === row.length - 1 ? 0 : (widths[column] ?? 0))).join('  ');
  return rows.map(row => `  ${line(row)}`).join('\n');
}
