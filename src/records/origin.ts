import { capitalised } from '../document.ts';
import { ManifoldError, oneLine } from '../errors.ts';

/** Where the records of a run must come from. */
export interface Origin {
  /** `acme/app` */
  readonly repository: string;
  /** Undefined where another run is read, whose commit is not this run's: its records must agree on one. */
  readonly commit: string | undefined;
  readonly runId: string;
  /** The attempt that reads: no record can be of a later one. Undefined where another run is read. */
  readonly runAttempt: number | undefined;
}

/** What every record says of where it comes from. */
export interface Source {
  readonly repository: string;
  readonly commit: string;
  readonly runId: string;
  readonly runAttempt: number;
}

export type Agreement = readonly [field: string, expected: string, found: string];

/** What must be equal for a record to be of this run, and of the attempt that its name says. */
export function originAgreements(source: Source, attempt: number, origin: Origin): Agreement[] {
  const agreements: Agreement[] = [
    ['source.runAttempt', String(attempt), String(source.runAttempt)],
    ['source.repository', origin.repository, repositoryAs(origin.repository, source.repository)],
    ['source.commit', origin.commit ?? source.commit, source.commit],
    ['source.runId', origin.runId, source.runId],
  ];
  if (origin.runAttempt !== undefined && attempt > origin.runAttempt) {
    agreements.push(['source.runAttempt', `at most ${origin.runAttempt}`, String(attempt)]);
  }
  return agreements;
}

/** GitHub's names are the same in any case. @returns the name that was expected, where it was found written otherwise */
function repositoryAs(expected: string, found: string): string {
  return found.toLowerCase() === expected.toLowerCase() ? expected : found;
}

/** @throws ManifoldError `tampered-record` naming every field that does not agree, with both values */
export function requireAgreement(what: string, agreements: readonly Agreement[]): void {
  const wrong = agreements.filter(([, expected, found]) => expected !== found);
  if (wrong.length === 0) return;
  const fields = wrong.map(
    ([field, expected, found]) => `field "${field}": expected ${oneLine(expected)}, found ${oneLine(found)}`,
  );
  throw new ManifoldError('tampered-record', `${capitalised(what)}, ${fields.join('; ')}.`, {
    hint: BELONGS,
  });
}

export const BELONGS =
  'A record belongs to the run, commit and name that it was written for. Re-run the build job of this platform.';
